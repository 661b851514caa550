import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import type { JuicefsLine } from "../../src/engines/juicefs/lines.ts";
import { assertVolumeJudged, openBench } from "../end-to-end/bench.ts";
import type { Bench } from "../end-to-end/bench.ts";
import { peerPath } from "../peers/peers.ts";
import { startPostgres } from "../peers/postgres.ts";
import type { PostgresDatabase, PostgresServer } from "../peers/postgres.ts";
import { runJuicefs } from "../volumes/juicefs-cli.ts";
import { makeOddVolume } from "../volumes/odd-volume.ts";

const execFileAsync = promisify(execFile);

let server: PostgresServer;
let bench: Bench;

before(async () => {
  server = await startPostgres();
  bench = await openBench("postgres-volumes");
});

after(async () => {
  await bench[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** Everything that the catalogue says of a schema's tables: columns, keys, indexes, sequences. */
async function catalogueOf({ query }: PostgresDatabase, schema = "public"): Promise<string[]> {
  const text = await query(`
    select 'column', table_name, ordinal_position, column_name, data_type, character_maximum_length, is_nullable, column_default
      from information_schema.columns where table_schema = '${schema}' and table_name <> 'x' order by 2, 3;
    select 'index', tablename, indexname, indexdef from pg_indexes where schemaname = '${schema}' order by 2, 3;
    select 'constraint', conrelid::regclass, conname, contype, pg_get_constraintdef(oid) from pg_constraint
      where connamespace = '${schema}'::regnamespace order by 2, 3;
    select 'sequence', sequencename, data_type, start_value, increment_by, cache_size from pg_sequences where schemaname = '${schema}' order by 2;
    select 'owned', s.relname, d.refobjid::regclass, d.refobjsubid, d.deptype from pg_class s join pg_depend d on d.objid = s.oid
      where s.relkind = 'S' and s.relnamespace = '${schema}'::regnamespace and d.deptype = 'a' order by 2;`);
  return text
    .split("\n")
    .filter((line) => line !== "")
    .toSorted();
}

/** The rows of every table but what a restore does not carry, and the next numbers of the sequences. */
async function rowsOf({ query }: PostgresDatabase, schema: string, prefix: string): Promise<Record<string, string[]>> {
  const tables = await query(`select tablename from pg_tables where schemaname = '${schema}' order by 1`);
  const rows: Record<string, string[]> = {};
  for (const table of tables.split("\n").filter((name) => name !== "")) {
    if (/(session2|flock|plock|change_log|delegation_token)$/.test(table)) continue;
    const columns = await query(
      `select string_agg(quote_ident(column_name), ',' order by ordinal_position) from information_schema.columns
         where table_schema = '${schema}' and table_name = '${table}' and (column_name <> 'id' or '${table}' = '${prefix}acl')`,
    );
    const text = await query(`select ${columns.trim()} from "${schema}"."${table}"`);
    rows[table] = text.split("\n").toSorted();
  }
  return rows;
}

test("a volume that the real JuiceFS made in a schema and with a prefix comes back row by row", async () => {
  const database = await server.newDatabase();
  await database.query(
    `create schema files authorization ${database.user}; create schema copy authorization ${database.user}`,
  );
  const metaUrl = database.urlWith({ parameters: { search_path: "files", table_prefix: "odd" } });
  await makeOddVolume({ dir: bench.at("odd"), metaUrl, portable: true, end: "crashed" });
  const taken = await bench.backUp(metaUrl);
  assert.equal(taken.result.manifest.engine.name, "PostgreSQL");
  assert.equal(taken.result.manifest.consistency.level, "snapshot");
  const { position } = taken.result.manifest.consistency;
  assert.match(String(position?.["lsn"] ?? position?.["lsnAfter"]), /^[0-9A-F]+\/[0-9A-F]+$/);

  const copyUrl = database.urlWith({ parameters: { search_path: "copy", table_prefix: "odd" } });
  const restored = await bench.restore(taken.snapshot, copyUrl);
  assert.equal(restored.root, taken.root);
  assert.deepEqual(
    (await catalogueOf(database, "copy")).map((line) => line.replaceAll("copy.", "files.")).toSorted(),
    await catalogueOf(database, "files"),
  );
  const [original, copy] = [await rowsOf(database, "files", "jfs_odd_"), await rowsOf(database, "copy", "jfs_odd_")];
  // A restore sets the highest session number, and leaves the time stamps of jobs.
  for (const table of Object.keys(original)) assert.deepEqual(copy[table], original[table], table);
  assert.deepEqual(Object.keys(copy), Object.keys(original));
  await assertVolumeJudged(copyUrl, { reference: metaUrl });
  assert.equal((await bench.backUp(copyUrl)).root, taken.root);

  // What the client numbers next is free.
  const next = await database.query(
    `select nextval('copy.jfs_odd_edge_id_seq') > (select max(id) from copy.jfs_odd_edge),
       nextval('copy.jfs_odd_acl_id_seq') > (select max(id) from copy.jfs_odd_acl)`,
  );
  assert.equal(next, "t|t\n");
});

for (const line of ["1.2", "1.3", "1.4"] as const) {
  test(`tables are those that JuiceFS ${line} creates, letter for letter`, async () => {
    const database = await server.newDatabase();
    await makeVolume(line, database.url);
    const taken = await bench.backUp(database.url);
    const copy = await server.newDatabase();
    await bench.restore(taken.snapshot, copy.url, { line });
    assert.deepEqual(await catalogueOf(copy), await catalogueOf(database));
    assert.equal((await bench.backUp(copy.url)).root, taken.root);
    if (line === "1.4") return;
    // In the newest line it is the same volume.
    const newest = await server.newDatabase();
    await bench.restore(taken.snapshot, newest.url);
    assert.equal((await bench.backUp(newest.url)).root, taken.root);
    await assertVolumeJudged(newest.url);
  });
}

async function makeVolume(line: JuicefsLine, url: string): Promise<void> {
  const bucket = bench.at(`bucket-${line}`);
  if (line === "1.4") await runJuicefs(["format", "--storage=file", `--bucket=${bucket}/`, url, "schema"]);
  else {
    const name = `line${line.replace(".", "")}`;
    await execFileAsync(peerPath(`juicefs-meta-${line}`), ["make", "-files", "100", url, bucket, name]);
  }
}

test("reference counts that do not follow from the slices are found, named and kept", async () => {
  const database = await server.newDatabase();
  await makeVolume("1.3", database.url);
  const ids = (await database.query("select chunkid from jfs_chunk_ref where refs = 1 order by 1 limit 2")).split("\n");
  await database.query(
    `update jfs_chunk_ref set refs = 5 where chunkid = ${ids[0]}; delete from jfs_chunk_ref where chunkid = ${ids[1]};
     insert into jfs_chunk_ref values (7777777, 4096, 1)`,
  );
  const { snapshot, result } = await bench.backUp(database.url);
  const found = new Map(result.manifest.findings.map((finding) => [finding.code, finding.samples[0]]));
  assert.match(
    found.get("slice-ref-differs") ?? "",
    new RegExp(`^slice ${ids[0]}, size \\d+: stored 5, \\d mentions$`),
  );
  assert.match(found.get("slice-ref-missing") ?? "", new RegExp(`^slice ${ids[1]}, `));
  assert.match(found.get("slice-ref-leaked") ?? "", /^slice 7777777, size 4096: stored 1$/);
  const copy = await server.newDatabase();
  await bench.restore(snapshot, copy.url);
  const counts = await copy.query(
    `select chunkid, refs from jfs_chunk_ref where chunkid in (${ids[0]}, ${ids[1]}, 7777777) order by chunkid = ${ids[0]} desc`,
  );
  assert.equal(counts, `${ids[0]}|5\n${ids[1]}|1\n`);
});

test("integers that somebody has widened are read, and values that no volume has are refused by name", async () => {
  const database = await server.newDatabase();
  await makeVolume("1.3", database.url);
  const before = await bench.backUp(database.url);
  await database.query("alter table jfs_node alter column uid type bigint");
  assert.equal((await bench.backUp(database.url)).root, before.root);
  await database.query("update jfs_node set uid = 4000000000 where inode = 1");
  const wide = await bench.backUp(database.url);
  const target = await server.newDatabase();
  await assert.rejects(bench.restore(wide.snapshot, target.url), { code: "does-not-fit", exit: "targetRefused" });
  assert.equal(await target.query("select count(*) from pg_class where relname like 'jfs%'"), "0\n");
  await database.query("update jfs_node set uid = -5 where inode = 1");
  await assert.rejects(bench.backUp(database.url), (error: Error & { code: string }) => {
    assert.equal(error.code, "unexpected-value");
    return /node\.uid/.test(error.message);
  });
  await database.query("update jfs_node set uid = 0; alter table jfs_node alter column uid type text using ''");
  await assert.rejects(bench.backUp(database.url), { code: "unknown-schema" });
});

test("tables and columns that are not known are refused, those of other volumes and applications are not", async () => {
  const database = await server.newDatabase();
  await makeVolume("1.3", database.url);
  const { root } = await bench.backUp(database.url);
  await database.query(
    "create table other (a int); create table jfs_abc_setting (a int); create table jfs_abc_new (a int)",
  );
  assert.equal((await bench.backUp(database.url)).root, root);
  await database.query("create table jfs_future (a int)");
  await assert.rejects(bench.backUp(database.url), { code: "unknown-schema", message: /jfs_future/ });
  await database.query("drop table jfs_future; alter table jfs_edge add column future int");
  await assert.rejects(bench.backUp(database.url), { code: "unknown-schema", message: /future/ });
  const empty = await server.newDatabase();
  await assert.rejects(bench.backUp(empty.url), { code: "not-a-volume", exit: "sourceUnreachable" });
  await database.query("alter table jfs_edge drop column future; delete from jfs_setting");
  await assert.rejects(bench.backUp(database.url), { code: "not-formatted" });
});
