import type { BytesColumn } from "../../model/batch.ts";
import { integersOf, unsignedAt } from "../../model/batch.ts";
import { trashInode } from "../../model/juicefs.ts";
import { tableNamed } from "../../model/schema.ts";
import type { TableSchema } from "../../model/schema.ts";
import { keyFrom } from "../../format/key.ts";
import { pathSchema } from "../../format/path-index.ts";
import { readPage, readTable } from "../../repository/snapshot.ts";
import type { Snapshot } from "../../repository/snapshot.ts";
import { compareWide, wideOf } from "./wide.ts";

/** The highest number of its sort that any record names, and what names it: "a deleted file". */
export interface Reference {
  number: bigint;
  by: string;
}

/** Tables whose key begins with an inode. The order decides who is named when several refer to the same one. */
const inodeTables = [
  ["node", "a node"],
  ["deleted_file", "a deleted file"],
  ["chunk", "a chunk"],
  ["detached_node", "a detached directory"],
  ["symlink", "a symbolic link"],
  ["xattr", "an extended attribute"],
  ["dir_stat", "a directory statistic"],
] as const;

/**
 * The highest inode below the trash that any record refers to. From the manifest's extremes and, where these are of the trash, one
 * page for each table, so it costs the same at any size.
 */
export async function highestInode(snapshot: Snapshot): Promise<Reference> {
  const found: Reference[] = [{ number: 1n, by: "the root" }];
  for (const [table, by] of inodeTables) found.push({ number: await highestKey(snapshot, table), by });
  const open = greatest(snapshot, "sustained", "inode");
  found.push({ number: open < trashInode ? open : 0n, by: "a deleted file that is open" });
  const target = greatest(snapshot, "edge", "inode");
  const inTrash = target >= trashInode;
  found.push({ number: inTrash ? await highestIn(snapshot, pathSchema) : target, by: "a directory entry" });
  found.push({ number: await highestKey(snapshot, "edge"), by: "the directory of an entry" });
  return highestOf(found);
}

/** The number of the highest trash directory, or 0. */
export function highestTrash(snapshot: Snapshot): bigint {
  const inodes = [
    greatest(snapshot, "node", "inode"),
    greatest(snapshot, "edge", "inode"),
    greatest(snapshot, "edge", "parent"),
    greatest(snapshot, "dir_stat", "inode"),
  ];
  return inodes.reduce((most, inode) => (inode - trashInode > most ? inode - trashInode : most), 0n);
}

/** The highest slice id in chunks, delayed slices and reference counts. Reads all chunks. */
export async function highestSlice(
  snapshot: Snapshot,
  onRecords: (count: number) => void,
  signal: AbortSignal,
): Promise<Reference> {
  const inChunks = await highestId(snapshot, "chunk", chunkSlice, onRecords, signal);
  const inDelayed = await highestId(snapshot, "delayed_slice", delayedSlice, onRecords, signal);
  return highestOf([
    { number: inChunks, by: "a chunk" },
    { number: inDelayed, by: "a delayed slice" },
    { number: greatest(snapshot, "delayed_slice", "id"), by: "a delayed slice" },
    { number: greatest(snapshot, "slice_ref", "id"), by: "a reference count" },
  ]);
}

function highestOf(references: readonly Reference[]): Reference {
  return references.reduce((most, one) => (one.number > most.number ? one : most));
}

/** The greatest value of an unsigned column, from the manifest; 0 for an empty table. */
export function greatest(snapshot: Snapshot, table: string, column: string): bigint {
  const extremes = snapshot.manifest.tables.find((one) => one.name === table)?.extremes;
  return BigInt(extremes?.[column]?.max ?? 0);
}

/** The greatest inode below the trash among the keys of a table, or 0. */
function highestKey(snapshot: Snapshot, table: string): Promise<bigint> | bigint {
  const schema = tableNamed(snapshot.kind, table);
  const most = greatest(snapshot, table, schema.columns[0].name);
  return most < trashInode ? most : highestIn(snapshot, schema);
}

async function highestIn(snapshot: Snapshot, schema: TableSchema): Promise<bigint> {
  // A key that is only the trash's inode sorts before all longer ones that begin with it.
  const key = keyFrom(schema, [schema.keyCount === 1 ? trashInode - 1n : trashInode]);
  const entry = await snapshot.index(schema.name).find(key);
  if (entry === undefined) return 0n;
  const batch = await readPage(snapshot, schema.name, entry);
  const inodes = integersOf(batch, 0);
  let most = 0n;
  for (let row = 0; row < batch.count; row += 1) {
    const inode = unsignedAt(inodes, row);
    if (inode >= trashInode) break;
    most = inode;
  }
  return most;
}

/** Where a slice record has its id (JuiceFS `pkg/meta/slice.go`, big-endian). */
interface SliceLayout {
  bytes: number;
  idAt: number;
}

/** `pos u32, id u64, size u32, off u32, len u32`. */
const chunkSlice: SliceLayout = { bytes: 24, idAt: 4 };
/** `id u64, size u32`. */
const delayedSlice: SliceLayout = { bytes: 12, idAt: 0 };

async function highestId(
  snapshot: Snapshot,
  table: string,
  layout: SliceLayout,
  onRecords: (count: number) => void,
  signal: AbortSignal,
): Promise<bigint> {
  const most = { low: 0, high: 0 };
  for await (const batch of readTable(snapshot, table)) {
    signal.throwIfAborted();
    const column = batch.columns[2] as BytesColumn | undefined;
    if (column !== undefined) raiseToIds(most, column, batch.count, layout);
    onRecords(batch.count);
  }
  return wideOf(most.low, most.high);
}

function raiseToIds(
  most: { low: number; high: number },
  column: BytesColumn,
  count: number,
  layout: SliceLayout,
): void {
  const { offsets, arena } = column;
  for (let row = 0; row < count; row += 1) {
    const last = offsets[row + 1] - layout.bytes;
    for (let at = offsets[row]; at <= last; at += layout.bytes) {
      const high = wordAt(arena, at + layout.idAt);
      const low = wordAt(arena, at + layout.idAt + 4);
      if (compareWide(low, high, most.low, most.high) <= 0) continue;
      most.low = low;
      most.high = high;
    }
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}
