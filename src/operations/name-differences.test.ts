import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { batchFromRows } from "../model/batch.ts";
import type { Row } from "../model/batch.ts";
import { juicefs, juicefsTable } from "../model/juicefs.ts";
import { Pager } from "../format/pager.ts";
import type { RawPage } from "../format/pager.ts";
import type { Snapshot } from "../repository/snapshot.ts";
import { makeSyntheticSnapshot, nodeRow } from "../../test/support/synthetic-snapshot.ts";
import { PageDifferences } from "./name-differences.ts";

const records = 20_000;
const nodes = Array.from({ length: records }, (_, at) => nodeRow(BigInt(at + 1), { length: BigInt(at) }));
const snapshot = await makeSyntheticSnapshot({ tables: { node: nodes } });
const firstKeys: bigint[] = [];
for await (const entry of snapshot.index("node").entries())
  firstKeys.push(Buffer.from(entry.firstKey).readBigUInt64BE());

/** What is named when these records are found in place of the snapshot's. */
async function names(of: Snapshot, table: number, rows: readonly Row[]): Promise<string[]> {
  const schema = juicefs.tables[table];
  const pages: RawPage[] = [];
  const pager = new Pager(schema, table, { page: (page) => pages.push(page), large: () => undefined });
  if (rows.length > 0) pager.push(batchFromRows(schema, table, rows));
  pager.finish();
  const differences = new PageDifferences(of, new Map());
  for (const page of pages) await differences.see(page, createHash("sha256").update(page.raw).digest("hex"));
  return differences.names([table]);
}

function nodeNames(rows: readonly Row[]): Promise<string[]> {
  return names(snapshot, juicefsTable.node, rows);
}

test("equal records have no names", async () => {
  assert.ok(firstKeys.length > 3, "several pages");
  assert.deepEqual(await nodeNames(nodes), []);
});

test("a flipped value is named", async () => {
  for (const at of [0, 1, 5000, records - 1]) {
    const changed = nodes.with(at, nodeRow(BigInt(at + 1), { length: BigInt(at), nlink: 3 }));
    assert.deepEqual(await nodeNames(changed), [`node inode=${at + 1}: nlink 3 instead of 1`]);
  }
});

test("a deleted record is named wherever it was", async () => {
  const edges = firstKeys.flatMap((key) => [Number(key) - 2, Number(key) - 1, Number(key)]).filter((at) => at >= 0);
  for (const at of [...edges, 7000, records - 2, records - 1]) {
    assert.deepEqual(await nodeNames(nodes.toSpliced(at, 1)), [`node inode=${at + 1}: missing`], String(at));
  }
});

test("an inserted record is named", async () => {
  const gaps = await makeSyntheticSnapshot({ tables: { node: nodes.filter((_, at) => at % 2 === 0) } });
  for (const inode of [2, 4000, records]) {
    const more = nodes.filter((_, at) => at % 2 === 0 || at === inode - 1);
    assert.deepEqual(await names(gaps, juicefsTable.node, more), [`node inode=${inode}: not in the snapshot`]);
  }
  const beyond = [...nodes, nodeRow(BigInt(records + 5))];
  assert.deepEqual(await nodeNames(beyond), [`node inode=${records + 5}: not in the snapshot`]);
});

test("whole pages and whole tables that are missing are named, ten records at most", async () => {
  const from = Number(firstKeys[1]) - 1;
  const to = Number(firstKeys[2]) - 1;
  const expected = Array.from({ length: 10 }, (_, at) => `node inode=${from + 1 + at}: missing`);
  assert.deepEqual(await nodeNames(nodes.toSpliced(from, to - from)), expected);
  const last = Number(firstKeys.at(-1));
  const atEnd = Array.from({ length: 10 }, (_, at) => `node inode=${last + at}: missing`);
  assert.deepEqual(await nodeNames(nodes.slice(0, last - 1)), atEnd);
  assert.equal((await nodeNames([])).length, 10);
});

test("any few differences are all named", async () => {
  const edit = fc.record({ at: fc.nat(records - 1), how: fc.constantFrom("delete", "change") });
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(edit, { maxLength: 6, selector: ({ at }) => at }), async (edits) => {
      const rows: (Row | undefined)[] = [...nodes];
      for (const { at, how } of edits)
        rows[at] = how === "delete" ? undefined : nodeRow(BigInt(at + 1), { length: BigInt(at), uid: 9 });
      const expected = edits
        .toSorted((a, b) => a.at - b.at)
        .map(({ at, how }) => `node inode=${at + 1}: ${how === "delete" ? "missing" : "uid 9 instead of 0"}`);
      assert.deepEqual(await nodeNames(rows.filter((row) => row !== undefined)), expected);
    }),
    { numRuns: 40 },
  );
});

test("large values are compared by length and hash", async () => {
  const value = new Uint8Array(300_000).fill(1);
  const other = new Uint8Array(300_000).fill(2);
  const xattr = [
    [1n, Buffer.from("a"), value],
    [1n, Buffer.from("b"), value],
    [1n, Buffer.from("c"), Buffer.from("small")],
  ];
  const large = await makeSyntheticSnapshot({ tables: { xattr } });
  const found = xattr.with(1, [1n, Buffer.from("b"), other]).with(2, [1n, Buffer.from("c"), Buffer.from("other")]);
  const named = await names(large, juicefsTable.xattr, found);
  assert.equal(named.length, 2);
  assert.match(
    named[0],
    /^xattr inode=1 name=b: value \(300000 bytes, SHA-256 [0-9a-f]{16}…\) instead of \(300000 bytes/,
  );
  assert.equal(
    named[1],
    `xattr inode=1 name=c: value 0x${Buffer.from("other").toString("hex")} instead of 0x${Buffer.from("small").toString("hex")}`,
  );
});
