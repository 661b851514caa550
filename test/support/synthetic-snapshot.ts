import { tmpdir } from "node:os";
import { batchFromRows, rowAt } from "../../src/model/batch.ts";
import type { Batch, Row } from "../../src/model/batch.ts";
import { fileType, juicefs, settingType } from "../../src/model/juicefs.ts";
import type { Facts, Finding } from "../../src/model/ports.ts";
import { tableNamed } from "../../src/model/schema.ts";
import { identityVersion } from "../../src/format/limits.ts";
import type { Extreme } from "../../src/format/extremes.ts";
import type { RawPage } from "../../src/format/pager.ts";
import { PageLine } from "../../src/pipeline/page-line.ts";
import { initRepository } from "../../src/repository/repository.ts";
import type { Repository } from "../../src/repository/repository.ts";
import { openSnapshot, readTable } from "../../src/repository/snapshot.ts";
import type { Snapshot } from "../../src/repository/snapshot.ts";
import { SnapshotWriter } from "../../src/repository/snapshot-writer.ts";
import { MemoryStore } from "../../src/repository/stores/memory.ts";
import { isoTime, systemClock } from "../../src/std/clock.ts";

/** Records by table name, in any order; a table may also be batches, for large ones. */
export type SyntheticTables = Readonly<Record<string, readonly Row[] | Iterable<Batch>>>;

export interface SyntheticOptions {
  tables: SyntheticTables;
  facts?: Facts;
  findings?: Finding[];
  /** A repository in memory of its own unless given. */
  repository?: Repository;
  parent?: Snapshot;
  volumeId?: string;
}

/** Writes a snapshot of kind `juicefs` from records, by the same page line and writer as a backup, and opens it. */
export async function makeSyntheticSnapshot(options: SyntheticOptions): Promise<Snapshot> {
  const repository = options.repository ?? (await initRepository(new MemoryStore()));
  const volumeId = options.volumeId ?? "5a3c0000-0000-4000-8000-00000000000a";
  const nowMs = systemClock.now();
  const writer = await SnapshotWriter.open(repository, juicefs, volumeId, options.parent, systemClock);
  const pages: ({ page: RawPage } | { large: Uint8Array<ArrayBuffer> })[] = [];
  const extremes: Record<string, Extreme>[] = [];
  const lineOptions = {
    kind: juicefs,
    sortedTables: [],
    memoryBytes: 128 << 20,
    temporaryFolder: tmpdir(),
    pathIndex: true,
    frames: true,
  };
  using line = new PageLine(lineOptions, {
    page: (page) => pages.push({ page }),
    large: (large) => pages.push({ large }),
    tableEnd: (table, of) => {
      extremes[table] = of;
    },
  });
  const store = async (): Promise<void> => {
    for (const one of pages.splice(0)) {
      if ("large" in one) await writer.addLarge(one.large);
      else await writer.add(one.page.table, await writer.prepare(one.page));
    }
  };
  for (const [table, records] of Object.entries(options.tables)) {
    for (const batch of asBatches(table, records)) {
      line.push(batch);
      await store();
    }
  }
  line.finish();
  await store();
  const { manifest } = await writer.publish(
    {
      identityVersion,
      time: isoTime(nowMs),
      volumeName: "synthetic",
      system: "JuiceFS",
      engine: { name: "synthetic", version: "1" },
      tool: { name: "cairn", version: "test" },
      started: isoTime(nowMs),
      ended: isoTime(nowMs),
      consistency: { level: "snapshot", method: "made up", position: {} },
      note: "",
      tags: {},
      facts: options.facts ?? {},
      findings: options.findings ?? [],
      omitted: {},
      secrets: {},
    },
    extremes,
    nowMs,
  );
  return openSnapshot(repository, manifest, [juicefs]);
}

function asBatches(table: string, records: readonly Row[] | Iterable<Batch>): Iterable<Batch> {
  const schema = tableNamed(juicefs, table);
  const position = juicefs.tables.indexOf(schema);
  if (!Array.isArray(records)) return records as Iterable<Batch>;
  return records.length === 0 ? [] : [batchFromRows(schema, position, records as Row[])];
}

/** All records of a stream of batches of a table, as rows. */
export async function rowsOf(table: string, batches: AsyncIterable<Batch>): Promise<Row[]> {
  const schema = tableNamed(juicefs, table);
  const rows: Row[] = [];
  for await (const batch of batches)
    for (let row = 0; row < batch.count; row += 1) rows.push(rowAt(schema, batch, row));
  return rows;
}

/** All records of a table of a snapshot. */
export function tableRows(snapshot: Snapshot, table: string): Promise<Row[]> {
  return rowsOf(table, readTable(snapshot, table));
}

export interface NodeFields {
  type?: number;
  uid?: number;
  gid?: number;
  nlink?: number;
  length?: bigint;
  parent?: bigint;
}

/** A record of table `node`: a regular file unless said, its times 0. */
export function nodeRow(inode: bigint, fields: NodeFields = {}): Row {
  const { type = fileType.regular, uid = 0, gid = 0, nlink = 1, length = 0n, parent = 1n } = fields;
  return [inode, type, 0, 0o644, uid, gid, 0n, 0, 0n, 0, 0n, 0, nlink, length, 0, parent, 0, 0, 0];
}

export function edgeRow(parent: bigint, name: string, inode: bigint, type: number = fileType.regular): Row {
  return [parent, Buffer.from(name), inode, type];
}

/** Records of `counter`, by name. */
export function counterRows(counters: Readonly<Record<string, bigint | number>>): Row[] {
  return Object.entries(counters).map(([name, value]) => [Buffer.from(name), BigInt(value)]);
}

/** Records of `setting`: texts as strings, whole numbers, flags, and anything else as JSON. */
export function settingRows(fields: Readonly<Record<string, unknown>>): Row[] {
  return Object.entries(fields).map(([field, value]) => {
    const [type, text] =
      typeof value === "string"
        ? [settingType.string, value]
        : typeof value === "number"
          ? [settingType.integer, String(value)]
          : typeof value === "boolean"
            ? [settingType.boolean, String(value)]
            : [settingType.json, JSON.stringify(value)];
    return [Buffer.from(field), type, Buffer.from(text)];
  });
}

/** One slice record of a chunk: `pos u32, id u64, size u32, off u32, len u32`, big-endian. */
export function chunkSlice(id: bigint, size: number): Buffer {
  const record = Buffer.alloc(24);
  record.writeBigUInt64BE(id, 4);
  record.writeUInt32BE(size, 12);
  record.writeUInt32BE(size, 20);
  return record;
}

/** One record of a delayed slice: `id u64, size u32`, big-endian. */
export function delayedSlice(id: bigint, size: number): Buffer {
  const record = Buffer.alloc(12);
  record.writeBigUInt64BE(id, 0);
  record.writeUInt32BE(size, 8);
  return record;
}
