/** The records that the conformance suite restores: all that is odd and that every engine can hold. */
import { batchFromRows } from "../../src/model/batch.ts";
import type { Batch, Row, Value } from "../../src/model/batch.ts";
import { juicefs, trashInode } from "../../src/model/juicefs.ts";
import type { TargetPlan } from "../../src/model/ports.ts";
import { counterRows, edgeRow, nodeRow, settingRows } from "../support/synthetic-snapshot.ts";
import { sliceRecord, sortRows } from "../support/volume-rows.ts";
import type { TableRows } from "../support/volume-rows.ts";

export const volumeId = "5ca1ab1e-0000-4000-8000-000000000001";
const now = 1_760_000_000n;

/** Files beside the odd ones, so that there is more than one batch of a table. */
const files = 3000;

export function targetRows(): TableRows {
  const rows: TableRows = Object.fromEntries(juicefs.tables.map(({ name }): [string, Row[]] => [name, []]));
  rows["setting"] = settingRows({
    Name: "conform",
    UUID: volumeId,
    Storage: "file",
    Bucket: "/var/empty/",
    BlockSize: 4096,
    TrashDays: 1,
    MetaVersion: 1,
    MinClientVersion: "1.1.0-A",
    DirStats: true,
    EnableACL: true,
  });
  rows["counter"] = counterRows({
    nextChunk: 1n << 40n,
    nextInode: 1n << 41n,
    nextTrash: 3,
    totalInodes: files,
    usedSpace: -4096,
  });
  rows["node"].push(
    nodeRow(1n, { type: 2, length: 4096n, nlink: 3 }),
    nodeRow(trashInode, { type: 2, length: 4096n, nlink: 2 }),
  );
  rows["node"].push(nodeRow(2n, { type: 2, length: 4096n, nlink: 2 }));
  rows["edge"].push(edgeRow(1n, "folder", 2n, 2));
  for (let at = 0; at < files; at += 1) addFile(rows, 100n + BigInt(at), at);
  addOddNames(rows);
  addOddContents(rows);
  addSideRecords(rows);
  for (const name of Object.keys(rows)) sortRows(name, rows[name]);
  return rows;
}

function addFile(rows: TableRows, inode: bigint, at: number): void {
  rows["node"].push(nodeRow(inode, { type: 1, length: 1000n, nlink: 1, uid: at % 7, gid: 0x7fffffff }));
  rows["edge"].push(edgeRow(2n, `file-${at}`, inode, 1));
  rows["chunk"].push([inode, 0, sliceRecord(0, inode, 1000, 0, 1000)]);
}

function addOddNames(rows: TableRows): void {
  const names = [
    Buffer.alloc(255, "n"),
    Buffer.alloc(255, 0xff),
    Buffer.from([1]),
    Buffer.from([0x5c, 0x4e]),
    Buffer.from("a\tb\nc\rd"),
    Buffer.from("%00'\"`\\"),
    Buffer.from([0xc3, 0x28, 0xf0, 0x9f]),
    Buffer.from("A"),
    Buffer.from("a"),
    Buffer.from("\u00e9"),
    Buffer.from("e\u0301"),
  ];
  for (const [at, name] of names.entries()) {
    const inode = 10_000n + BigInt(at);
    rows["node"].push(nodeRow(inode, { type: 3, length: BigInt(name.length), nlink: 1 }));
    rows["edge"].push([1n, new Uint8Array(name), inode, 3]);
    rows["symlink"].push([inode, new Uint8Array(name)]);
  }
}

function addOddContents(rows: TableRows): void {
  const every = new Uint8Array(Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)));
  const text = (value: string): Uint8Array => new Uint8Array(Buffer.from(value));
  rows["xattr"].push(
    [100n, text("user.empty"), new Uint8Array(0)],
    [100n, text("user.every-byte"), every],
    [100n, text("user.large"), new Uint8Array(65_535).fill(0x27)],
    [100n, text(`user.${"x".repeat(250)}`), text("longest name")],
    [100n, text("user.näme"), text("wert")],
  );
  rows["node"].push(nodeRow(20_000n, { type: 3, length: 4096n, nlink: 1 }));
  rows["edge"].push(edgeRow(1n, "long link", 20_000n, 3));
  rows["symlink"].push([20_000n, new Uint8Array(4096).fill(0xe9)]);
  // A chunk of as many slices as every engine holds, one of which is a hole, and slices that several chunks share.
  rows["node"].push(nodeRow(20_001n, { type: 1, length: 1n << 40n, nlink: 2, parent: 0n }));
  rows["edge"].push(edgeRow(1n, "many slices", 20_001n, 1), edgeRow(2n, "many slices, linked", 20_001n, 1));
  const many = Array.from({ length: 2730 }, (_, at) =>
    at === 7 ? sliceRecord(0, 0n, 0, 0, 5) : sliceRecord(at, 500_000n + BigInt(at), 10, 0, 10),
  );
  rows["chunk"].push([20_001n, 0, new Uint8Array(Buffer.concat(many))]);
  rows["chunk"].push([20_001n, 3, sliceRecord(0, 500_000n, 10, 0, 10)]);
  rows["slice_ref"].push([500_000n, 10, 2n], [700_000n, 4096, 0n]);
}

function addSideRecords(rows: TableRows): void {
  rows["node"].push(nodeRow(20_002n, { type: 1, length: 5n, nlink: 0 }));
  rows["sustained"].push([3n, 20_002n]);
  rows["node"].push(nodeRow(20_003n, { type: 2, length: 4096n, nlink: 2 }));
  rows["detached_node"].push([20_003n, now]);
  rows["deleted_file"].push([30_000n, 10n, now]);
  rows["chunk"].push([30_000n, 0, sliceRecord(0, 600_000n, 10, 0, 10)]);
  const delayed = Buffer.alloc(12);
  delayed.writeBigUInt64BE(600_001n, 0);
  delayed.writeUInt32BE(99, 8);
  rows["delayed_slice"].push([600_002n, now, new Uint8Array(delayed)]);
  const entry = Buffer.alloc(6);
  entry.writeUInt32BE(0x7fffffff, 0);
  entry.writeUInt16BE(5, 4);
  rows["acl"].push([9, 7, 5, 7, 0, new Uint8Array(entry), new Uint8Array(0)]);
  rows["dir_stat"].push([1n, 0n, 0n, 12n], [2n, -5n, -4096n, BigInt(files)]);
  rows["quota"].push([0, 2n, 1n << 50n, -1n, 4096n, 1n], [1, 1000n, -1n, 500n, 0n, 0n], [2, 100n, 1n, 2n, 3n, 4n]);
}

/** The batches of all tables in the kind's order, a thousand records each. */
export function* sortedBatches(): Generator<Batch> {
  const rows = targetRows();
  for (const [table, schema] of juicefs.tables.entries()) {
    const own = rows[schema.name];
    for (let at = 0; at < own.length; at += 1000) yield batchFromRows(schema, table, own.slice(at, at + 1000));
  }
}

/** What a target must know of these records. */
export function planOf(): TargetPlan {
  const rows = targetRows();
  const extremes: Record<string, string> = {};
  const size = (value: Value): bigint => (value instanceof Uint8Array ? BigInt(value.length) : BigInt(value));
  for (const { name, columns } of juicefs.tables) {
    for (const [index, column] of columns.entries()) {
      const values = rows[name].map((row) => size(row[index]));
      if (values.length > 0) extremes[`${name}.${column.name}`] = String(values.reduce((a, b) => (a > b ? a : b)));
    }
  }
  return {
    kind: juicefs,
    volumeId,
    volumeName: "conform",
    facts: { nextSession: "3" },
    counts: Object.fromEntries(Object.entries(rows).map(([name, own]) => [name, own.length])),
    extremes,
    secrets: {},
    async *read(table) {
      const index = juicefs.tables.findIndex(({ name }) => name === table);
      yield batchFromRows(juicefs.tables[index], index, rows[table]);
    },
  };
}
