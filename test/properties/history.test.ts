import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { test } from "node:test";
import fc from "fast-check";
import { integersOf, unsignedAt } from "../../src/model/batch.ts";
import type { Batch } from "../../src/model/batch.ts";
import { juicefs, juicefsTable } from "../../src/model/juicefs.ts";
import { decodePage } from "../../src/format/page.ts";
import type { RawPage } from "../../src/format/pager.ts";
import { pathSchema } from "../../src/format/path-index.ts";
import { PageLine, pathTable } from "../../src/pipeline/page-line.ts";
import { MemoryStore } from "../../src/repository/stores/memory.ts";
import { counts } from "../counts.ts";
import { batchesOf } from "../support/rows-source.ts";
import type { RowsSourceOptions } from "../support/rows-source.ts";
import { assertSameRows, backUpRows, openSnapshots, readRows, verify } from "../support/run-backup.ts";
import { changedRows, volumeRows } from "../support/volume-rows.ts";
import type { TableRows } from "../support/volume-rows.ts";

interface Made {
  pages: RawPage[];
  large: string[];
  extremes: Record<string, unknown>;
}

function pagesOf(rows: TableRows, memoryBytes: number, options: RowsSourceOptions): Made {
  const made: Made = { pages: [], large: [], extremes: {} };
  using line = new PageLine(
    {
      kind: juicefs,
      sortedTables: options.sortedTables ?? [],
      memoryBytes,
      temporaryFolder: tmpdir(),
      pathIndex: true,
    },
    {
      page: (page) => made.pages.push(page),
      large: (value) => made.large.push(createHash("sha256").update(value).digest("hex")),
      tableEnd: (table, extremes) => (made.extremes[table] = extremes),
    },
  );
  for (const batch of batchesOf(rows, options)) line.push(batch);
  line.finish();
  made.pages.sort((a, b) => a.table - b.table || Buffer.compare(a.firstKey, b.firstKey));
  return made;
}

function identities({ pages, large, extremes }: Made): unknown {
  const plain = pages.map(({ table, firstKey, count, tail, raw }) =>
    [table, Buffer.from(firstKey).toString("hex"), count, tail, createHash("sha256").update(raw).digest("hex")].join(
      " ",
    ),
  );
  return { plain, large, extremes };
}

const volume = volumeRows(7, 6000);
const tableNames = juicefs.tables.map(({ name }) => name);

test("pages are the same for any order, any batches, any memory, and for tables that come sorted", () => {
  const expected = identities(pagesOf(volume, 1 << 30, { seed: 1, batchRows: 100_000, sortedTables: tableNames }));
  fc.assert(
    fc.property(
      fc.record({
        seed: fc.nat(1_000_000),
        batchRows: fc.constantFrom(50, 700, 1024, 5000, 100_000),
        memoryBytes: fc.constantFrom(1, 300_000, 1 << 20, 4 << 20, 1 << 30),
        sortedTables: fc.subarray(tableNames),
      }),
      ({ memoryBytes, ...options }) => {
        assert.deepEqual(identities(pagesOf(volume, memoryBytes, options)), expected);
      },
    ),
    { numRuns: Math.ceil(counts.propertyRuns / 5) },
  );
});

test("a record that comes twice is refused by name, wherever its twin lies", () => {
  const twice: TableRows = { ...volume, edge: [...volume["edge"], volume["edge"][3000]] };
  const isDuplicate = { code: "duplicate-record", message: /table edge has two records with the key parent=\d+ name=/ };
  for (const memoryBytes of [1, 1 << 30]) {
    assert.throws(() => pagesOf(twice, memoryBytes, { seed: 5, batchRows: 500 }), isDuplicate);
  }
});

test("a table that says it is sorted and is not, is refused by name", () => {
  const [first, second, ...rest] = volume["node"];
  const wrong: TableRows = { ...volume, node: [second, first, ...rest] };
  assert.throws(() => pagesOf(wrong, 1 << 30, { sortedTables: ["node"], batchRows: 100_000 }), {
    code: "record-order",
    message: /table node .* inode=1/,
  });
});

test("every edge's inode leads through the path index to the page that holds it", () => {
  fc.assert(
    fc.property(fc.nat(1_000_000), fc.integer({ min: 1, max: 4000 }), (seed, files) => {
      const rows = volumeRows(seed, files);
      // Hard links: beside each other, and far away.
      const links = rows["edge"].filter((_, at) => at % 9 === 0);
      for (const [parent, name, inode, type] of links) {
        rows["edge"].push([parent, Buffer.concat([name as Uint8Array, Buffer.from("-link")]), inode, type]);
        rows["edge"].push([1n, Buffer.concat([name as Uint8Array, Buffer.from("-far")]), inode, type]);
      }
      const { pages } = pagesOf(rows, 1 << 20, { seed });
      const known = new Set<string>();
      let paths = 0;
      for (const page of pages.filter(({ table }) => table === pathTable(juicefs))) {
        const { batch } = decodePage(pathSchema, 0, page.raw);
        for (let row = 0; row < batch.count; row += 1) known.add(pathText(batch, row));
        paths += batch.count;
      }
      assert.equal(known.size, paths, "no path record comes twice");
      const used = new Set<string>();
      const pagesOfParent = new Map<bigint, Set<number>>();
      const edge = juicefs.tables[juicefsTable.edge];
      for (const page of pages.filter(({ table }) => table === juicefsTable.edge)) {
        const { batch } = decodePage(edge, 0, page.raw);
        for (let row = 0; row < batch.count; row += 1) {
          pagesOfParent.getOrInsert(unsignedAt(integersOf(batch, 0), row), new Set()).add(page.tail);
        }
      }
      for (const page of pages.filter(({ table }) => table === juicefsTable.edge)) {
        const { batch } = decodePage(edge, 0, page.raw);
        for (let row = 0; row < batch.count; row += 1) {
          const parent = unsignedAt(integersOf(batch, 0), row);
          // A page is named only where the directory fills more than one.
          const tail = (pagesOfParent.get(parent)?.size ?? 0) > 1 ? page.tail : 0;
          const text = `${unsignedAt(integersOf(batch, 2), row)} ${parent} ${tail}`;
          assert.ok(known.has(text), `no path record for ${text}`);
          used.add(text);
        }
      }
      assert.equal(used.size, known.size, "no path record leads nowhere");
    }),
    { numRuns: Math.ceil(counts.propertyRuns / 10) },
  );
});

function pathText(batch: Batch, row: number): string {
  return `${unsignedAt(integersOf(batch, 0), row)} ${unsignedAt(integersOf(batch, 1), row)} ${integersOf(batch, 2)[row]}`;
}

test("a snapshot's root and pages do not depend on the snapshots before it, and every one reads back", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(1_000_000), fc.constantFrom(0, 0.001, 0.01, 0.3), async (seed, share) => {
      const store = new MemoryStore();
      const states = [volumeRows(seed, 3000)];
      for (let at = 1; at < 4; at += 1) states.push(changedRows(states[at - 1], seed + at, share));
      const roots: string[] = [];
      for (const [at, rows] of states.entries()) {
        const { manifest } = await backUpRows(store, rows, { seed: seed + at, batchRows: 3000 });
        roots.push(manifest.root);
        const alone = await backUpRows(
          new MemoryStore(),
          rows,
          { seed: seed + 100, batchRows: 500 },
          { memoryBytes: 1 << 20 },
        );
        assert.equal(manifest.root, alone.manifest.root);
        assert.deepEqual(
          manifest.tables.map(({ name, records, hash, rawBytes, extremes }) => [
            name,
            records,
            hash,
            rawBytes,
            extremes,
          ]),
          alone.manifest.tables.map(({ name, records, hash, rawBytes, extremes }) => [
            name,
            records,
            hash,
            rawBytes,
            extremes,
          ]),
        );
      }
      assert.equal(new Set(roots).size, share === 0 ? 1 : states.length);
      for (const [at, snapshot] of (await openSnapshots(store)).entries()) {
        assert.equal((await verify(snapshot)).root, roots[at]);
        assertSameRows(await readRows(snapshot), states[at]);
      }
    }),
    { numRuns: Math.ceil(counts.propertyRuns / 25) },
  );
});
