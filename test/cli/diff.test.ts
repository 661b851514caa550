import assert from "node:assert/strict";
import test from "node:test";
import { juicefs } from "../../src/model/juicefs.ts";
import type { Row } from "../../src/model/batch.ts";
import { encodeKey } from "../../src/format/key.ts";
import { batchFromRows } from "../../src/model/batch.ts";
import { diffSnapshots } from "../../src/operations/diff.ts";
import type { DiffResult } from "../../src/operations/diff.ts";
import type { TreeChange } from "../../src/operations/tree-change.ts";
import { diffRecords } from "../../src/operations/diff-records.ts";
import type { Snapshot } from "../../src/repository/snapshot.ts";
import { MemoryStore } from "../../src/repository/stores/memory.ts";
import { quietProgress } from "../support/quiet-progress.ts";
import { backUpRows, openSnapshots, steppingClock } from "../support/run-backup.ts";
import type { TableRows } from "../support/volume-rows.ts";
import { changedRows, sortRows, volumeRows } from "../support/volume-rows.ts";
import { treeVolume } from "./tree-volume.ts";

const signal = new AbortController().signal;

async function snapshotsOf(before: TableRows, after: TableRows): Promise<[Snapshot, Snapshot]> {
  const store = new MemoryStore();
  const clock = steppingClock();
  await backUpRows(store, before, {}, { clock });
  await backUpRows(store, after, {}, { clock });
  return (await openSnapshots(store)) as [Snapshot, Snapshot];
}

async function treeOf(
  a: Snapshot,
  b: Snapshot,
  countsOnly = false,
): Promise<{ result: DiffResult; changes: TreeChange[] }> {
  const changes: TreeChange[] = [];
  const change = async (one: TreeChange): Promise<void> => void changes.push(one);
  const result = await diffSnapshots(a, b, { countsOnly, change, progress: quietProgress(), signal });
  return { result, changes };
}

/** Differing records the plain way: `table key side columns`. */
function modelDifferences(before: TableRows, after: TableRows): string[] {
  const texts: string[] = [];
  for (const [table, schema] of juicefs.tables.entries()) {
    const keyed = (rows: Row[]): Map<string, Row> =>
      new Map(
        rows.map((row) => [
          Buffer.from(encodeKey(schema, batchFromRows(schema, table, [row]), 0)).toString("hex"),
          row,
        ]),
      );
    const [left, right] = [keyed(before[schema.name]), keyed(after[schema.name])];
    for (const key of new Set([...left.keys(), ...right.keys()])) {
      const [a, b] = [left.get(key), right.get(key)];
      if (a === undefined || b === undefined) texts.push(`${schema.name} ${key} ${a === undefined ? "b" : "a"} `);
      else {
        const plain = (row: Row, at: number): string =>
          row[at] instanceof Uint8Array ? Buffer.from(row[at]).toString("hex") : String(row[at]);
        const columns = schema.columns.map(({ name }) => name).filter((_, at) => plain(a, at) !== plain(b, at));
        if (columns.length > 0) texts.push(`${schema.name} ${key} both ${columns.join()}`);
      }
    }
  }
  return texts.toSorted();
}

async function foundDifferences(a: Snapshot, b: Snapshot): Promise<string[]> {
  const texts: string[] = [];
  for await (const { table, key, side, columns } of diffRecords(a, b, signal)) {
    texts.push(`${table} ${Buffer.from(key).toString("hex")} ${side} ${columns.join()}`);
  }
  return texts.toSorted();
}

for (const [share, seed] of [
  [0, 1],
  [0.0005, 2],
  [0.01, 3],
  [0.5, 4],
  [1, 5],
] as const) {
  test(`records that differ are those of a plain comparison, ${share * 100} % changed`, async () => {
    const before = volumeRows(seed, 9000);
    const after = changedRows(before, seed, share);
    const [a, b] = await snapshotsOf(before, after);
    assert.deepEqual(await foundDifferences(a, b), modelDifferences(before, after));
    assert.deepEqual((await foundDifferences(b, a)).length, modelDifferences(before, after).length);
  });
}

test("volumes that share nothing are compared as well", async () => {
  const [before, after] = [volumeRows(1, 3000), treeVolume(2, 3000).rows];
  const [a, b] = await snapshotsOf(before, after);
  assert.deepEqual(await foundDifferences(a, b), modelDifferences(before, after));
});

test("a tree's changes are said by path", async () => {
  const before = treeVolume(11, 8000);
  const rows: TableRows = Object.fromEntries(Object.entries(before.rows).map(([name, own]) => [name, [...own]]));
  const files = before.entries.filter(
    ({ inode, type, path }) =>
      type === 1 && before.nodes.get(inode)?.[12] === 1 && !path.toString("latin1").startsWith("/.trash"),
  );
  const edgeOf = (inode: bigint): number => rows["edge"].findIndex((row) => row[2] === inode);
  const [touched, moved, removed, trashed, grown, victim, replacer] = files;
  const setNode = (inode: bigint, column: number, value: number | bigint): void => {
    const at = rows["node"].findIndex(([one]) => one === inode);
    rows["node"][at] = rows["node"][at].with(column, value);
  };
  setNode(touched.inode, 3, 0o600);
  setNode(touched.inode, 6, 5n);
  setNode(grown.inode, 13, 77n);
  rows["chunk"].push([grown.inode, 1, new Uint8Array(24)]);
  rows["xattr"].push([grown.inode, Buffer.from("user.x"), Buffer.from("1")]);
  rows["edge"][edgeOf(moved.inode)] = [1n, Buffer.from("moved"), moved.inode, 1];
  rows["edge"].splice(edgeOf(removed.inode), 1);
  rows["node"] = rows["node"].filter(([inode]) => inode !== removed.inode);
  rows["edge"][edgeOf(trashed.inode)] = [0x7fffffff10000001n, Buffer.from("1-2-x"), trashed.inode, 1];
  rows["edge"].splice(edgeOf(replacer.inode), 1);
  rows["edge"][edgeOf(victim.inode)] = rows["edge"][edgeOf(victim.inode)].with(2, replacer.inode);
  rows["node"] = rows["node"].filter(([inode]) => inode !== victim.inode);
  rows["edge"].push([1n, Buffer.from("new"), 1n << 40n, 1]);
  rows["node"].push((before.nodes.get(touched.inode) as Row).with(0, 1n << 40n));
  rows["counter"][0] = rows["counter"][0].with(1, 1n << 41n);
  for (const name of Object.keys(rows)) sortRows(name, rows[name]);
  const [a, b] = await snapshotsOf(before.rows, rows);
  const { result, changes } = await treeOf(a, b);
  const lines = changes.map(({ kind, path, from, what }) =>
    [kind, Buffer.from(path ?? []).toString("latin1"), Buffer.from(from ?? []).toString("latin1"), what.join()].join(
      "|",
    ),
  );
  const at = (entry: { path: Buffer }): string => entry.path.toString("latin1");
  assert.deepEqual(
    lines.toSorted(),
    [
      `changed|${at(touched)}||mode,mtime`,
      `changed|${at(grown)}||content,size,xattrs`,
      `renamed|/moved|${at(moved)}|`,
      `removed|${at(removed)}||`,
      `trashed|/.trash/2026-11-21-09/1-2-x|${at(trashed)}|`,
      `renamed|${at(victim)}|${at(replacer)}|`,
      `removed|${at(victim)}||`,
      "added|/new||",
    ].toSorted(),
  );
  assert.deepEqual(
    result.outside.map(({ table, changed }) => [table, changed]),
    [["counter", 1]],
  );
  assert.equal(result.outside[0].records[0].name, "name=nextInode");
  const counted = await treeOf(a, b, true);
  assert.deepEqual(counted.result.tree, result.tree);
  assert.equal(counted.changes.length, 0);
});

test("many changes are said once each", async () => {
  const before = treeVolume(3, 6000);
  const rows = { ...before.rows, node: before.rows["node"].map((row) => row.with(4, 77)) };
  const { result, changes } = await treeOf(...(await snapshotsOf(before.rows, rows)));
  assert.equal(result.tree.changed, rows.node.length);
  assert.equal(new Set(changes.map(({ low, high }) => `${high} ${low}`)).size, rows.node.length);
  const linked = new Set(before.entries.map(({ inode }) => inode).concat(1n, 0x7fffffff10000000n));
  assert.ok(
    changes.every(({ low, high, path }) => path !== undefined || !linked.has((BigInt(high) << 32n) | BigInt(low))),
  );
});

test("equal snapshots differ in nothing", async () => {
  const rows = volumeRows(1, 2000);
  const { result } = await treeOf(...(await snapshotsOf(rows, rows)));
  assert.equal(result.isEqual, true);
  assert.deepEqual(result.outside, []);
});
