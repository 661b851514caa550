import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { batchFromRows, rowAt } from "../../src/model/batch.ts";
import { decodePage, encodePage } from "../../src/format/page.ts";
import { applyPatchScript } from "../../src/format/patch.ts";
import { FolderStore } from "../../src/repository/stores/folder.ts";
import { backUpRows, openSnapshots, readRows, verify } from "../support/run-backup.ts";
import { pageVector, patchVector, plainRow, rootVector, rowFromPlain, schemaNamed } from "./vectors.ts";
import type { PlainRow, Vectors } from "./vectors.ts";

const vectors = JSON.parse(readFileSync(join(import.meta.dirname, "pages.json"), "utf8")) as Vectors;

for (const vector of vectors.pages) {
  test(`page vector: ${vector.table}, ${vector.about}`, () => {
    assert.deepEqual(pageVector(vector.about, vector.table, vector.records), vector);
    const schema = schemaNamed(vector.table);
    const { batch } = decodePage(schema, 0, Buffer.from(vector.raw, "hex"));
    assert.deepEqual(
      vector.records.map((_, row) => plainRow(rowAt(schema, batch, row))),
      vector.records,
    );
  });
}

for (const vector of vectors.patches) {
  test(`patch vector: ${vector.about}`, () => {
    assert.deepEqual(patchVector(vector.about, vector.table, vector.base, vector.records), vector);
    const schema = schemaNamed(vector.table);
    const batch = (rows: readonly PlainRow[]): ReturnType<typeof batchFromRows> =>
      batchFromRows(
        schema,
        0,
        rows.map((row) => rowFromPlain(schema, row)),
      );
    const made = applyPatchScript(schema, batch(vector.base), Buffer.from(vector.script, "hex"));
    const expected = batch(vector.records);
    assert.deepEqual(encodePage(schema, made, 0, made.count).raw, encodePage(schema, expected, 0, expected.count).raw);
  });
}

for (const vector of vectors.roots) {
  test(`root vector: ${vector.about}`, () => {
    const records = Object.fromEntries(vector.tables.map((table) => [table.name, table.records]));
    assert.deepEqual(rootVector(vector.about, records), vector);
  });
}

test("docs/format.md quotes the vectors as they are", () => {
  const page = readFileSync(join(import.meta.dirname, "../../docs/format.md"), "utf8").replaceAll(/[^0-9a-f]/g, "");
  const setting = vectors.pages.find(({ about }) => about.startsWith("front-coded"));
  const names = vectors.pages.find(({ table }) => table === "edge");
  const quoted = [
    setting?.id,
    names?.raw,
    names?.id,
    vectors.patches[1].script,
    ...vectors.roots.map(({ root }) => root),
    vectors.roots[1].tables[0].hash,
  ];
  for (const text of quoted) assert.ok(page.includes(text ?? "missing"), text ?? "a vector is missing");
});

interface Expected {
  snapshots: {
    id: string;
    root: string;
    tables: Record<string, { records: number; hash: string }>;
    records: Record<string, string[]>;
  }[];
}

/** As test/golden/make.ts writes a record. */
function golden(row: Parameters<typeof plainRow>[0]): string {
  return plainRow(row)
    .map((value) => (value.length > 1000 ? `${value.length / 2} bytes ${value.slice(0, 40)}` : value))
    .join(" ");
}

test("a repository of format version 1 reads, verifies and can be built on", async () => {
  const expected = JSON.parse(readFileSync(join(import.meta.dirname, "v1", "expected.json"), "utf8")) as Expected;
  const folder = await mkdtemp(join(tmpdir(), "cairn-golden-"));
  await cp(join(import.meta.dirname, "v1", "repository"), folder, { recursive: true });
  const store = new FolderStore(folder);
  const snapshots = await openSnapshots(store);
  assert.deepEqual(
    snapshots.map(({ manifest }) => manifest.id),
    expected.snapshots.map(({ id }) => id),
  );
  let newest = {};
  for (const [at, snapshot] of snapshots.entries()) {
    const { root, tables, records } = expected.snapshots[at];
    assert.equal((await verify(snapshot)).root, root);
    assert.deepEqual(
      Object.fromEntries(
        snapshot.manifest.tables.map(({ name, records: count, hash }) => [name, { records: count, hash }]),
      ),
      tables,
    );
    const rows = await readRows(snapshot);
    for (const [name, own] of Object.entries(rows)) assert.deepEqual(own.map(golden), records[name], name);
    newest = rows;
  }
  let patched = 0;
  for await (const { entry } of snapshots[1].index("node").everyEntry()) patched += entry.chain.length;
  assert.ok(patched > 0, "it holds a patched page");
  assert.notEqual(snapshots[1].manifest.largeValues, null, "it holds a large value");
  const again = await backUpRows(store, newest);
  assert.equal(again.manifest.root, expected.snapshots[1].root);
  assert.equal(again.pagesWritten + again.pagesPatched, 0, "all its pages are reused");
  await store.close();
  await rm(folder, { recursive: true });
});
