/**
 * Servers that are killed, hang, run into their time limits or throw our session out in the middle of a backup or restore: clear
 * errors, source and repository unharmed, no half volume, and never a run that hangs with its server.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { counts } from "../counts.ts";
import type { CairnRun } from "../end-to-end/run-cairn.ts";
import { startCutProxy } from "../peers/cut-proxy.ts";
import type { CutProxy } from "../peers/cut-proxy.ts";
import { startMariadb } from "../peers/mariadb.ts";
import { startPostgres } from "../peers/postgres.ts";
import { startRedis } from "../peers/redis.ts";
import { assertDone, assertFailed, countVerified, isVolume, openCutBench } from "./cut-bench.ts";
import type { CutBench } from "./cut-bench.ts";
import { cutEngineNames, startCutEngine } from "./cut-engines.ts";
import type { CutEngine, CutEngineName, Place } from "./cut-engines.ts";

const exitOfSource = 3;
const exitOfTarget = 4;
const exitOfInterrupt = 130;
const lost = ["connection-lost", "engine-unreachable"];
const isSoak = counts.cutRuns >= 50;

/** Parameters of a URL that make an engine impatient. Only a soak waits for the others: Redis' minute, PostgreSQL's five. */
const quickPatience: Readonly<Record<CutEngineName, Record<string, string> | undefined>> = {
  redis: undefined,
  postgres: undefined,
  mysql: { readTimeout: "2s" },
};

/** Less than any run here takes on the wire, more than any hello. */
const halfWay = 1_500_000;

let bench: CutBench;
before(async () => {
  bench = await openCutBench();
});
after(() => bench[Symbol.dispose]());

for (const name of cutEngineNames) {
  test(`${name}: the server is killed in the middle of a backup`, async () => {
    await using stage = await openStage(name);
    const { engine, proxy, place } = stage;
    await restoreStraight(place);
    await engine.save();
    const repository = await bench.newRepository();
    proxy.plan({ fault: "stall", afterBytes: halfWay, direction: "down" });
    const running = bench.run("backup", place.url(proxy.port), repository);
    await proxy.happened;
    await engine.server.crash();
    // What the kernel does to the connections of a process that is gone.
    proxy.cut("end");
    assertFailed(await running, exitOfSource, lost, place);
    assert.equal(await countVerified(repository), 0);
    assertFailed(await bench.run("backup", place.url(), repository), exitOfSource, ["engine-unreachable"], place);
    await engine.server.restart();
    await assertBacksUpWhole(place.url(), repository);
  });

  test(`${name}: the server is killed in the middle of a restore`, async () => {
    await using stage = await openStage(name);
    const { engine, proxy, place } = stage;
    proxy.plan({ fault: "stall", afterBytes: halfWay, direction: "up" });
    const running = bench.run("restore", bench.snapshot, place.url(proxy.port));
    await proxy.happened;
    await engine.save();
    await engine.server.crash();
    // What the kernel does to the connections of a process that is gone.
    proxy.cut("end");
    assertFailed(await running, exitOfTarget, lost, place);
    await engine.server.restart();
    assert.equal(await isVolume(place), false);
    const again = await bench.run("restore", bench.snapshot, place.url());
    // These servers sync nothing to disk, so the crash may have taken all that was written.
    if (again.code !== 0) assertFailed(again, exitOfTarget, ["target-unfinished", "target-in-use"], place);
  });

  test(`${name}: a server that hangs does not keep a user who gives up`, async () => {
    await using stage = await openStage(name);
    const { proxy, place } = stage;
    proxy.plan({ fault: "stall", afterBytes: halfWay, direction: "up" });
    await assertInterruptible(proxy, ["restore", bench.snapshot, place.url(proxy.port)]);
    assert.equal(await isVolume(place), false);
    const full = await stage.engine.newPlace();
    await restoreStraight(full);
    proxy.plan({ fault: "stall", afterBytes: halfWay, direction: "down" });
    const repository = await bench.newRepository();
    await assertInterruptible(proxy, ["backup", full.url(proxy.port), repository]);
    assert.equal(await countVerified(repository), 0);
  });

  const patience = quickPatience[name];
  if (patience === undefined && !isSoak) continue;
  test(`${name}: a server that falls silent is given up`, async () => {
    await using stage = await openStage(name);
    const { proxy, place } = stage;
    proxy.plan({ fault: "stall", afterBytes: halfWay, direction: "up" });
    const restore = await bench.run("restore", bench.snapshot, place.url(proxy.port, patience));
    assertFailed(restore, exitOfTarget, ["engine-timeout"], place);
    assert.equal(await isVolume(place), false);
    const full = await stage.engine.newPlace();
    await restoreStraight(full);
    const repository = await bench.newRepository();
    proxy.plan({ fault: "stall", afterBytes: halfWay, direction: "down" });
    const backup = await bench.run("backup", full.url(proxy.port, patience), repository);
    assertFailed(backup, exitOfSource, ["engine-timeout"], full);
    assert.equal(await countVerified(repository), 0);
  });
}

test("time limits of PostgreSQL's users do not end a slow backup or restore", async () => {
  const limits = { statement_timeout: 300, idle_in_transaction_session_timeout: 300, lock_timeout: 300 };
  await using engine = await startCutEngine("postgres", { sqlConfig: limits });
  await assertSlowRunsSucceed(engine);
});

test("time limits of MariaDB do not end a slow backup or restore", async () => {
  const limits = { wait_timeout: 1, interactive_timeout: 1, net_read_timeout: 1, net_write_timeout: 1 };
  await using engine = await startCutEngine("mysql", { sqlConfig: { ...limits, max_statement_time: 0.3 } });
  await assertSlowRunsSucceed(engine);
});

/** More than all sockets on the way can hold: what a server still has to send when it is told to end our session. */
const manyFiles = 100_000;

test("an administrator of PostgreSQL cancels or ends our sessions", async () => {
  using large = await openCutBench(manyFiles);
  await using server = await startPostgres();
  const database = await server.newDatabase();
  const place: Place = { url: (port = server.port) => database.urlWith({ port }), password: database.password };
  assertDone(await large.run("restore", large.snapshot, place.url()));
  for (const [deed, code] of [
    ["pg_cancel_backend", "engine-timeout"],
    ["pg_terminate_backend", "connection-lost"],
  ] as const) {
    const run = await backUpInterrupted(large, { server, place }, () =>
      server.query(`select ${deed}(pid) from pg_stat_activity where usename = '${database.user}' and query ~* 'copy'`),
    );
    assertFailed(run, exitOfSource, [code], place);
  }
});

test("an administrator of MariaDB kills our queries or sessions", async () => {
  using large = await openCutBench(manyFiles);
  await using server = await startMariadb({ localInfile: true });
  const database = await server.newDatabase();
  const place: Place = { url: (port = server.port) => database.urlWith({ port }), password: database.password };
  assertDone(await large.run("restore", large.snapshot, place.url()));
  for (const deed of ["kill query", "kill connection"] as const) {
    const run = await backUpInterrupted(large, { server, place }, () => server.query(`${deed} user ${database.user}`));
    assertFailed(run, exitOfSource, deed === "kill query" ? ["engine-interrupted"] : lost, place);
  }
});

for (const version of ["6", "7"] as const) {
  test(`the output buffer of Redis ${version} is full of what writers do during a slow backup`, async () => {
    using large = await openCutBench(manyFiles);
    const password = "secret-of-redis";
    const limit = "client-output-buffer-limit replica 1mb 1mb 1";
    await using server = await startRedis({ version, password, config: [limit] });
    const place: Place = { url: (port = server.port) => `redis://:${password}@127.0.0.1:${port}/3`, password };
    assertDone(await large.run("restore", large.snapshot, place.url()));
    const run = await backUpInterrupted(large, { server, place }, async () => {
      await using writer = await server.connect(5);
      for (let key = 0; key < 80; key += 1) await writer.command("SET", `key-${key}`, Buffer.alloc(100_000));
    });
    if (version === "7") {
      // It is told that we want no more than the state (`rdb-only`), and keeps nothing for us.
      assertDone(run);
      assert.equal(run.last["root"], large.root);
    } else {
      assertFailed(run, exitOfSource, ["connection-lost"], place);
      assert.match(String(run.last["next"]), /client-output-buffer-limit/);
    }
  });
}

/** A backup through a slow connection; when a part has come, something happens, and then the connection is quick again. */
async function backUpInterrupted(
  from: CutBench,
  { server, place }: { server: { port: number }; place: Place },
  happens: () => Promise<unknown>,
): Promise<CairnRun> {
  await using proxy = await startCutProxy({ port: server.port });
  proxy.slowDown(2_000_000);
  const repository = await from.newRepository();
  const running = from.run("backup", place.url(proxy.port), repository);
  while (proxy.downBytes < halfWay) await sleep(5);
  await happens();
  proxy.slowDown(undefined);
  const run = await running;
  assert.equal(await countVerified(repository), run.code === 0 ? 1 : 0);
  return run;
}

interface Stage extends AsyncDisposable {
  readonly engine: CutEngine;
  readonly proxy: CutProxy;
  readonly place: Place;
}

async function openStage(name: CutEngineName): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const engine = stack.use(await startCutEngine(name));
  const proxy = stack.use(await startCutProxy({ port: engine.server.port }));
  const place = await engine.newPlace();
  const owned = stack.move();
  return { engine, proxy, place, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function restoreStraight(place: Place): Promise<void> {
  assertDone(await bench.run("restore", bench.snapshot, place.url()));
}

async function assertBacksUpWhole(url: string, repository: string): Promise<void> {
  const run = await bench.run("backup", url, repository);
  assertDone(run);
  assert.equal(run.last["root"], bench.root);
}

async function assertSlowRunsSucceed(engine: CutEngine): Promise<void> {
  await using proxy = await startCutProxy({ port: engine.server.port });
  proxy.slowDown(1_500_000);
  const place = await engine.newPlace();
  assertDone(await bench.run("restore", bench.snapshot, place.url(proxy.port)));
  await assertBacksUpWhole(place.url(proxy.port), await bench.newRepository());
}

/** Ctrl-C after the server has fallen silent ends the run within seconds. */
async function assertInterruptible(proxy: CutProxy, words: readonly string[]): Promise<void> {
  const child = spawn(join(import.meta.dirname, "..", "..", "cairn"), words, { stdio: "ignore" });
  const ended = new Promise<number | null>((done) => {
    child.once("close", (code) => done(code));
  });
  await proxy.happened;
  await sleep(200);
  const start = performance.now();
  child.kill("SIGINT");
  const code = await Promise.race([ended, sleep(20_000, undefined, { ref: false })]);
  child.kill("SIGKILL");
  assert.equal(code, exitOfInterrupt, `${words[0]} ended with ${code} after ${performance.now() - start} ms`);
}
