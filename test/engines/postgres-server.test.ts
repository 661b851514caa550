import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openSource } from "../../src/cli/registry.ts";
import { CairnError } from "../../src/model/errors.ts";
import type { SourceDescription, SourceOptions } from "../../src/model/ports.ts";
import { openBench, until } from "../end-to-end/bench.ts";
import type { Bench, TakenSnapshot } from "../end-to-end/bench.ts";
import { startPostgres, startPostgresStandby } from "../peers/postgres.ts";
import type { PostgresDatabase, PostgresServer } from "../peers/postgres.ts";
import { quietProgress } from "../support/quiet-progress.ts";
import { fittingVolume } from "./postgres-fixtures.ts";

let server: PostgresServer;
let bench: Bench;
let taken: TakenSnapshot;
/** With the quick start's volume in it, without what PostgreSQL cannot hold. */
let volume: PostgresDatabase;

before(async () => {
  server = await startPostgres({ tls: true });
  bench = await openBench("postgres-server");
  taken = await bench.backUp(fittingVolume(bench.folder));
  volume = await server.newDatabase();
  await bench.restore(taken.snapshot, volume.url);
});

after(async () => {
  await bench[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

function viewOptions(): SourceOptions {
  const { signal } = new AbortController();
  return { signal, temporaryFolder: bench.folder, memoryBytes: 8 << 20, progress: quietProgress() };
}

async function describe(url: string): Promise<SourceDescription> {
  const source = await openSource(url, { keepSecrets: false, allowBlock: false });
  return source.describe(new AbortController().signal);
}

/** That something fails with this code, and what the error says. */
async function failure(attempt: Promise<unknown>, code: string): Promise<CairnError> {
  try {
    await attempt;
  } catch (error) {
    assert.ok(error instanceof CairnError, String(error));
    assert.equal(error.code, code, error.message);
    assert.doesNotMatch(JSON.stringify([error.message, error.next, error.details]), /password\d/);
    assert.equal(error.exit, "sourceUnreachable");
    return error;
  }
  throw new Error(`nothing failed, least of all with ${code}`);
}

test("a description tells what there is, without reading it", async () => {
  const described = await describe(volume.url);
  assert.equal(described.engine, "PostgreSQL");
  assert.match(described.engineVersion, /^\d+\.\d+$/);
  assert.equal(described.volumeId, taken.snapshot.manifest.volume);
  assert.equal(
    described.estimates["node"],
    taken.snapshot.manifest.tables.find(({ name }) => name === "node")?.records,
  );
  assert.deepEqual(described.problems, []);
  assert.equal(described.facts["encoding"], "UTF8");
});

test("TLS in all its modes", async () => {
  const { tls } = server;
  assert.ok(tls !== undefined);
  const urlOf = (parameters: Record<string, string>): string => {
    const url = new URL(volume.urlWith({}));
    url.search = new URLSearchParams(parameters).toString();
    return url.href;
  };
  const encrypted = async (parameters: Record<string, string>): Promise<string> => {
    const source = await openSource(urlOf(parameters), { keepSecrets: false, allowBlock: false });
    await using _ = await source.open(viewOptions());
    // Awaited here, while the view is open.
    return await server.query(
      "select bool_and(ssl) from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'cairn'",
    );
  };
  assert.equal(await encrypted({ sslmode: "disable" }), "f\n");
  assert.equal(await encrypted({ sslmode: "allow" }), "f\n");
  for (const sslmode of ["prefer", "require"]) assert.equal(await encrypted({ sslmode }), "t\n");
  for (const sslmode of ["require", "verify-ca", "verify-full"])
    assert.equal(await encrypted({ sslmode, sslrootcert: tls.authority }), "t\n");
  assert.equal(
    await encrypted({
      sslmode: "verify-full",
      sslrootcert: tls.authority,
      sslcert: tls.clientCertificate,
      sslkey: tls.clientKey,
    }),
    "t\n",
  );
  for (const sslmode of ["require", "verify-ca", "verify-full"]) {
    const refused = await failure(describe(urlOf({ sslmode, sslrootcert: tls.otherAuthority })), "engine-unreachable");
    assert.match(refused.next ?? "", /sslrootcert/);
  }
  await failure(describe(urlOf({ sslmode: "verify-full" })), "engine-unreachable");
});

test("servers that take only TLS, and none", async () => {
  await using strict = await startPostgres({ tls: "only" });
  const database = await strict.newDatabase();
  const withMode = (sslmode: string): string => {
    const url = new URL(database.url);
    url.search = `sslmode=${sslmode}`;
    return url.href;
  };
  // It is asked in the other way, and says that there is no volume.
  for (const mode of ["allow", "prefer", "require"]) await failure(describe(withMode(mode)), "not-a-volume");
  await failure(describe(withMode("disable")), "login-failed");
  await using plain = await startPostgres();
  const other = await plain.newDatabase();
  const url = new URL(other.url);
  for (const mode of ["allow", "prefer"]) {
    url.search = `sslmode=${mode}`;
    await failure(describe(url.href), "not-a-volume");
  }
  url.search = "sslmode=require";
  await failure(describe(url.href), "engine-unreachable");
  // Why the server refuses is not hidden by that it has no TLS.
  await plain.query("create user idle nologin password 'password8'");
  const refused = await failure(
    describe(other.urlWith({ user: "idle", password: "password8", parameters: { sslmode: "prefer" } })),
    "login-failed",
  );
  assert.match(refused.message, /not permitted to log in/);
});

test("a Unix socket", async () => {
  const url = `postgres://${volume.user}@/${volume.name}?host=${server.socketFolder}&port=${server.port}`;
  assert.equal((await bench.backUp(url)).root, taken.root);
});

test("who cannot log in, or is not there, gets told why", async () => {
  await failure(describe(volume.urlWith({ password: "wrong" })), "login-failed");
  const without = await failure(describe(volume.urlWith({ password: "" })), "login-failed");
  assert.match(without.next ?? "", /META_PASSWORD/);
  await failure(describe(volume.urlWith({ user: "nobody" })), "login-failed");
  await failure(describe(volume.url.replace("/volume1?", "/volume999?")), "engine-unreachable");
  await failure(describe(volume.urlWith({ port: 1 })), "engine-unreachable");
  // The second of two hosts answers.
  const second = volume.url.replace("@127.0.0.1", "@127.0.0.1:1,127.0.0.1");
  assert.equal((await describe(second)).volumeId, taken.snapshot.manifest.volume);
  await failure(describe(`${second}&target_session_attrs=standby`), "engine-unreachable");
});

test("a role without rights gets the GRANT that it needs, and with it all it needs", async () => {
  await server.query("create user reader password 'password-reader'");
  const url = volume.urlWith({ user: "reader", password: "password-reader" });
  await volume.query("revoke usage on schema public from public");
  const schema = await failure(describe(url), "privilege-missing");
  assert.match(schema.next ?? "", /GRANT USAGE ON SCHEMA "public" TO "reader"/);
  await volume.query(
    "grant usage on schema public to reader; grant select on jfs_setting, jfs_counter, jfs_node to reader",
  );
  const tables = await failure(describe(url), "privilege-missing");
  assert.match(tables.message, /reader may not read jfs_acl/);
  assert.match(tables.next ?? "", /GRANT SELECT ON ALL TABLES IN SCHEMA "public" TO "reader"/);
  await failure(bench.backUp(url), "privilege-missing");
  await server.query((tables.next ?? "").replaceAll("; ", ";\n"), volume.name);
  assert.equal((await bench.backUp(url)).root, taken.root);
  // Nothing can be written with it.
  const before = await volume.query("select count(*) from pg_class");
  await assert.rejects(bench.restore(taken.snapshot, url), { code: "privilege-missing", exit: "targetRefused" });
  assert.equal(await volume.query("select count(*) from pg_class"), before);
  await volume.query("grant usage on schema public to public");
});

test("time limits that an administrator has set for the role end nothing", async () => {
  await server.query(
    `alter role ${volume.user} set statement_timeout = '40ms'; alter role ${volume.user} set idle_in_transaction_session_timeout = '40ms';
     alter role ${volume.user} set lock_timeout = '40ms'; alter role ${volume.user} set default_transaction_read_only = on`,
  );
  const slow = await bench.backUp(volume.url, { paceMs: 30 });
  assert.equal(slow.root, taken.root);
  await server.query(`alter role ${volume.user} reset all`);
});

test("rows that a policy hides are an error, not missing", async () => {
  await volume.query("alter table jfs_node enable row level security; alter table jfs_node force row level security");
  await assert.rejects(bench.backUp(volume.url), CairnError);
  await volume.query(
    "alter table jfs_node no force row level security; alter table jfs_node disable row level security",
  );
});

test("a table that appears while a volume is opened is noticed", async () => {
  // Whoever asks for the size of jfs_node waits here, and has looked into the catalogue before.
  const changing = volume.query(
    `begin; lock table jfs_node in access exclusive mode;
     do $$ begin while not exists (select from pg_locks where not granted) loop perform pg_sleep(0.02); end loop; end $$;
     create table jfs_future (a int); commit`,
  );
  await until(
    "the lock",
    async () => (await volume.query("select count(*) from pg_locks where mode = 'AccessExclusiveLock'")) !== "0\n",
  );
  const source = await openSource(volume.url, { keepSecrets: false, allowBlock: false });
  await failure(source.open(viewOptions()), "source-changed");
  await changing;
  await volume.query("drop table jfs_future");
  assert.equal((await bench.backUp(volume.url)).root, taken.root);
});

test("a backup whose connections the server ends fails with that, and the next one works", async () => {
  const running = bench.backUp(volume.url, { paceMs: 40 });
  running.catch(() => {});
  let ended = 0;
  for (let attempt = 0; attempt < 200 && ended === 0; attempt++) {
    await sleep(10);
    ended = Number(
      await server.query(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'cairn' and (query like 'COPY%' or query like '%control%')",
      ),
    );
  }
  assert.ok(ended > 0);
  await failure(running, "connection-lost");
  assert.equal((await bench.backUp(volume.url)).root, taken.root);
});

/** A volume of 120,000 more files, which three connections read. */
async function largeVolume(): Promise<PostgresDatabase> {
  const database = await server.newDatabase();
  await bench.restore(taken.snapshot, database.url);
  await database.query(
    `insert into jfs_node select 100000 + n, 1, 0, 420, 0, 0, n * 10^9, n * 10^9, n * 10^9, 1, 2, 3, 1, n, 0, 1, 0, 0, 0
       from generate_series(1, 120000) n order by n % 1000;
     insert into jfs_edge (parent, name, inode, type) select 1, convert_to('file-' || n, 'UTF8'), 100000 + n, 1 from generate_series(1, 120000) n;
     insert into jfs_chunk (inode, indx, slices) select 100000 + n, 0, decode(lpad(to_hex(n), 48, '0'), 'hex') from generate_series(1, 120000) n;`,
  );
  return database;
}

test("a large volume is read by three connections, by fewer where the server has no more, and the state is the same", async () => {
  const database = await largeVolume();
  const three = await bench.backUp(database.url);
  assert.match(three.result.manifest.consistency.method, /3 connections/);
  const copy = await server.newDatabase();
  await bench.restore(three.snapshot, copy.url);
  assert.equal((await bench.backUp(copy.url)).root, three.root);
  for (const limit of [2, 1]) {
    await server.query(`alter role ${database.user} connection limit ${limit}`);
    const fewer = await bench.backUp(database.url);
    assert.match(fewer.result.manifest.consistency.method, limit === 2 ? /2 connections/ : /one connection/);
    assert.equal(fewer.root, three.root);
  }
  // A restore needs three: one holds the lock, and the counts' table is open until the end.
  const other = await server.newDatabase();
  await server.query(`alter role ${other.user} connection limit 3`);
  await bench.restore(taken.snapshot, other.url);
  const few = await server.newDatabase();
  await server.query(`alter role ${few.user} connection limit 2`);
  await assert.rejects(bench.restore(taken.snapshot, few.url), { code: "engine-busy", exit: "targetRefused" });
});

test("a slow repository makes the server wait, and a wide read is bounded by its rate", async () => {
  const database = await largeVolume();
  const plain = await bench.backUp(database.url);
  const slow = await bench.backUp(database.url, { paceMs: 20, memoryBytes: 8 << 20 });
  assert.equal(slow.root, plain.root);
  const source = await openSource(database.url, { keepSecrets: false, allowBlock: false });
  await using view = await source.open({
    ...viewOptions(),
    pace: { bytesPerSecond: 20 << 20, pauseAboveMs: 2000 },
  });
  const began = performance.now();
  let records = 0;
  for await (const batch of view.batches()) records += batch.count;
  // 35 MB of rows.
  assert.ok(performance.now() - began > 1000);
  assert.ok(records > 360_000);
  await view.summary();
});

test("a server that freezes does not hold a backup beyond its signal", async () => {
  const own = new AbortController();
  const running = bench.backUp(volume.url, { paceMs: 40, signal: own.signal });
  await sleep(300);
  server.freeze();
  setTimeout(() => own.abort(new CairnError("interrupted", "enough")), 300);
  await assert.rejects(running, { code: "interrupted" });
  server.thaw();
});

test("a standby is read as it replays, and says where it was", async () => {
  await using standby = await startPostgresStandby(server, { config: { max_standby_streaming_delay: "200ms" } });
  const url = volume.urlWith({ port: standby.port });
  const { root, result } = await bench.backUp(url);
  assert.equal(root, taken.root);
  const { consistency } = result.manifest;
  assert.match(consistency.method, /on a standby/);
  assert.equal(consistency.position?.["standby"], true);
  assert.match(String(consistency.position?.["lsn"] ?? consistency.position?.["lsnAfter"]), /^[0-9A-F]+\/[0-9A-F]+$/);
  assert.match(String(consistency.position?.["systemIdentifier"]), /^\d+$/);
  assert.equal((await describe(url)).facts["standby"], true);
  const preferred = volume.url.replace("@127.0.0.1", `@127.0.0.1:${server.port},127.0.0.1:${standby.port},127.0.0.1`);
  assert.equal((await describe(`${preferred}&target_session_attrs=prefer-standby`)).facts["standby"], true);

  // Nothing is written to one.
  await assert.rejects(bench.restore(taken.snapshot, url), { code: "engine-read-only", exit: "targetRefused" });

  // Rows that the primary has cleaned up are taken from under a long read.
  const source = await openSource(url, { keepSecrets: false, allowBlock: false });
  await using view = await source.open(viewOptions());
  await volume.query("update jfs_node set atime = atime + 1; delete from jfs_edge where parent > 5");
  await volume.query("vacuum jfs_node");
  await volume.query("vacuum jfs_edge");
  const readers = "select count(*) from pg_stat_activity where application_name = 'cairn'";
  await until("the conflict", async () => (await standby.query(readers)) === "0\n");
  const conflict = await failure(view.batches()[Symbol.asyncIterator]().next(), "standby-conflict");
  assert.match(conflict.next ?? "", /hot_standby_feedback/);
});

for (const version of ["13", "17"] as const) {
  test(`PostgreSQL ${version} and its standby`, async () => {
    await using other = await startPostgres({ version });
    const database = await other.newDatabase();
    await bench.restore(taken.snapshot, database.url);
    assert.equal((await bench.backUp(database.url)).root, taken.root);
    await using standby = await startPostgresStandby(other, { version });
    assert.equal((await bench.backUp(database.urlWith({ port: standby.port }))).root, taken.root);
  });
}
