import assert from "node:assert/strict";
import { test } from "node:test";
import { batchFromRows } from "../../../model/batch.ts";
import type { Row } from "../../../model/batch.ts";
import { juicefs, juicefsTable, nodeColumn } from "../../../model/juicefs.ts";
import { ParentsCheck } from "./parents-check.ts";

function nodeRow(inode: bigint, parent: bigint, nlink = 1): Row {
  const schema = juicefs.tables[juicefsTable.node];
  return schema.columns.map((_, index) => {
    if (index === nodeColumn.inode) return inode;
    if (index === nodeColumn.parent) return parent;
    return index === nodeColumn.nlink ? nlink : 0n;
  });
}

/** Files 10 … in directories 2 … 9, each once; every tenth is a hard link in two more places. */
function checkOf(files: number): { check: ParentsCheck; edges: Row[]; nodes: Row[] } {
  const check = new ParentsCheck();
  const edges: Row[] = [];
  const nodes: Row[] = [nodeRow(1n, 1n, 3), nodeRow(0x7fffffff10000000n, 1n, 2)];
  for (let at = 0; at < files; at++) {
    const inode = BigInt(10 + at) << (at % 3 === 0 ? 33n : 0n);
    const parent = BigInt(2 + (at % 8));
    edges.push([parent, Buffer.from(`name ${at}`), inode, 1]);
    if (at % 10 !== 0) nodes.push(nodeRow(inode, parent));
    else {
      edges.push([parent, Buffer.from(`again ${at}`), inode, 1], [1n, Buffer.from(`root ${at}`), inode, 1]);
      nodes.push(nodeRow(inode, 0n, 3));
      check.addRecord(...halves(inode), ...halves(parent), 2);
      check.addRecord(...halves(inode), 1, 0, 1);
    }
  }
  // Open but deleted: it has no name any more, and keeps its parent.
  nodes.push(nodeRow(5_000_000n, 2n, 0));
  return { check, edges, nodes };
}

function halves(id: bigint): [number, number] {
  return [Number(id & 0xffffffffn), Number(id >> 32n)];
}

function see(check: ParentsCheck, edges: readonly Row[], nodes: readonly Row[]): void {
  check.see(batchFromRows(juicefs.tables[juicefsTable.edge], juicefsTable.edge, edges));
  check.see(batchFromRows(juicefs.tables[juicefsTable.node], juicefsTable.node, nodes));
}

test("equal sides leave nothing", () => {
  const { check, edges, nodes } = checkOf(5000);
  see(check, edges, nodes);
  assert.deepEqual(
    check.findings(() => false),
    [],
  );
});

test("a few differences are named, many thousands are counted", () => {
  for (const count of [1, 2, 30, 3000]) {
    const { check, edges, nodes } = checkOf(20_000);
    see(check, edges.slice(count), nodes);
    const [finding] = check.findings(() => false);
    // Two entries of one file in one directory are one difference.
    assert.ok(finding.count <= count && finding.count >= Math.floor(count * 0.85), `${finding.count} of ${count}`);
    assert.doesNotMatch(finding.message, /at least/);
    assert.match(finding.samples[0], /^inode \d+ in directory \d+: \d fewer entries than it records$/);
  }
  const { check, edges, nodes } = checkOf(100_000);
  see(check, edges.slice(60_000), nodes);
  const [finding] = check.findings(() => false);
  assert.match(finding.message, /^at least \d+ places/);
});

test("two names of one file in one directory that no record tells of are one difference of two", () => {
  const check = new ParentsCheck();
  const edge = (name: string): Row => [7n, Buffer.from(name), 0xffffff01n, 1];
  see(check, [edge("a"), edge("b")], [nodeRow(0xffffff01n, 0n, 2)]);
  const [finding] = check.findings(() => false);
  assert.deepEqual(finding.samples, ["inode 4294967041 in directory 7: 2 more entries than it records"]);
});

test("the root of a tree that hangs nowhere is no difference", () => {
  const check = new ParentsCheck();
  see(check, [], [nodeRow(9n, 4n, 2)]);
  assert.deepEqual(
    check.findings((inode) => inode === 9n),
    [],
  );
});
