/** What an engine cannot hold (docs/engines/limits.md), one odd volume for each limit: refused before the first write, and held by all others. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { quickstartVolume } from "../engines/sqlite-fixtures.ts";
import { engineNames, openEngines } from "../support/engines.ts";
import type { EngineName, Engines } from "../support/engines.ts";
import { openBench } from "./bench.ts";
import type { Bench } from "./bench.ts";

interface Limit {
  readonly what: string;
  /** Makes the volume go beyond it. */
  readonly sql: string;
  readonly refusing: readonly EngineName[];
  /** What the error must name. */
  readonly names: RegExp;
}

const file = "(SELECT min(inode) FROM jfs_node WHERE type = 1 AND nlink = 1 AND length > 0)";
const xattr = (name: string, value: string): string =>
  `INSERT INTO jfs_xattr (inode, name, value) VALUES (${file}, CAST(${name} AS TEXT), ${value})`;
const slice = "substr(CAST(slices AS BLOB), 1, 24)";

const limits: readonly Limit[] = [
  ...(["uid", "gid", "rdev", "nlink"] as const).map((column) => ({
    what: `a ${column} of 2^31`,
    sql: `UPDATE jfs_node SET ${column} = 2147483648 WHERE inode = ${file}`,
    refusing: ["postgres", "mysql"] as const,
    names: new RegExp(`node\\.${column}`),
  })),
  {
    what: "a slice of 2^31 bytes",
    sql: `UPDATE jfs_chunk_ref SET size = 2147483648 WHERE chunkid = (SELECT max(chunkid) FROM jfs_chunk_ref);
      UPDATE jfs_chunk_ref SET refs = 7 WHERE size = 2147483648`,
    refusing: ["postgres", "mysql"],
    names: /slice|size/,
  },
  {
    what: "an extended attribute whose name is no UTF-8",
    sql: xattr("x'757365722EFFFE'", "x'61'"),
    refusing: ["postgres", "mysql"],
    names: /extended attribute|xattr/,
  },
  {
    what: "extended attributes whose names differ in case only",
    sql: `${xattr("x'757365722E6361736531'", "x'61'")}; ${xattr("x'757365722E4341534531'", "x'62'")}`,
    refusing: ["mysql"],
    names: /extended attribute|xattr/,
  },
  {
    what: "an extended attribute of 65,536 bytes",
    sql: xattr("x'757365722E6C61726765'", "zeroblob(65536)"),
    refusing: ["mysql"],
    names: /xattr\.value/,
  },
  {
    what: "a chunk of 2,731 slices",
    sql: `UPDATE jfs_chunk SET slices = (
        WITH RECURSIVE many(n, all_slices) AS (VALUES (0, x'') UNION ALL SELECT n + 1, all_slices || ${slice} FROM many WHERE n < 2731)
        SELECT CAST(all_slices AS BLOB) FROM many WHERE n = 2731)
      WHERE id = (SELECT max(id) FROM jfs_chunk WHERE length(slices) = 24)`,
    refusing: ["mysql"],
    names: /chunk\.slices/,
  },
];

let bench: Bench;
let engines: Engines;
let volume: string;

before(async () => {
  bench = await openBench("limits");
  engines = await openEngines();
  volume = quickstartVolume(bench.folder);
  const database = new DatabaseSync(volume);
  // What this volume holds that an engine cannot is among the limits below.
  database.exec("DELETE FROM jfs_xattr WHERE name = 'user.TEXT' OR instr(CAST(name AS BLOB), x'FF') > 0");
  database.exec("UPDATE jfs_node SET rdev = rdev & 65535");
  database.close();
});

after(async () => {
  await bench[Symbol.asyncDispose]();
  await engines[Symbol.asyncDispose]();
});

for (const [at, { what, sql, refusing, names }] of limits.entries()) {
  test(`${what}: ${refusing.join(" and ")} refuses, the others hold it`, async () => {
    const path = bench.at(`limit-${at}.db`);
    const original = new DatabaseSync(volume);
    original.exec(`VACUUM INTO '${path}'`);
    original.close();
    const database = new DatabaseSync(path);
    database.exec(sql);
    database.close();
    const { snapshot, root } = await bench.backUp(`sqlite3://${path}`);
    for (const name of engineNames) {
      const url = await engines.on(name).newPlace();
      if (!refusing.includes(name)) {
        assert.equal((await bench.restore(snapshot, url)).restoredRoot, root, name);
        continue;
      }
      await assert.rejects(bench.restore(snapshot, url), (error: Error & { code: string; exit: string }) => {
        assert.equal(error.code, "does-not-fit", `${name}: ${error.message}`);
        assert.equal(error.exit, "targetRefused");
        assert.match(error.message, names);
        return true;
      });
      assert.deepEqual(await engines.on(name).contents(url), [], `${name}: nothing was written`);
      assert.deepEqual(await engines.on(name).connections(), []);
    }
  });
}
