import assert from "node:assert/strict";
import { test } from "node:test";
import { batchFromRows } from "../../src/model/batch.ts";
import type { Batch } from "../../src/model/batch.ts";
import { CairnError } from "../../src/model/errors.ts";
import { juicefs } from "../../src/model/juicefs.ts";
import { tableNamed } from "../../src/model/schema.ts";
import type { TableSchema } from "../../src/model/schema.ts";
import { createHash } from "node:crypto";
import { decodeFrame, encodeFrame } from "../../src/format/frame.ts";
import { decodeIndexPage, encodeIndexPage } from "../../src/format/index-page.ts";
import { decodeManifest } from "../../src/format/manifest.ts";
import { decodePackFooter, decodePackTrailer, encodePackEnd, packFooterBytes } from "../../src/format/pack.ts";
import { decodePage, encodePage } from "../../src/format/page.ts";
import { applyPatchScript, encodePatchScript } from "../../src/format/patch.ts";
import { MemoryStore } from "../../src/repository/stores/memory.ts";
import { counts } from "../counts.ts";
import { backUpRows } from "../support/run-backup.ts";
import { changedRows, volumeRows } from "../support/volume-rows.ts";
import { seededRandom } from "../volumes/seeded-random.ts";
import type { SeededRandom } from "../volumes/seeded-random.ts";

const seed = Number(process.env["CAIRN_FUZZ_SEED"] ?? 20261121);
/** No input here is longer than 100 KB: what a parser makes of one must stay within this. */
const outputBytesMax = 64 << 20;
const inputMsMax = 2000;

/** One change or several: bits, bytes that are extremes, stretches moved, doubled or cut. */
function mutate(random: SeededRandom, bytes: Uint8Array): Uint8Array {
  let result = Buffer.from(bytes);
  for (let left = 1 + random.below(3); left > 0 && result.length > 0; left -= 1) {
    const at = random.below(result.length);
    const length = 1 + random.below(Math.min(64, result.length - at));
    switch (random.below(7)) {
      case 0:
        result[at] ^= 1 << random.below(8);
        break;
      case 1:
        result[at] = random.pick([0, 1, 0x7f, 0x80, 0xff, 4, 8, 255]);
        break;
      case 2:
        result.fill(random.pick([0, 0xff]), at, at + Math.min(4, length));
        break;
      case 3:
        result = Buffer.concat([result.subarray(0, at), result.subarray(at + length)]);
        break;
      case 4:
        result = Buffer.concat([result.subarray(0, at + length), result.subarray(at)]);
        break;
      case 5:
        result = result.subarray(0, at);
        break;
      default:
        result.set(random.bytes(length), at);
    }
  }
  return new Uint8Array(result);
}

function bytesOfBatch(batch: Batch): number {
  return batch.columns.reduce((sum, column) => {
    if (column === undefined) return sum;
    return sum + ("values" in column ? column.values.byteLength : column.offsets.byteLength + column.arena.byteLength);
  }, 0);
}

/** Feeds a parser mutations of valid inputs until the time is over; it gives the size of what it made, or throws what we allow. */
function fuzz(name: string, inputs: readonly Uint8Array[], parse: (bytes: Uint8Array, input: number) => number): void {
  test(`${name}: a mutation is refused, or read within bounds`, (context) => {
    const random = seededRandom(seed);
    const end = performance.now() + counts.fuzzSeconds * 1000;
    let runs = 0;
    let accepted = 0;
    for (; performance.now() < end; runs += 1) {
      const input = random.below(inputs.length);
      const bytes = runs < inputs.length ? inputs[runs] : mutate(random, inputs[input]);
      const began = performance.now();
      try {
        const made = parse(bytes, runs < inputs.length ? runs : input);
        accepted += 1;
        assert.ok(made <= outputBytesMax, `${made} bytes made of ${bytes.length}`);
      } catch (error) {
        if (!(error instanceof CairnError)) {
          context.diagnostic(`input (seed ${seed}, run ${runs}): ${Buffer.from(bytes).toString("hex").slice(0, 2000)}`);
          throw error;
        }
      }
      assert.ok(performance.now() - began < inputMsMax, `run ${runs} took too long`);
    }
    context.diagnostic(`seed ${seed}: ${runs} inputs, ${accepted} of them accepted`);
    assert.ok(accepted >= inputs.length, "the inputs themselves are accepted");
  });
}

const before = volumeRows(41, 120);
const after = changedRows(before, 42, 0.2);
const small = (name: string, rows: typeof before): Batch =>
  batchFromRows(
    tableNamed(juicefs, name),
    0,
    rows[name].filter((row) => row.every((value) => !(value instanceof Uint8Array) || value.length < 1000)),
  );
const page = (schema: TableSchema, batch: Batch): Uint8Array => encodePage(schema, batch, 0, batch.count).raw;

const tables = juicefs.tables.filter(({ name }) => before[name].length > 0);
fuzz(
  "pages",
  tables.map((schema) => page(schema, small(schema.name, before))),
  (bytes, input) => bytesOfBatch(decodePage(tables[input], 0, bytes).batch),
);

const bases = tables.map((schema) => decodePage(schema, 0, page(schema, small(schema.name, before))).batch);
fuzz(
  "patches",
  tables.map((schema, at) => encodePatchScript(schema, bases[at], small(schema.name, after))),
  (bytes, input) => {
    const made = applyPatchScript(tables[input], bases[input], bytes);
    // What a patch gives is encoded again before it is compared with its id.
    return bytesOfBatch(made) + encodePage(tables[input], made, 0, made.count).raw.length;
  },
);

const location = { pack: "0123456789abcdef0123456789abcdef", offset: 8, length: 4000 };
const entries = Array.from({ length: 300 }, (_, at) => ({
  firstKey: Buffer.from(`key-${String(at).padStart(6, "0")}`),
  id: createHash("sha256").update(String(at)).digest("hex"),
  rawBytes: 1000 + at,
  records: 4096,
  tail: at,
  location: { ...location, offset: 8 + at * 4000 },
  chain: at % 5 === 0 ? [location, location] : [],
}));
fuzz(
  "index pages",
  [encodeIndexPage(entries), encodeIndexPage(entries.slice(0, 1))],
  (bytes) => decodeIndexPage(bytes).length,
);

const packEnd = encodePackEnd(
  entries.map((entry) => ({ ...entry.location, ...entry })),
  5000,
);
fuzz("packs' ends", [packEnd], (bytes) => {
  const footer = decodePackFooter(bytes.subarray(-packFooterBytes), "a pack");
  const trailer = bytes.subarray(0, Math.max(0, bytes.length - packFooterBytes));
  // With its hash made right, so that the parser behind it is reached.
  const hash = footer.length === trailer.length ? createHash("sha256").update(trailer).digest() : footer.hash;
  return decodePackTrailer(trailer, hash, "a pack").length;
});

const raw = page(tables[2], small(tables[2].name, before));
fuzz(
  "frames",
  [encodeFrame(raw), encodeFrame(raw, [100, 2000, 4000]), encodeFrame(Buffer.from("x"))],
  (bytes) => decodeFrame(bytes, "a frame").length,
);

const store = new MemoryStore();
const { object, manifest } = await backUpRows(store, before);
const manifestBytes = store.objects.get(object) ?? new Uint8Array(0);

/** With its closing hash made right again. */
function resealed(bytes: Uint8Array): Uint8Array {
  const content = bytes.subarray(0, Math.max(0, bytes.length - 32));
  return Buffer.concat([content, createHash("sha256").update(content).digest()]);
}

fuzz("manifests", [manifestBytes], (bytes) => JSON.stringify(decodeManifest(resealed(bytes), manifest.id)).length);

/** The JSON inside, mutated as text, in a whole envelope. */
const headerLength = Buffer.from(manifestBytes).readUInt32LE(8);
const frameStart = 12 + headerLength + 8;
const body = decodeFrame(manifestBytes.subarray(frameStart, -32), "a manifest", 1 << 20);
fuzz("manifests' bodies", [body], (bytes) => {
  const frame = encodeFrame(bytes);
  const lengths = Buffer.alloc(8);
  lengths.writeUInt32LE(bytes.length, 0);
  lengths.writeUInt32LE(frame.length, 4);
  const whole = Buffer.concat([manifestBytes.subarray(0, 12 + headerLength), lengths, frame, Buffer.alloc(32)]);
  return JSON.stringify(decodeManifest(resealed(whole), manifest.id)).length;
});
