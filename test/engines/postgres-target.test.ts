import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openPostgresTarget } from "../../src/engines/juicefs/postgres/target.ts";
import { batchFromRows } from "../../src/model/batch.ts";
import type { Batch, Row } from "../../src/model/batch.ts";
import { CairnError } from "../../src/model/errors.ts";
import { juicefs } from "../../src/model/juicefs.ts";
import type { TargetPlan } from "../../src/model/ports.ts";
import { openBench, until } from "../end-to-end/bench.ts";
import type { Bench, TakenSnapshot } from "../end-to-end/bench.ts";
import { startPostgres } from "../peers/postgres.ts";
import type { PostgresDatabase, PostgresServer } from "../peers/postgres.ts";
import { quietProgress } from "../support/quiet-progress.ts";
import { fittingVolume } from "./postgres-fixtures.ts";

let server: PostgresServer;
let bench: Bench;
let taken: TakenSnapshot;

before(async () => {
  server = await startPostgres();
  bench = await openBench("postgres-target");
  taken = await bench.backUp(fittingVolume(bench.folder));
});

after(async () => {
  await bench[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** Names of all that stands in the database. */
async function namesIn({ query }: PostgresDatabase): Promise<string> {
  return query(
    "select relname from pg_class c join pg_namespace n on n.oid = relnamespace where nspname !~ '^(pg_|information_schema)' order by 1",
  );
}

/** That a restore fails with this code, before anything was written. */
async function refused(database: PostgresDatabase, url: string, code: string): Promise<CairnError> {
  const before = await namesIn(database);
  const error = await failure(bench.restore(taken.snapshot, url), code);
  assert.equal(await namesIn(database), before);
  return error;
}

async function failure(attempt: Promise<unknown>, code: string): Promise<CairnError> {
  try {
    await attempt;
  } catch (error) {
    assert.ok(error instanceof CairnError, String(error));
    assert.equal(error.code, code, error.message);
    assert.equal(error.exit, "targetRefused");
    assert.doesNotMatch(JSON.stringify([error.message, error.next, error.details]), /password\d/);
    return error;
  }
  throw new Error(`nothing failed, least of all with ${code}`);
}

test("a place that is taken is refused, and one with other tables or another volume is not", async () => {
  const database = await server.newDatabase();
  await database.query("create table other (a int)");
  await bench.restore(taken.snapshot, database.url);
  const error = await refused(database, database.url, "target-not-empty");
  assert.match(error.next ?? "", /table_prefix/);
  const second = database.urlWith({ parameters: { table_prefix: "two" } });
  await bench.restore(taken.snapshot, second);
  assert.equal((await bench.backUp(second)).root, taken.root);
  assert.equal((await bench.backUp(database.url)).root, taken.root);
  // One table of a volume is enough.
  const part = await server.newDatabase();
  await part.query("create table jfs_node (inode bigint)");
  await refused(part, part.url, "target-not-empty");
});

test("a volume that the role finds in a schema behind its own is not hidden by a restore", async () => {
  const database = await server.newDatabase();
  await bench.restore(taken.snapshot, database.url);
  await database.query(`create schema ${database.user} authorization ${database.user}`);
  const error = await refused(database, database.url, "target-not-empty");
  assert.match(error.message, /in schema public/);
  const own = database.urlWith({ parameters: { search_path: database.user } });
  await bench.restore(taken.snapshot, own);
  assert.equal((await bench.backUp(own)).root, taken.root);
});

test("missing schemas and rights are named, with what brings them", async () => {
  const database = await server.newDatabase();
  const nowhere = await refused(
    database,
    database.urlWith({ parameters: { search_path: "nowhere" } }),
    "target-no-schema",
  );
  assert.match(nowhere.next ?? "", /CREATE SCHEMA "nowhere"/);
  await server.query("create user visitor password 'password9'");
  await database.query("revoke create on schema public from public");
  const url = database.urlWith({ user: "visitor", password: "password9" });
  const rights = await refused(database, url, "privilege-missing");
  assert.match(rights.next ?? "", /GRANT USAGE, CREATE ON SCHEMA "public" TO "visitor"/);
  await server.query((rights.next ?? "").replaceAll("; ", ";\n"), database.name);
  await bench.restore(taken.snapshot, url);
  assert.equal((await bench.backUp(url)).root, taken.root);
});

test("a volume is not replaced in place, and a prefix that names cannot hold is refused", async () => {
  const database = await server.newDatabase();
  await failure(bench.restore(taken.snapshot, database.url, { replace: "x" }), "replace-unsupported");
  assert.throws(() => openPostgresTarget(`postgres://u@h/d?table_prefix=${"x".repeat(36)}`), {
    code: "meta-url-invalid",
  });
});

/** A plan for one table's rows alone; the other tables are empty. */
function planOf(table: string, row: Row, more: Partial<TargetPlan> = {}): TargetPlan {
  const index = juicefs.tables.findIndex(({ name }) => name === table);
  const schema = juicefs.tables[index];
  const extremes = Object.fromEntries(
    schema.columns.map(({ name }, at) => {
      const value = row[at];
      return [`${table}.${name}`, String(value instanceof Uint8Array ? value.length : value)];
    }),
  );
  return {
    kind: juicefs,
    volumeId: "00000000-0000-0000-0000-000000000001",
    volumeName: "limits",
    facts: {},
    counts: { [table]: 1 },
    extremes,
    secrets: {},
    async *read(name): AsyncGenerator<Batch> {
      if (name === table) yield batchFromRows(schema, index, [row]);
    },
    ...more,
  };
}

test("what PostgreSQL cannot hold is refused before the first write", async () => {
  const database = await server.newDatabase();
  const options = {
    signal: new AbortController().signal,
    temporaryFolder: bench.folder,
    memoryBytes: 8 << 20,
    progress: quietProgress(),
  };
  const begin = async (table: string, row: Row, line: "1.3" | "1.4" = "1.4", url = database.url): Promise<void> => {
    await using writer = await openPostgresTarget(url, { line }).begin(planOf(table, row), options);
    void writer;
  };
  const nodeWith = (column: string, value: number | bigint): Row =>
    juicefs.tables[2].columns.map(({ name }) => (name === column ? value : name === "inode" ? 5n : 0));
  const none = new Uint8Array(0);
  for (const column of ["uid", "gid", "nlink", "rdev"]) {
    await begin("node", nodeWith(column, 2 ** 31 - 1));
    await failure(begin("node", nodeWith(column, 2 ** 31)), "does-not-fit");
  }
  await failure(begin("node", nodeWith("length", 2n ** 63n)), "does-not-fit");
  await failure(begin("node", nodeWith("inode", 2n ** 63n)), "does-not-fit");
  await failure(begin("node", nodeWith("mtime", 2n ** 44n)), "does-not-fit");
  await failure(begin("node", nodeWith("tier", 1), "1.3"), "does-not-fit");
  await failure(begin("slice_ref", [5n, 4096, 2n ** 31n]), "does-not-fit");
  await failure(begin("quota", [1, 5n, 0n, 0n, 0n, 0n], "1.3"), "does-not-fit");
  const name = (text: string | Uint8Array): Row => [5n, Buffer.from(text), none];
  await begin("xattr", name("user.ok"));
  await begin("xattr", name("ä".repeat(255)));
  for (const bad of [Buffer.from([0x75, 0xff]), "user.\0", "x".repeat(256), "ä".repeat(256)]) {
    const error = await failure(begin("xattr", name(bad)), "does-not-fit");
    assert.match(error.message, /xattr\.name of inode 5/);
  }
  await failure(begin("edge", [1n, Buffer.alloc(2601, 97), 5n, 1]), "does-not-fit");
  const setting = (text: string): Row => [Buffer.from("Name"), 0, Buffer.from(text)];
  await begin("setting", setting("x".repeat(5000)));
  await failure(begin("setting", setting("x".repeat(5000)), "1.3"), "does-not-fit");
  // A database with another encoding takes ASCII.
  await server.query(`create database latin encoding 'LATIN1' locale 'C' template template0 owner ${database.user}`);
  const latin = database.url.replace(/\/volume\d+\?/, "/latin?");
  await begin("xattr", name("user.ok"), "1.4", latin);
  await failure(begin("xattr", name("ä"), "1.4", latin), "does-not-fit");
  assert.equal(await namesIn(database), "");
});

test("a restore whose connections the server ends removes what it wrote", async () => {
  let failed = 0;
  for (const phase of ["query like 'COPY%'", "query like 'ALTER%' or query like 'CREATE%'", "true", "true"]) {
    const database = await server.newDatabase();
    const running = bench.restore(taken.snapshot, database.url);
    const outcome = running.then(
      () => "done",
      () => "failed",
    );
    for (let ended = 0; ended === 0 && (await Promise.race([outcome, sleep(2, "running")])) === "running";) {
      ended = Number(
        await server.query(
          `select count(pg_terminate_backend(pid)) from pg_stat_activity
             where application_name like 'cairn restore %' and datname = '${database.name}' and (${phase})`,
        ),
      );
    }
    // Now and then a restore is faster.
    if ((await outcome) === "done") continue;
    failed += 1;
    await failure(running, "connection-lost");
    assert.equal(await namesIn(database), "", phase);
    await bench.restore(taken.snapshot, database.url);
    assert.equal((await bench.backUp(database.url)).root, taken.root);
  }
  assert.ok(failed > 1);
});

test("when the answer to the last commit is lost, it is said that the volume may be there", async () => {
  // Commits that are to be durable wait for a standby that never comes; those that fill the tables are not (synchronous_commit = off).
  await using waiting = await startPostgres({ config: { synchronous_standby_names: "nobody" } });
  const database = await waiting.newDatabase();
  const running = bench.restore(taken.snapshot, database.url);
  running.catch(() => {});
  const endThem = `select count(pg_terminate_backend(pid)) from pg_stat_activity
    where application_name like 'cairn restore %' and wait_event = 'SyncRep'`;
  await until("the commit", async () => (await waiting.query(endThem)) !== "0\n");
  const error = await failure(running, "publication-uncertain");
  assert.match(error.message, /may have been published/);
  assert.match(error.next ?? "", /cairn doctor/);
  assert.equal((await bench.backUp(database.url)).root, taken.root);
});

test("what a killed restore leaves is no volume; it is refused, and removed when it is said so", async () => {
  const database = await server.newDatabase();
  const program = join(import.meta.dirname, "postgres-killed-worker.ts");
  const worker = spawn(process.execPath, [program, database.url, bench.at("worker")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise<void>((done) => worker.stdout.once("data", () => done()));
  const other = await failure(bench.restore(taken.snapshot, database.url), "target-in-use");
  assert.match(other.next ?? "", /wait/);
  const ended = new Promise((done) => worker.once("exit", done));
  worker.kill("SIGKILL");
  await ended;
  await sleep(200);
  await assert.rejects(
    bench.backUp(database.url),
    ({ code, next }: CairnError) => code === "not-formatted" && /--discard-unfinished/.test(next ?? ""),
  );
  const error = await refused(database, database.url, "target-unfinished");
  assert.match(error.next ?? "", /--discard-unfinished/);
  await bench.restore(taken.snapshot, database.url, { discardUnfinished: true });
  assert.equal((await bench.backUp(database.url)).root, taken.root);
  assert.doesNotMatch(await namesIn(database), /cairn/);
  // It never removes a volume.
  await failure(bench.restore(taken.snapshot, database.url, { discardUnfinished: true }), "target-not-empty");
  assert.equal((await bench.backUp(database.url)).root, taken.root);
});

test("a database that takes no writes says so, and nothing is left", async () => {
  const database = await server.newDatabase();
  await server.query(`alter database ${database.name} set default_transaction_read_only = on`);
  const error = await failure(bench.restore(taken.snapshot, database.url), "engine-read-only");
  assert.match(error.message, /read-only/);
  assert.equal(await namesIn(database), "");
});
