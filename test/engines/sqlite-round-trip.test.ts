import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { makeOddVolume } from "../volumes/odd-volume.ts";
import { contentsOf, execute, oneValue, schemaOf } from "./sqlite-contents.ts";
import { copyVolume, portOptions, readRecords, readVolume, testFolder, writeVolume } from "./sqlite-copy.ts";
import { olderVolume, quickstartVolume } from "./sqlite-fixtures.ts";

const folder = testFolder("sqlite-round-trip");
after(() => rmSync(folder, { recursive: true }));
const options = portOptions(folder);

/** The tables of both databases, row by row; equal means equal to a client. */
function assertSameVolume(first: string, second: string, prefix = "jfs_"): void {
  const [before, after] = [contentsOf(first, prefix), contentsOf(second, prefix)];
  assert.deepEqual(Object.keys(after), Object.keys(before));
  for (const [table, rows] of Object.entries(before)) assert.deepEqual(after[table], rows, table);
  assert.equal(oneValue(second, "PRAGMA integrity_check"), "ok");
}

test("the quick start's volume comes back the same, table by table, and so do its records", async () => {
  const original = quickstartVolume(folder);
  const copy = join(folder, "monday-copy.db");
  const volume = await copyVolume(`sqlite3://${original}`, `sqlite3://${copy}`, options);
  assertSameVolume(original, copy);
  assert.deepEqual(schemaOf(copy), schemaOf(original));
  assert.equal(oneValue(copy, "PRAGMA journal_mode"), "wal");
  const again = await readVolume(`sqlite3://${copy}`, options);
  assert.deepEqual(again.records, volume.records);
  assert.deepEqual(again.summary.secrets, {});
});

test("the odd volume, with a table prefix and a rollback journal, while its client is gone", async () => {
  const odd = await makeOddVolume({
    dir: join(folder, "odd"),
    journal: "rollback",
    tablePrefix: "odd",
    end: "crashed",
  });
  const copy = join(folder, "odd-copy.db");
  const volume = await copyVolume(odd.metaUrl, `sqlite3://${copy}?table_prefix=odd`, options);
  assertSameVolume(odd.databasePath, copy, "jfs_odd_");
  assert.deepEqual(schemaOf(copy), schemaOf(odd.databasePath));
  // What the makers of the odd volume put in: every table has records.
  for (const [table, rows] of volume.records.entries()) assert.notEqual(rows.length, 0, `table ${table}`);
  assert.ok(volume.summary.omitted["session2"] !== undefined);
  assert.ok(volume.summary.omitted["flock"] !== undefined);
  // Every session that held deleted files open is there again, and over.
  const wanted = oneValue(copy, "SELECT count(DISTINCT sid) FROM jfs_odd_sustained");
  assert.equal(oneValue(copy, "SELECT count(*) FROM jfs_odd_session2 WHERE expire < unixepoch()"), wanted);
  assert.equal(
    oneValue(copy, "SELECT count(*) FROM jfs_odd_sustained WHERE sid NOT IN (SELECT sid FROM jfs_odd_session2)"),
    0,
  );
});

for (const line of ["1.2", "1.3"] as const) {
  test(`a volume of JuiceFS ${line} comes back in its own line's schema, and in that of the newest`, async () => {
    const original = await olderVolume(folder, line);
    const same = join(folder, `same-${line}.db`);
    const volume = await copyVolume(`sqlite3://${original}`, `sqlite3://${same}`, options, { line });
    assertSameVolume(original, same);
    assert.deepEqual(schemaOf(same), schemaOf(original));
    assert.equal(oneValue(same, "PRAGMA journal_mode"), line === "1.2" ? "delete" : "wal");
    assert.deepEqual(
      volume.summary.findings.filter((finding) => finding.severity !== "info"),
      [],
    );

    const newer = join(folder, `newer-${line}.db`);
    await copyVolume(`sqlite3://${original}`, `sqlite3://${newer}`, options);
    assert.deepEqual((await readVolume(`sqlite3://${newer}`, options)).records, volume.records);
  });
}

test("one row at a time or the whole volume at once, memory small or large: the same records", async () => {
  const original = quickstartVolume(folder, "tuesday");
  const expected = await readVolume(`sqlite3://${original}`, options);
  const small = portOptions(folder, 1 << 20);
  const volume = await readVolume(`sqlite3://${original}`, small);
  assert.deepEqual(volume.records, expected.records);
  await using writer = await writeVolume(volume, `sqlite3://${join(folder, "small.db")}`, small);
  await using view = await writer.readBack();
  assert.deepEqual(await readRecords(view), expected.records);
});

test("reference counts that do not follow from the slices are found, named and kept", async () => {
  const original = quickstartVolume(folder, "tuesday");
  const ids = String(
    oneValue(original, "SELECT group_concat(chunkid) FROM (SELECT chunkid FROM jfs_chunk_ref WHERE refs = 1 LIMIT 3)"),
  ).split(",");
  execute(
    original,
    `UPDATE jfs_chunk_ref SET refs = 5 WHERE chunkid = ${ids[0]}; DELETE FROM jfs_chunk_ref WHERE chunkid = ${ids[1]};
     INSERT INTO jfs_chunk_ref VALUES (7777777, 4096, 1); INSERT INTO jfs_chunk_ref VALUES (0, 0, 12)`,
  );
  const { summary, records } = await readVolume(`sqlite3://${original}`, options);
  const found = new Map(summary.findings.map((finding) => [finding.code, finding]));
  assert.match(
    found.get("slice-ref-differs")?.samples[0] ?? "",
    new RegExp(`^slice ${ids[0]}, size \\d+: stored 5, 1 mentions$`),
  );
  assert.match(found.get("slice-ref-missing")?.samples[0] ?? "", new RegExp(`^slice ${ids[1]}, `));
  assert.match(found.get("slice-ref-leaked")?.samples[0] ?? "", /^slice 7777777, size 4096: stored 1$/);
  assert.equal(found.get("next-chunk-too-low")?.count, 1);
  assert.ok(records[5].some(([id, , refs]) => id === BigInt(ids[0]) && refs === 5n));

  const copy = join(folder, "refs-copy.db");
  await copyVolume(`sqlite3://${original}`, `sqlite3://${copy}`, options);
  const refs = (id: string | number): unknown => oneValue(copy, `SELECT refs FROM jfs_chunk_ref WHERE chunkid = ${id}`);
  assert.equal(refs(ids[0]), 5);
  assert.equal(refs(ids[1]), 1);
  assert.equal(refs(7777777), undefined);
  assert.equal(refs(0), 12);
});

test("slice lists that are cut off are kept as they are and reported; empty ones are nothing", async () => {
  const original = quickstartVolume(folder, "tuesday");
  execute(
    original,
    `INSERT INTO jfs_chunk (inode, indx, slices) VALUES (1000001, 0, x''), (1000002, 3, x'00112233');
     UPDATE jfs_counter SET value = 2000000 WHERE name = 'nextInode'`,
  );
  const { summary, records } = await readVolume(`sqlite3://${original}`, options);
  const codes = summary.findings.map((finding) => `${finding.code}: ${finding.samples[0]}`);
  assert.ok(codes.includes("empty-chunk: inode 1000001, chunk 0"));
  assert.ok(codes.includes("slices-odd: inode 1000002, chunk 3: 4 bytes"));
  assert.ok(!records[4].some(([inode]) => inode === 1000001n));
  assert.ok(
    records[4].some(
      ([inode, index, slices]) =>
        inode === 1000002n && index === 3 && Buffer.from(slices as Uint8Array).equals(Buffer.from("00112233", "hex")),
    ),
  );
});

test("counters that would hand out a number twice are warned of", async () => {
  const original = quickstartVolume(folder, "tuesday");
  execute(
    original,
    "UPDATE jfs_counter SET value = 3 WHERE name IN ('nextInode', 'nextChunk'); UPDATE jfs_counter SET value = 0 WHERE name = 'nextTrash'",
  );
  const { summary } = await readVolume(`sqlite3://${original}`, options);
  const warnings = summary.findings.filter((finding) => finding.severity === "warning").map((finding) => finding.code);
  assert.deepEqual(warnings, ["next-inode-too-low", "next-chunk-too-low", "next-trash-too-low"]);
});
