import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Row } from "../../model/batch.ts";
import { CairnError } from "../../model/errors.ts";
import { fileType, trashInode } from "../../model/juicefs.ts";
import type { Snapshot } from "../../repository/snapshot.ts";
import {
  chunkSlice,
  counterRows,
  delayedSlice,
  edgeRow,
  makeSyntheticSnapshot,
  nodeRow,
} from "../../../test/support/synthetic-snapshot.ts";
import { changedRows, planInTest } from "./testing.ts";
import type { WantedChanges } from "./plan-changes.ts";

const directory = { type: fileType.directory, length: 4096n, nlink: 2 };
const counters = { nextChunk: 1, nextInode: 1025, nextTrash: 0, totalInodes: 0, usedSpace: 0 };

async function plan(
  tables: Record<string, Row[]>,
  wanted: Partial<WantedChanges>,
): Promise<{ snapshot: Snapshot; descriptions: string[]; after: Record<string, bigint> }> {
  const snapshot = await makeSyntheticSnapshot({
    tables: { node: [nodeRow(1n, directory)], counter: counterRows(counters), ...tables },
  });
  const changes = await planInTest(snapshot, wanted);
  const rows = await changedRows(snapshot, "counter", changes);
  return {
    snapshot,
    descriptions: changes.map(({ name, description }) => `${name}: ${description}`),
    after: Object.fromEntries(rows.map(([name, value]) => [String(Buffer.from(name as Uint8Array)), value as bigint])),
  };
}

test("a deleted file above the next inode lifts it, and is named", async () => {
  const { descriptions, after } = await plan({ deleted_file: [[2047n, 5n, 0n]] }, { repair: ["counters"] });
  assert.deepEqual(descriptions, ["repair-counters: next inode 1025 becomes 2048 (a deleted file still uses 2047)"]);
  assert.equal(after["nextInode"], 2048n);
});

test("every table that refers to an inode counts", async () => {
  const cases: [Record<string, Row[]>, string][] = [
    [{ node: [nodeRow(1n, directory), nodeRow(3000n)] }, "a node"],
    [{ edge: [edgeRow(1n, "x", 3000n)] }, "a directory entry"],
    [{ edge: [edgeRow(3000n, "x", 7n)] }, "the directory of an entry"],
    [{ chunk: [[3000n, 0, chunkSlice(0n, 0)]] }, "a chunk"],
    [{ detached_node: [[3000n, 0n]] }, "a detached directory"],
    [{ sustained: [[2n, 3000n]] }, "a deleted file that is open"],
    [{ symlink: [[3000n, Buffer.from("x")]] }, "a symbolic link"],
    [{ xattr: [[3000n, Buffer.from("x"), Buffer.from("y")]] }, "an extended attribute"],
    [{ dir_stat: [[3000n, 0n, 0n, 0n]] }, "a directory statistic"],
  ];
  for (const [tables, by] of cases) {
    const { descriptions } = await plan(tables, { repair: ["counters"] });
    assert.deepEqual(descriptions, [`repair-counters: next inode 1025 becomes 3001 (${by} still uses 3000)`]);
  }
});

test("every table that names a slice counts, also beyond 2^53", async () => {
  const id = (1n << 60n) + 5n;
  const cases: [Record<string, Row[]>, string][] = [
    [{ chunk: [[2n, 0, Buffer.concat([chunkSlice(id, 7), chunkSlice(3n, 7)])]] }, "a chunk"],
    [{ delayed_slice: [[4n, 0n, Buffer.concat([delayedSlice(3n, 1), delayedSlice(id, 1)])]] }, "a delayed slice"],
    [{ delayed_slice: [[id, 0n, delayedSlice(3n, 1)]] }, "a delayed slice"],
    [{ slice_ref: [[id, 7, 0n]] }, "a reference count"],
  ];
  for (const [tables, by] of cases) {
    const { descriptions, after } = await plan(tables, { repair: ["counters"] });
    assert.deepEqual(descriptions, [`repair-counters: next slice id 1 becomes ${id + 1n} (${by} still uses ${id})`]);
    assert.equal(after["nextChunk"], id + 1n);
  }
});

test("trash directories count for the trash only", async () => {
  const trash = trashInode + 5n;
  const tables = {
    node: [nodeRow(1n, directory), nodeRow(900n), nodeRow(trashInode, directory), nodeRow(trash, directory)],
    edge: [edgeRow(trashInode, "2026-11-21-09", trash, fileType.directory), edgeRow(trash, "1-1500-x", 1500n)],
    dir_stat: [[trash, 0n, 4096n, 1n] as Row],
  };
  const { descriptions } = await plan(tables, { repair: ["counters"] });
  assert.deepEqual(descriptions, [
    "repair-counters: next inode 1025 becomes 1501 (a directory entry still uses 1500); " +
      "last trash directory 0 becomes 5 (there is a trash directory of number 5)",
  ]);
});

test("counters that are high enough stay", async () => {
  const { descriptions } = await plan({ deleted_file: [[1024n, 5n, 0n]] }, { repair: ["counters"] });
  assert.deepEqual(descriptions, []);
});

test("an absent counter is added", async () => {
  const { after } = await plan({ counter: [], deleted_file: [[2047n, 5n, 0n]] }, { repair: ["counters"] });
  assert.deepEqual(after, { nextInode: 2048n });
});

test("the highest inode is found wherever the pages are cut", async () => {
  const volume = fc.record({ nodes: fc.integer({ min: 1, max: 9000 }), trash: fc.integer({ min: 0, max: 4000 }) });
  await fc.assert(
    fc.asyncProperty(volume, async ({ nodes, trash }) => {
      const node = Array.from({ length: nodes }, (_, at) => nodeRow(BigInt(at + 1)));
      for (let at = 0; at < trash; at += 1) node.push(nodeRow(trashInode + BigInt(at)));
      const edge = node.map(([inode]) => edgeRow(inode as bigint, "x", inode as bigint));
      const { after } = await plan({ node, edge, counter: counterRows({}) }, { repair: ["counters"] });
      assert.equal(after["nextInode"] ?? 2n, BigInt(nodes + 1));
      assert.equal(after["nextTrash"] ?? 0n, BigInt(Math.max(0, trash - 1)));
    }),
    { numRuns: 12 },
  );
});

test("advancing goes beyond the counters and all that is used", async () => {
  const tables = { deleted_file: [[2047n, 5n, 0n] as Row], slice_ref: [[9n, 1, 1n] as Row] };
  const { descriptions, after } = await plan(tables, { advanceIds: 10_000_000 });
  assert.deepEqual(descriptions, [
    "advance-ids: next inode 1025 becomes 10002048; next slice id 1 becomes 10000010; last trash directory 0 becomes 100000",
  ]);
  assert.equal(after["nextInode"], 10_002_048n);
});

test("a repair comes before advancing", async () => {
  const tables = { deleted_file: [[2047n, 5n, 0n] as Row] };
  const { descriptions, after } = await plan(tables, { repair: ["counters"], advanceIds: 10 });
  assert.deepEqual(descriptions, [
    "repair-counters: next inode 1025 becomes 2048 (a deleted file still uses 2047)",
    "advance-ids: next inode 2048 becomes 2058; next slice id 1 becomes 11; last trash directory 0 becomes 10",
  ]);
  assert.deepEqual([after["nextInode"], after["nextChunk"], after["nextTrash"]], [2058n, 11n, 10n]);
});

test("numbers of trash directories end before 2^63", async () => {
  const most = 2n ** 63n - 1n - trashInode;
  const at = async (nextTrash: bigint): Promise<bigint | undefined> => {
    const { after } = await plan({ counter: counterRows({ ...counters, nextTrash }) }, { advanceIds: 1000 });
    return after["nextTrash"];
  };
  assert.equal(await at(most - 2000n), most - 1000n);
  assert.equal(await at(most - 10n), most);
  assert.equal(await at(most), most);
});

test("numbers that do not fit are refused", async () => {
  for (const advanceIds of [0, -1, 1.5, Number.NaN, 2 ** 53]) {
    await assert.rejects(plan({}, { advanceIds }), (error) => error instanceof CairnError && error.exit === "wrongUse");
  }
  const tables = { counter: counterRows({ ...counters, nextChunk: 2n ** 63n - 5n }) };
  await assert.rejects(plan(tables, { advanceIds: 10 }), { code: "ids-exhausted" });
  const inodes = { counter: counterRows({ ...counters, nextInode: trashInode - 5n }) };
  await assert.rejects(plan(inodes, { advanceIds: 10 }), { code: "ids-exhausted" });
});
