import assert from "node:assert/strict";
import { test } from "node:test";
import type { Row } from "../../src/model/batch.ts";
import { CairnError } from "../../src/model/errors.ts";
import { MemoryStore } from "../../src/repository/stores/memory.ts";
import { rowsSource } from "../support/rows-source.ts";
import { backUpRows, backUpSource, openSnapshots, readRows, verify } from "../support/run-backup.ts";
import { volumeRows } from "../support/volume-rows.ts";

/** A slice list of so many slices: 24 bytes each. */
function slices(count: number): Uint8Array {
  const bytes = Buffer.alloc(count * 24);
  for (let at = 0; at < count; at += 1) {
    bytes.writeUInt32BE(at, at * 24);
    bytes.writeBigUInt64BE(BigInt(at + 1), at * 24 + 4);
    bytes.writeUInt32BE(7, at * 24 + 12);
    bytes.writeUInt32BE(7, at * 24 + 20);
  }
  return bytes;
}

// Sizes at which pages and values cross from thread to thread in groups of 1 MiB: one value alone, several together, and more than a part.
test("large values come back whole from a backup in threads, whatever their sizes", async () => {
  const store = new MemoryStore();
  const rows = volumeRows(7, 500);
  const chunk: Row[] = [60_000, 13_000, 43_691, 10_922, 10_923, 200_000].map((count, at) => [
    9_000_000n + BigInt(at),
    0,
    slices(count),
  ]);
  rows["chunk"] = [...(rows["chunk"] ?? []), ...chunk];
  const xattrs: Row[] = Array.from({ length: 9 }, (_, at) => [
    9_000_000n,
    Buffer.from(`user.large-${at}`),
    new Uint8Array(300_000 + at).fill(at),
  ]);
  rows["xattr"] = [...(rows["xattr"] ?? []), ...xattrs];
  await backUpRows(store, rows);
  const [snapshot] = await openSnapshots(store);
  await verify(snapshot);
  const read = await readRows(snapshot);
  for (const [inode, index, value] of chunk) {
    const found = read["chunk"].find(([candidate]) => candidate === inode);
    assert.equal(found?.[1], index);
    assert.equal(
      Buffer.compare(found?.[2] as Uint8Array, value as Uint8Array),
      0,
      `the slices of inode ${String(inode)}`,
    );
  }
  for (const [, name, value] of xattrs) {
    const found = read["xattr"].find(
      ([, candidate]) => Buffer.compare(candidate as Uint8Array, name as Uint8Array) === 0,
    );
    assert.equal(Buffer.compare(found?.[2] as Uint8Array, value as Uint8Array), 0);
  }
});

test("a backup that is interrupted before its first page ends at once, and stores nothing", async () => {
  const controller = new AbortController();
  class SlowStore extends MemoryStore {
    override async list(prefix: string, limit?: number): Promise<string[]> {
      if (prefix.startsWith("packs/")) controller.abort(new CairnError("interrupted", "stop"));
      return super.list(prefix, limit);
    }
  }
  const store = new SlowStore();
  const backingUp = backUpSource(store, rowsSource(volumeRows(3, 200)), { signal: controller.signal });
  await assert.rejects(backingUp, { code: "interrupted" });
  assert.deepEqual([...store.objects.keys()], ["cairn.json"]);
});
