import { closeSync, ftruncateSync, mkdirSync, openSync } from "node:fs";
import { dirname, join } from "node:path";
import { readDelayedSlices, readSlices } from "./slices.ts";
import type { SqliteFile } from "./sqlite-file.ts";
import { openSqliteFile } from "./sqlite-file.ts";

/**
 * Makes an object of the right name and size, all zeros, for every block that a volume's slices need (§1.5): a volume whose metadata alone is
 * at hand gets a bucket in which `juicefs fsck` misses nothing. The volume must have no table prefix and no hash prefix. Returns the number of objects.
 */
export function makeBlocks(database: string, bucket: string): number {
  const file = openSqliteFile(database);
  let made = 0;
  try {
    const read = (field: string) => file.all(`SELECT json_extract(value, '$.${field}') FROM jfs_setting`)[0][0];
    const name = String(read("Name"));
    const blockBytes = Number(read("BlockSize")) * 1024;
    const done = new Set<bigint>();
    for (const { id, size } of namedSlices(file)) {
      if (id === 0n || done.has(id)) {
        continue;
      }
      done.add(id);
      const folder = join(bucket, name, "chunks", String(id / 1_000_000n), String(id / 1000n));
      for (let at = 0; at * blockBytes < size; at += 1) {
        const bytes = Math.min(blockBytes, size - at * blockBytes);
        makeSparse(join(folder, `${id}_${at}_${bytes}`), bytes);
        made += 1;
      }
    }
  } finally {
    file.close();
  }
  return made;
}

/** The slices of chunks and of delayed records: fsck looks for both. */
function* namedSlices(file: SqliteFile): Generator<{ id: bigint; size: number }> {
  for (const [slices] of file.iterate("SELECT CAST(slices AS BLOB) FROM jfs_chunk")) {
    yield* slices instanceof Uint8Array ? readSlices(slices) : [];
  }
  for (const [slices] of file.iterate("SELECT CAST(slices AS BLOB) FROM jfs_delslices")) {
    yield* slices instanceof Uint8Array ? readDelayedSlices(slices) : [];
  }
}

function makeSparse(path: string, bytes: number): void {
  mkdirSync(dirname(path), { recursive: true });
  const descriptor = openSync(path, "w");
  ftruncateSync(descriptor, bytes);
  closeSync(descriptor);
}
