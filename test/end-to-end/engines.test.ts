/** Volumes that go from every engine to every engine: the same root everywhere, and copies that all judges accept. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { errorsOf, formatFinding } from "../judge/finding.ts";
import { judgeVolume, readVolume } from "../judge/judge-volume.ts";
import type { RawVolume } from "../judge/raw-volume.ts";
import { startRedis } from "../peers/redis.ts";
import { engineNames, openEngines } from "../support/engines.ts";
import type { EngineName, Engines } from "../support/engines.ts";
import { runJuicefs } from "../volumes/juicefs-cli.ts";
import { copyDatabase, makeOddVolume } from "../volumes/odd-volume.ts";
import type { OddVolume } from "../volumes/odd-volume.ts";
import { assertVolumeJudged, openBench } from "./bench.ts";
import type { Bench, TakenSnapshot } from "./bench.ts";
import { assertAccepted, openOriginal } from "./three-judges.ts";
import type { Original } from "./three-judges.ts";

let bench: Bench;
let engines: Engines;
let odd: OddVolume;
let original: Original;
let taken: TakenSnapshot;

before(async () => {
  bench = await openBench("engines");
  engines = await openEngines();
  odd = await makeOddVolume({ dir: bench.at("odd"), portable: true });
  taken = await bench.backUp(odd.metaUrl);
  const copy = bench.at("original.db");
  await copyDatabase(odd.databasePath, copy);
  original = await openOriginal(bench, `sqlite3://${copy}`, "original");
});

after(async () => {
  await bench[Symbol.asyncDispose]();
  await engines[Symbol.asyncDispose]();
});

/** Restores a snapshot to a new place of an engine, and has the copy judged. */
async function restoreTo(name: EngineName, from: TakenSnapshot, like: Original, label: string): Promise<string> {
  const url = await engines.on(name).newPlace();
  const { restoredRoot } = await bench.restore(from.snapshot, url);
  assert.equal(restoredRoot, from.root);
  await assertAccepted(bench, like, url, label);
  assert.deepEqual(await engines.on(name).connections(), [], "nothing is left open");
  return url;
}

test("the odd volume has records in every table", () => {
  const kept = taken.snapshot.manifest.tables.map(({ name }) => name);
  const empty = taken.snapshot.kind.tables.map(({ name }) => name).filter((name) => !kept.includes(name));
  assert.deepEqual(empty, []);
});

for (const from of engineNames) {
  test(`the odd volume goes from ${from} to every engine, and its root stays`, async () => {
    // The original is on SQLite; on the others it is a first copy, which is itself backed up.
    let source = taken;
    if (from !== "sqlite") {
      const first = await engines.on(from).newPlace();
      await bench.restore(taken.snapshot, first);
      source = await bench.backUp(first);
      assert.equal(source.root, taken.root);
    }
    for (const to of engineNames) await restoreTo(to, source, original, `${from}-${to}`);
  });
}

test("a dedicated Redis is filled the fast way, and an .rdb file is one that Redis starts from", async () => {
  await using dedicated = await startRedis();
  const url = dedicated.url(0);
  const { restoredRoot } = await bench.restore(taken.snapshot, url, { choices: { dedicated: true } });
  assert.equal(restoredRoot, taken.root);
  assert.match(await dedicated.command("INFO", "replication"), /role:master/);
  await assertAccepted(bench, original, url, "dedicated");
  assert.equal((await bench.backUp(url)).root, taken.root);

  const rdbFile = bench.at("volume.rdb");
  assert.equal((await bench.restore(taken.snapshot, rdbFile, { choices: { database: 3 } })).restoredRoot, taken.root);
  await using started = await startRedis({ rdbFile });
  await assertAccepted(bench, original, started.url(3), "rdb-file");
  assert.equal((await bench.backUp(started.url(3))).root, taken.root);
  const saved = { choices: { fromRdb: rdbFile } };
  assert.equal((await bench.backUp(started.url(3), saved)).root, taken.root, "read from the file");
});

/** How many records of each table there are, and what tells two volumes apart that one load made. */
function countsOf(volume: RawVolume): Record<string, number> {
  const { nodes, edges, chunks, symlinks, xattrs, acls, dirStats, quotas, deletedFiles, sustained } = volume;
  const lists = { nodes, edges, chunks, symlinks, xattrs, acls, dirStats, quotas, deletedFiles, sustained };
  return Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, list.length]));
}

test("one binary dump, loaded by the real JuiceFS into every engine, has one root", async (context) => {
  const copy = bench.at("to-dump.db");
  await copyDatabase(odd.databasePath, copy);
  const database = new DatabaseSync(copy);
  // The real load into SQL takes an empty value for NULL, loses the attributes of that batch, and says that it succeeded.
  database.exec("DELETE FROM jfs_xattr WHERE length(value) = 0");
  // It also takes what is left of a time beyond the year 2262, which is negative, for an unsigned number.
  database.exec("UPDATE jfs_node SET atime = 0, atimensec = 0, mtime = 0, mtimensec = 0 WHERE mtime < 0");
  database.close();
  const dump = bench.at("odd.bin");
  await runJuicefs(["dump", "--binary", "--keep-secret-key", `sqlite3://${copy}`, dump]);
  const roots: Record<string, string> = {};
  let first: RawVolume | undefined;
  for (const name of engineNames) {
    const url = await engines.on(name).newPlace();
    await runJuicefs(["load", "--binary", url, dump]);
    const volume = await readVolume(url);
    first ??= volume;
    assert.deepEqual(countsOf(volume), countsOf(first), `${name}: the load was complete`);
    // The real load leaves the sequence of ACL rules behind (reference §7.3, 9).
    const errors = errorsOf(await judgeVolume(url)).filter(({ code }) => code !== "sequence-low");
    context.diagnostic(
      `${name}: ${errors.length} errors after the real load: ${errors.slice(0, 3).map(formatFinding).join("; ")}`,
    );
    roots[name] = (await bench.backUp(url)).root;
  }
  assert.deepEqual(roots, Object.fromEntries(engineNames.map((name) => [name, roots["sqlite"]])));
});

for (const from of engineNames.filter((name) => name !== "sqlite")) {
  test(`a volume that the real JuiceFS made on ${from} goes to all others`, async () => {
    const metaUrl = await engines.on(from).newPlace();
    const native = await makeOddVolume({ dir: bench.at(`native-${from}`), portable: true, metaUrl, seed: 7 });
    await assertVolumeJudged(native.metaUrl);
    const source = await bench.backUp(native.metaUrl);
    assert.equal(source.snapshot.manifest.consistency.level, "snapshot");
    const like = await openOriginal(bench, native.metaUrl, `native-${from}`);
    for (const to of engineNames) {
      if (to === from) continue;
      const url = await restoreTo(to, source, like, `native-${from}-${to}`);
      assert.equal((await bench.backUp(url)).root, source.root);
    }
    await like.mount.unmount();
  });
}
