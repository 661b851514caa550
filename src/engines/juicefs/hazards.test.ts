import assert from "node:assert/strict";
import { test } from "node:test";
import type { Row } from "../../model/batch.ts";
import { batchFromRows } from "../../model/batch.ts";
import { juicefs, juicefsTable, nodeColumn, trashInode } from "../../model/juicefs.ts";
import { Hazards } from "./hazards.ts";

function node(inode: bigint, length = 0n): Row {
  return juicefs.tables[juicefsTable.node].columns.map((_, index) =>
    index === nodeColumn.inode ? inode : index === nodeColumn.length ? length : 0,
  );
}

function seen(table: number, rows: readonly Row[]): Hazards {
  const hazards = new Hazards();
  hazards.see(batchFromRows(juicefs.tables[table], table, rows));
  return hazards;
}

const codes = (hazards: Hazards, counters: [string, bigint][], maxSlice = 0n): string[] =>
  hazards.findings(new Map(counters), maxSlice).map((finding) => finding.code);

test("a next inode must be above everything that refers to one", () => {
  const usage: [string, bigint][] = [
    ["usedSpace", 4096n],
    ["totalInodes", 1n],
  ];
  assert.deepEqual(codes(seen(juicefsTable.node, [node(1n), node(5n)]), [["nextInode", 6n], ...usage]), []);
  assert.deepEqual(codes(seen(juicefsTable.node, [node(1n), node(5n)]), [["nextInode", 5n], ...usage]), [
    "next-inode-too-low",
  ]);
  for (const [table, row] of [
    [juicefsTable.deletedFile, [9n, 0n, 0n]],
    [juicefsTable.sustained, [1n, 9n]],
    [juicefsTable.chunk, [9n, 0, new Uint8Array(24)]],
    [juicefsTable.edge, [1n, Buffer.from("x"), 9n, 1]],
    [juicefsTable.detachedNode, [9n, 0n]],
  ] as const) {
    assert.deepEqual(codes(seen(table, [row]), [["nextInode", 9n]]), ["next-inode-too-low"]);
    assert.deepEqual(codes(seen(table, [row]), [["nextInode", 10n]]), []);
  }
});

test("trash directories have a counter of their own", () => {
  const usage: [string, bigint][] = [
    ["nextInode", 2n],
    ["usedSpace", 8192n],
    ["totalInodes", 2n],
  ];
  const hazards = seen(juicefsTable.node, [node(trashInode), node(trashInode + 1n), node(trashInode + 3n)]);
  assert.deepEqual(codes(hazards, [["nextTrash", 3n], ...usage]), []);
  assert.deepEqual(codes(hazards, [["nextTrash", 2n], ...usage]), ["next-trash-too-low"]);
});

test("slices in use are below the next one", () => {
  assert.deepEqual(codes(new Hazards(), [["nextChunk", 8n]], 7n), []);
  assert.deepEqual(codes(new Hazards(), [["nextChunk", 7n]], 7n), ["next-chunk-too-low"]);
});

test("used space is summed in blocks, exactly, without root and trash", () => {
  const sparse = 2n ** 62n + 1n;
  const hazards = seen(juicefsTable.node, [
    node(1n, 4096n),
    node(2n, 0n),
    node(3n, 4097n),
    node(4n, sparse),
    node(5n, sparse),
    node(trashInode, 4096n),
  ]);
  const space = 4096n + 8192n + 2n * (2n ** 62n + 4096n);
  assert.deepEqual(
    codes(hazards, [
      ["nextInode", 9n],
      ["usedSpace", space],
      ["totalInodes", 4n],
    ]),
    [],
  );
  const [finding] = hazards.findings(
    new Map([
      ["nextInode", 9n],
      ["usedSpace", space - 4096n],
      ["totalInodes", 4n],
    ]),
    0n,
  );
  assert.equal(finding.code, "usage-lags");
  assert.match(finding.samples[0], /difference -4096$/);
});
