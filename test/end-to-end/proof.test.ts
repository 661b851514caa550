import assert from "node:assert/strict";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { CairnError, exitCodes } from "../../src/model/errors.ts";
import type { Target } from "../../src/model/ports.ts";
import { bytesToText } from "../../src/std/byte-text.ts";
import { quickstartVolume } from "../engines/sqlite-fixtures.ts";
import { openBench } from "./bench.ts";
import type { Bench, TakenSnapshot } from "./bench.ts";
import { applyFlip, flips } from "./flips.ts";

let bench: Bench;
let taken: TakenSnapshot;

before(async () => {
  bench = await openBench("proof");
  taken = await bench.backUp(`sqlite3://${quickstartVolume(bench.folder, "tuesday")}`);
});

after(() => bench[Symbol.asyncDispose]());

/** A target in whose temporary database something happens between the last write and the proof. */
function withHarm(target: Target, folder: string, harm: (path: string) => void): Target {
  return {
    engine: target.engine,
    location: target.location,
    async begin(plan, options) {
      const writer = await target.begin(plan, options);
      return {
        write: (batch) => writer.write(batch),
        async finish() {
          await writer.finish();
          const files = readdirSync(folder).filter((name) => name.endsWith(".tmp"));
          assert.equal(files.length, 1);
          harm(join(folder, files[0]));
        },
        readBack: () => writer.readBack(),
        publish: () => writer.publish(),
        [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
      };
    },
  };
}

for (const [index, flip] of flips.entries()) {
  test(`a restore whose target holds the wrong value is refused: ${flip.name}`, async () => {
    const folder = bench.at(`wrong-${index}`);
    mkdirSync(folder);
    let wanted = { record: "", says: "" };
    const restoring = bench.restore(taken.snapshot, `sqlite3://${join(folder, "volume.db")}`, {
      wrap: (target) => withHarm(target, folder, (path) => (wanted = applyFlip(flip, path))),
    });
    await assert.rejects(restoring, (error) => {
      assert.ok(error instanceof CairnError);
      assert.equal(error.code, "proof-failed");
      assert.equal(exitCodes[error.exit], 6);
      assert.ok(error.message.includes(`${wanted.record}: `), `${error.message} does not name ${wanted.record}`);
      assert.ok(error.message.includes(wanted.says), `${error.message} does not say ${wanted.says}`);
      return true;
    });
    assert.deepEqual(readdirSync(folder), [], "nothing is left that could be taken for a volume");
  });
}

test("a restore whose target holds a name in the wrong place is refused", async () => {
  const folder = bench.at("out-of-order");
  mkdirSync(folder);
  const rename = (path: string): void => {
    const database = new DatabaseSync(path);
    const first =
      "SELECT id FROM jfs_edge WHERE parent = (SELECT parent FROM jfs_edge GROUP BY parent HAVING count(*) > 3 LIMIT 1) ORDER BY name LIMIT 1";
    assert.equal(database.prepare(`UPDATE jfs_edge SET name = x'7e7e' WHERE id = (${first})`).run().changes, 1);
    database.close();
  };
  const restoring = bench.restore(taken.snapshot, `sqlite3://${join(folder, "volume.db")}`, {
    wrap: (target) => withHarm(target, folder, rename),
  });
  await assert.rejects(restoring, {
    code: "proof-failed",
    exit: "proofFailed",
    message: /table edge has records out of key order at parent=\d+ name=/,
  });
  assert.deepEqual(readdirSync(folder), []);
});

test("a restore that nothing happened to is published", async () => {
  const folder = bench.at("right");
  mkdirSync(folder);
  let seen = "";
  await bench.restore(taken.snapshot, `sqlite3://${join(folder, "volume.db")}`, {
    wrap: (target) => withHarm(target, folder, (path) => (seen = path)),
  });
  assert.notEqual(seen, "");
  assert.deepEqual(readdirSync(folder), ["volume.db"]);
});

for (const [index, flip] of flips.entries()) {
  test(`a value that changed in a restored volume changes its root, and a diff names it: ${flip.name}`, async () => {
    const path = bench.at(`changed-${index}.db`);
    await bench.restore(taken.snapshot, `sqlite3://${path}`);
    const { record } = applyFlip(flip, path);
    const changed = await bench.backUp(`sqlite3://${path}`);
    assert.notEqual(changed.root, taken.root);
    const { isEqual, outside, changes } = await bench.diff(taken.snapshot, changed.snapshot);
    assert.equal(isEqual, false);
    const named = [
      ...outside.flatMap(({ table, records }) => records.map(({ name }) => `${table} ${name}`)),
      ...changes.flatMap(({ low, high, path, from }) => [
        `inode ${(BigInt(high) << 32n) | BigInt(low)}`,
        ...[path, from].flatMap((one) => (one === undefined ? [] : [`path ${bytesToText(one)}`])),
      ]),
    ];
    assert.ok(
      named.some((name) => isNameOf(name, record)),
      `${named.join(", ")} has no ${record}`,
    );
  });
}

/** Whether a diff's name is that of the record: records of the tree are named by path and inode. */
function isNameOf(name: string, record: string): boolean {
  const edge = /^edge parent=\d+ name=(.*)$/.exec(record);
  if (edge !== null) return name.startsWith("path ") && name.endsWith(`/${edge[1]}`);
  const inTree = /^(?:node|chunk|symlink|xattr) inode=(\d+)/.exec(record);
  if (inTree !== null) return name === `inode ${inTree[1]}`;
  return name === record || (record.startsWith("quota") && name.startsWith("quota "));
}
