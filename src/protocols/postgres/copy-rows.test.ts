import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ColumnSink } from "../../std/column-sink.ts";
import { bytesSink, integer64Sink, unsigned32Sink } from "../../std/column-sink.ts";
import type { CopyColumn } from "./copy-reader.ts";
import { openCopyReader } from "./copy-reader.ts";
import type { CopyValues } from "./copy-writer.ts";
import { openCopyWriter } from "./copy-writer.ts";
import { splitMessages } from "./message-splitter.ts";
import { ProtocolError } from "./protocol-error.ts";

type Row = readonly [small: number, large: bigint, text: Buffer];

const header = Buffer.from("5047434f50590aff0d0a000000000000000000", "hex");
const trailer = Buffer.from("ffff", "hex");

function field(bytes: Buffer | undefined): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(bytes === undefined ? -1 : bytes.length);
  return bytes === undefined ? length : Buffer.concat([length, bytes]);
}

function tuple(...fields: (Buffer | undefined)[]): Buffer {
  const count = Buffer.alloc(2);
  count.writeInt16BE(fields.length);
  return Buffer.concat([count, ...fields.map(field)]);
}

function int4(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function int8(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}

/** Reads messages into three columns, and gives the rows and how many came at a time. */
function read(
  messages: readonly Buffer[],
  rowCountMax = 4,
  arenaBytesMax = 1 << 20,
): { rows: Row[]; counts: number[] } {
  const rows: Row[] = [];
  const counts: number[] = [];
  const sinks: [ColumnSink, ColumnSink, ColumnSink] = [
    unsigned32Sink(rowCountMax),
    integer64Sink(rowCountMax),
    bytesSink(rowCountMax, 8),
  ];
  const columns: CopyColumn[] = sinks.map((sink, at) => ({ name: `column${at}`, sink }));
  const reader = openCopyReader({
    columns,
    arenaBytesMax,
    onRows(count) {
      counts.push(count);
      const [small, large, text] = sinks;
      if (small.type === "bytes" || large.type === "bytes" || text.type !== "bytes") throw new Error("mixed up");
      for (let row = 0; row < count; row++) {
        const value = (BigInt(large.values[2 * row + 1]) << 32n) | BigInt(large.values[2 * row]);
        const bytes = Buffer.from(text.arena.slice(text.offsets[row], text.offsets[row + 1]));
        rows.push([small.values[row], BigInt.asIntN(64, value), bytes]);
      }
      // The arrays may be taken away.
      small.values = new Uint32Array(rowCountMax);
      large.values = new Uint32Array(2 * rowCountMax);
      text.offsets = new Uint32Array(rowCountMax + 1);
      text.arena = new Uint8Array(8);
    },
  });
  for (const message of messages) reader.readMessage(message, 0, message.length);
  reader.finish();
  return { rows, counts };
}

test("rows are decoded, a batch at a time, from messages with and without the header", () => {
  const rows: Row[] = Array.from({ length: 10 }, (_, at) => [at, -BigInt(at), Buffer.from("x".repeat(at * 7))]);
  const tuples = rows.map(([small, large, text]) => tuple(int4(small), int8(large), text));
  const alone = read([header, ...tuples, trailer]);
  assert.deepEqual(alone, { rows, counts: [4, 4, 2] });
  assert.deepEqual(read([Buffer.concat([header, tuples[0]]), ...tuples.slice(1), trailer]), alone);
  assert.deepEqual(read([Buffer.concat([header, ...tuples, trailer])]), alone);
  assert.deepEqual(read([header, trailer]), { rows: [], counts: [] });
  assert.deepEqual(read([Buffer.concat([header, trailer])]), { rows: [], counts: [] });
});

test("a batch ends when a column has enough bytes, and a value of any size fits", () => {
  const large = Buffer.alloc(5000, 7);
  const rows: Row[] = [
    [1, 1n, large],
    [2, 2n, Buffer.alloc(0)],
  ];
  const tuples = rows.map(([small, wide, text]) => tuple(int4(small), int8(wide), text));
  assert.deepEqual(read([header, ...tuples, trailer], 4, 1000), { rows, counts: [1, 1] });
});

test("NULL reads as the sink's value, and integers of any width as their value", () => {
  const rows = [
    tuple(undefined, undefined, undefined),
    tuple(int8(77n), int4(-5), Buffer.from("a")),
    tuple(Buffer.from("ff00", "hex").swap16(), Buffer.from("fffe", "hex"), Buffer.from("b")),
  ];
  assert.deepEqual(read([header, ...rows, trailer]).rows, [
    [0, 0n, Buffer.alloc(0)],
    [77, -5n, Buffer.from("a")],
    [255, -2n, Buffer.from("b")],
  ]);
});

test("what is no row is refused by name", () => {
  const good = tuple(int4(1), int8(2n), Buffer.from("x"));
  const refused = (messages: Buffer[], message: RegExp): void => {
    assert.throws(
      () => read(messages),
      (error: unknown) => error instanceof ProtocolError && message.test(error.message),
    );
  };
  refused([Buffer.from("PGCOPX")], /signature/);
  refused([header, good], /without the end mark/);
  refused([header, trailer, good], /follow the end mark/);
  refused([header, good.subarray(0, good.length - 1), trailer], /cut off/);
  refused([header, good.subarray(0, 1)], /cut off/);
  refused([header, tuple(int4(1)), trailer], /1 columns instead of 3/);
  refused([header, tuple(int4(-1), int8(2n), Buffer.alloc(0)), trailer], /column0 .* outside/);
  refused([header, tuple(int8(2n ** 32n), int8(2n), Buffer.alloc(0)), trailer], /column0 .* outside/);
  refused([header, tuple(int4(1), Buffer.alloc(3), Buffer.alloc(0)), trailer], /column1 has a value of 3 bytes/);
  const flagged = Buffer.from(header);
  flagged[11] = 1;
  refused([flagged, good, trailer], /unknown flags/);
});

test("written rows are read back the same, in whatever pieces the socket gives them", () => {
  const row = fc.tuple(
    fc.oneof(fc.nat(3), fc.constantFrom(0, 255, 65_536, 0x7fffffff)),
    fc.oneof(fc.bigInt(-3n, 3n), fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n, -(2n ** 31n), 2n ** 32n)),
    fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.constant(new Uint8Array(300_000))),
  );
  fc.assert(
    fc.property(fc.array(row, { maxLength: 30 }), fc.array(fc.integer({ min: 1, max: 70_000 })), (rows, cuts) => {
      const stream = Buffer.concat(write(rows.map(([small, large, text]) => [small, large, Buffer.from(text)])));
      const payloads: Buffer[] = [];
      const splitter = splitMessages((type, bytes, start, end) => {
        assert.equal(type, 0x64);
        payloads.push(Buffer.from(bytes.slice(start + 5, end)));
      });
      let at = 0;
      for (const cut of [...cuts, stream.length]) {
        splitter.push(stream.subarray(at, Math.min(stream.length, at + cut)));
        at = Math.min(stream.length, at + cut);
      }
      if (at < stream.length) splitter.push(stream.subarray(at));
      assert.ok(splitter.isBetween);
      // The writer's messages are cut anywhere between rows, so reading takes them as they are.
      const got = read(payloads, 7).rows;
      assert.deepEqual(
        got,
        rows.map(([small, large, text]) => [small, large, Buffer.from(text)]),
      );
    }),
    { numRuns: 60 },
  );
});

/** Encodes rows, two at a time, and puts the headers in. */
function write(rows: readonly Row[]): Buffer[] {
  const writer = openCopyWriter();
  const messages: Buffer[] = [];
  const take = (message: Uint8Array): void => {
    const copy = Buffer.from(message);
    copy[0] = 0x64;
    copy.writeInt32BE(copy.length - 1, 1);
    messages.push(copy);
    writer.recycle(message);
  };
  for (let from = 0; from < rows.length; from += 2) {
    const some = rows.slice(from, from + 2);
    const large = new Uint32Array(2 * some.length);
    const offsets = new Uint32Array(some.length + 1);
    some.forEach(([, value, text], at) => {
      large[2 * at] = Number(BigInt.asUintN(32, value));
      large[2 * at + 1] = Number(BigInt.asUintN(32, value >> 32n));
      offsets[at + 1] = offsets[at] + text.length;
    });
    const columns: CopyValues[] = [
      { type: "int4", values: Uint32Array.from(some, ([small]) => small) },
      { type: "int8", values: large },
      { type: "bytes", offsets, arena: Buffer.concat(some.map(([, , text]) => text)) },
    ];
    for (const message of writer.add(columns, some.length)) take(message);
  }
  take(writer.end());
  return messages;
}

test("columns that are absent are zeros and no bytes, numbers count up, and wide ones are cut to 32 bits", () => {
  const writer = openCopyWriter();
  const columns: CopyValues[] = [
    { type: "int4", values: undefined },
    { type: "int8", values: undefined },
    { type: "int4-of-8", values: Uint32Array.of(7, 0, 0xffffffff, 0xffffffff) },
    { type: "serial", first: 2 ** 32 },
    { type: "bytes", offsets: undefined, arena: new Uint8Array(0) },
  ];
  assert.deepEqual([...writer.add(columns, 2)], []);
  const expected = [
    header,
    tuple(int4(0), int8(0n), int4(7), int8(2n ** 32n), Buffer.alloc(0)),
    tuple(int4(0), int8(0n), int4(-1), int8(2n ** 32n + 1n), Buffer.alloc(0)),
    trailer,
  ];
  assert.deepEqual(Buffer.from(writer.end().slice(5)), Buffer.concat(expected));
});

test("a message of an impossible length is refused at once", () => {
  const splitter = splitMessages(() => {});
  assert.throws(() => splitter.push(Buffer.from("6400000003", "hex")), ProtocolError);
  assert.throws(() => splitMessages(() => {}).push(Buffer.from("64ffffffff", "hex")), ProtocolError);
});
