import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { mountVolume, runJuicefs } from "../volumes/juicefs-cli.ts";
import { copyDatabase } from "../volumes/odd-volume.ts";
import { assertJudged, openBench, until } from "./bench.ts";
import type { Bench } from "./bench.ts";
import { runCairn } from "./run-cairn.ts";
import type { CairnRun } from "./run-cairn.ts";

let bench: Bench;
/** The volume that is backed up, with its client long gone. */
let original: string;
let uuid: string;
let root: string;
let latest: string;

before(async () => {
  bench = await openBench("refusals");
  original = bench.at("original.db");
  uuid = await makeVolume(original, "one");
  const run = await runCairn(["backup", `sqlite3://${original}`, bench.repositoryFolder, "--json"]);
  assert.equal(run.code, 0, run.stderr);
  root = String(run.last["root"]);
  latest = `${bench.repositoryFolder}@${String(run.last["id"])}`;
});

after(() => bench[Symbol.asyncDispose]());

/** A volume with a few files, made through a mount; its UUID. */
async function makeVolume(path: string, name: string): Promise<string> {
  const url = `sqlite3://${path}`;
  await runJuicefs(["format", "--storage=file", `--bucket=${bench.at(`bucket-${name}`)}/`, url, name]);
  const mount = await mountVolume(url, bench.at(`mnt-${name}`), { workFolder: bench.at(`work-${name}`) });
  bench.hold(mount);
  for (let file = 0; file < 20; file += 1) writeFileSync(join(mount.mountpoint, `file-${file}`), `file ${file}\n`);
  await mount.unmount();
  return uuidOf(path);
}

function uuidOf(path: string): string {
  const database = new DatabaseSync(path, { readOnly: true });
  const value = database.prepare("SELECT json_extract(value, '$.UUID') AS uuid FROM jfs_setting").get();
  database.close();
  return String(value?.["uuid"]);
}

function restoreInto(path: string, ...options: string[]): Promise<CairnRun> {
  return runCairn(["restore", latest, `sqlite3://${path}`, "--json", ...options]);
}

function hashOf(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

function assertRefused(run: CairnRun, code: string): void {
  assert.equal(run.last["code"], code, run.stdout + run.stderr);
  assert.equal(run.code, 4);
  assert.equal(run.last["unharmed"], "it was left as it is");
}

/** Every file that belongs to a database: side files, what was kept, what was left. */
function filesOf(path: string): string[] {
  return readdirSync(dirname(path)).filter((name) => name.startsWith(basename(path)));
}

function execute(path: string, sql: string): void {
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
}

test("a target that holds anything is refused and left as it is", async () => {
  const volume = bench.at("taken.db");
  await copyDatabase(original, volume);
  const text = bench.at("notes.db");
  writeFileSync(text, "not a database at all\n");
  for (const path of [volume, text]) {
    const before = hashOf(path);
    assertRefused(await restoreInto(path), "target-not-empty");
    assert.equal(hashOf(path), before);
    assert.deepEqual(filesOf(path), [basename(path)]);
  }
});

for (const suffix of ["-wal", "-journal"]) {
  test(`a ${suffix} file that another database left is refused: it would become part of the restored one`, async () => {
    const path = bench.at(`gone${suffix}.db`);
    writeFileSync(path + suffix, "the last transactions of somebody\n");
    assertRefused(await restoreInto(path), "target-not-empty");
    assert.equal(readFileSync(path + suffix, "utf8"), "the last transactions of somebody\n");
    assert.equal(existsSync(path), false);
  });
}

test("another volume is not replaced", async () => {
  const made = bench.at("two.db");
  const otherUuid = await makeVolume(made, "two");
  // A client leaves a log beside its database, which goes into the file when anyone opens and closes it.
  const other = bench.at("other.db");
  await copyDatabase(made, other);
  const before = hashOf(other);
  assertRefused(await restoreInto(other, "--replace", uuid), "target-other-volume");
  assertRefused(await restoreInto(other, "--replace", otherUuid.replaceAll(/\d/g, "0")), "target-other-volume");
  assert.equal(hashOf(other), before);
  assert.deepEqual(filesOf(other), ["other.db"]);
});

test("a volume is replaced when its sessions have ended, after a backup of what is there, and its file is kept", async () => {
  const path = bench.at("broken.db");
  const url = `sqlite3://${path}`;
  await copyDatabase(original, path);
  const mount = await mountVolume(url, bench.at("mnt-broken"), {
    workFolder: bench.at("work-broken"),
    heartbeatSeconds: 1,
  });
  bench.hold(mount);
  writeFileSync(join(mount.mountpoint, "since the backup"), "new\n");
  assertRefused(await restoreInto(path, "--replace", uuid), "target-in-use");
  writeFileSync(join(mount.mountpoint, "since the refusal"), "the mount works on\n");

  // A client that died leaves a session, which is over when its heartbeat is.
  await mount.crash();
  assertRefused(await restoreInto(path, "--replace", uuid), "target-in-use");
  await until("the end of the dead client's session", () => {
    const database = new DatabaseSync(path, { readOnly: true });
    const live = database.prepare("SELECT count(*) AS n FROM jfs_session2 WHERE expire >= unixepoch()").get();
    database.close();
    return live?.["n"] === 0;
  });
  await sleep(1000);
  execute(
    path,
    "DELETE FROM jfs_edge WHERE name = CAST('file-3' AS BLOB); UPDATE jfs_node SET nlink = 9 WHERE type = 1",
  );
  const broken = await bench.backUp(url);

  const run = await restoreInto(path, "--replace", uuid);
  assert.equal(run.code, 0, run.stdout + run.stderr);
  assert.equal(run.last["restoredRoot"], root);
  assert.equal((await bench.backUp(url)).root, root);
  assertJudged(path);

  const saved = String(run.last["replaced"]);
  const shown = await runCairn(["show", `${bench.repositoryFolder}@${saved}`, "--json"]);
  assert.equal(shown.last["root"], broken.root, "what was there is a snapshot now");
  const kept = filesOf(path).filter((name) => name.includes(".replaced-"));
  assert.equal(kept.length, 1);
  assert.equal((await bench.backUp(`sqlite3://${bench.at(kept[0])}`)).root, broken.root, "and a file");
  assert.deepEqual(filesOf(path), ["broken.db", kept[0]]);

  const restored = await mountVolume(url, bench.at("mnt-replaced"), { workFolder: bench.at("work-replaced") });
  bench.hold(restored);
  const names = Array.from({ length: 20 }, (_, file) => `file-${file}`);
  assert.deepEqual(
    readdirSync(restored.mountpoint)
      .filter((name) => !name.startsWith("."))
      .toSorted(),
    names.toSorted(),
  );
  assert.equal(readFileSync(join(restored.mountpoint, "file-3"), "utf8"), "file 3\n");
  await restored.unmount();
});

test("a volume that is too broken to be backed up is replaced with a warning, and its file is kept", async () => {
  const path = bench.at("hopeless.db");
  await copyDatabase(original, path);
  execute(path, "DELETE FROM jfs_session2; DROP TABLE jfs_node");
  const before = bench.at("hopeless-before");
  copyFileSync(path, before);
  const run = await restoreInto(path, "--replace", uuid);
  assert.equal(run.code, 0, run.stdout + run.stderr);
  assert.match(run.stdout, /"replaced-not-backed-up"/);
  assert.equal(run.last["replaced"], undefined);
  assert.equal((await bench.backUp(`sqlite3://${path}`)).root, root);
  const [kept] = filesOf(path).filter((name) => name.includes(".replaced-"));
  assert.equal(hashOf(bench.at(kept)), hashOf(before));
});
