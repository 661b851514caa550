import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, it } from "node:test";
import { inspect } from "node:util";
import { counts } from "../counts.ts";
import { quickstartVolume } from "../engines/sqlite-fixtures.ts";
import { openEngines } from "../support/engines.ts";
import type { Engines } from "../support/engines.ts";
import { runJuicefs } from "../volumes/juicefs-cli.ts";
import { errorsOf, formatFinding } from "./finding.ts";
import type { FindingCode } from "./finding.ts";
import { judgeVolume, readVolume } from "./judge-volume.ts";
import { parseMetaUrl } from "./meta-url.ts";
import type { RawVolume } from "./raw-volume.ts";
import { mysqlClient } from "./read-mysql.ts";
import { psql } from "./read-postgres.ts";
import { openRedis } from "./redis-client.ts";
import { mysqlMutations, pickRecords, postgresMutations, redisMutations, sqlMutations } from "./server-mutations.ts";
import type { RedisMutation, SqlMutation } from "./server-mutations.ts";

/** The real load leaves the sequence of ACL rules behind (reference §7.3, 9). */
const ofTheRealLoad: readonly FindingCode[] = ["sequence-low"];

describe("the judge of volumes on servers", () => {
  let folder = "";
  let dump = "";
  let engines: Engines;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "cairn-judge-"));
    dump = join(folder, "monday.bin");
    await dumpMonday(folder, dump);
    engines = await openEngines(["redis", "postgres", "mysql"]);
  });

  after(async () => {
    await engines[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const load = async (engine: "redis" | "postgres" | "mysql"): Promise<string> => {
    const url = await engines.on(engine).newPlace();
    await runJuicefs(["load", "--binary", url, dump]);
    return url;
  };

  for (const engine of ["redis", "postgres", "mysql"] as const) {
    it(`finds no error in a volume that the real JuiceFS loaded into ${engine}`, async () => {
      const [url, reference] = [await load(engine), await engines.on(engine).newPlace()];
      await runJuicefs(["format", "--storage=file", `--bucket=${folder}/bucket-${engine}/`, reference, "reference"]);
      for (const each of [url, reference]) {
        const errors = errorsOf(await judgeVolume(each, { reference })).filter(
          ({ code }) => !ofTheRealLoad.includes(code),
        );
        assert.deepEqual(errors.map(formatFinding), []);
      }
    });
  }

  it("reads the same volume from every engine", async () => {
    const [redis, postgres, mysql] = [await load("redis"), await load("postgres"), await load("mysql")];
    const [first, ...others] = await Promise.all([redis, postgres, mysql].map(readVolume));
    for (const other of others) {
      assert.deepEqual(nodeLines(other), nodeLines(first));
      assert.equal(other.edges.length, first.edges.length);
      assert.equal(other.chunks.length, first.chunks.length);
    }
  });

  it("finds every named defect in Redis", async () => {
    const place = parseMetaUrl(await load("redis"));
    assert.equal(place.engine, "redis");
    const url = `redis://:redis-secret@${place.host}:${place.port}/${place.database}`;
    await using client = await openRedis(place);
    const picked = pickRecords(await readVolume(url));
    const inodes = [picked.file, picked.directory, picked.link, picked.hardLink];
    const attrs = new Map<bigint, Buffer>();
    for (const inode of inodes) attrs.set(inode, (await client.call("GET", `i${inode}`)) as Buffer);
    const healthy = await countCodes(url);
    for (const mutation of redisMutations(picked, (inode) => attrs.get(inode) ?? Buffer.alloc(0))) {
      await client.pipeline(mutation.keys.map((key) => ["COPY", key, `kept:${key}`]));
      for (const command of mutation.commands) await client.call(...command);
      assertFound(mutation, await countCodes(url, mutation), healthy);
      for (const key of mutation.keys) {
        await client.call("DEL", key);
        await client.pipeline([["RENAME", `kept:${key}`, key]]);
      }
    }
    assert.deepEqual(await countCodes(url), healthy, "every defect was undone");
  });

  it("finds every named defect in PostgreSQL", async () => {
    const [url, reference] = [await load("postgres"), await load("postgres")];
    const place = parseMetaUrl(url);
    assert.equal(place.engine, "postgres");
    const picked = pickRecords(await readVolume(url));
    const run = async (sql: string): Promise<void> => {
      for await (const line of psql(place, sql)) void line;
    };
    const shared = sqlMutations(picked, (hex) => `'\\x${hex}'::bytea`);
    await findAll([...some(shared, 0), ...postgresMutations], url, reference, run);
  });

  it("finds every named defect in MariaDB", async () => {
    const [url, reference] = [await load("mysql"), await load("mysql")];
    const place = parseMetaUrl(url);
    assert.equal(place.engine, "mysql");
    const picked = pickRecords(await readVolume(url));
    const run = async (sql: string): Promise<void> => {
      for await (const line of mysqlClient(place, sql)) void line;
    };
    const shared = sqlMutations(picked, (hex) => `x'${hex}'`);
    await findAll([...some(shared, 1), ...mysqlMutations], url, reference, run);
  });
});

/** The defects that both SQL servers share are split among them, but for `npm run soak`. */
function some<Each>(all: readonly Each[], part: 0 | 1): readonly Each[] {
  return counts.allMutations ? all : all.filter((_, at) => at % 2 === part);
}

/** The nodes as texts to compare, whatever the order of their fields. */
function nodeLines({ nodes }: RawVolume): string[] {
  const keys = Object.keys(nodes[0]).toSorted();
  const lines = nodes.map((node) => {
    const fields = new Map<string, unknown>(Object.entries(node));
    return keys.map((key) => `${key} ${inspect(fields.get(key), { sorted: true })}`).join(", ");
  });
  return lines.toSorted();
}

/** The quick start's volume as a binary dump, without what the dump or an SQL server cannot hold. */
async function dumpMonday(folder: string, dump: string): Promise<void> {
  const path = quickstartVolume(folder);
  const database = new DatabaseSync(path);
  database.exec("DELETE FROM jfs_xattr WHERE name = 'user.TEXT' OR instr(CAST(name AS BLOB), x'FF') > 0");
  database.exec("UPDATE jfs_node SET rdev = rdev & 65535");
  // The real load into SQL takes an empty value for NULL, loses all attributes of that batch, and says that it succeeded.
  database.exec("DELETE FROM jfs_xattr WHERE length(value) = 0");
  // It also takes what is left of a time beyond the year 2262, which is negative, for an unsigned number.
  database.exec("UPDATE jfs_node SET atime = 0, atimensec = 0, mtime = 0, mtimensec = 0 WHERE mtime < 0");
  database.close();
  await runJuicefs(["dump", "--binary", "--keep-secret-key", `sqlite3://${path}`, dump]);
}

async function countCodes(url: string, mutation?: RedisMutation): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { code, record } of await judgeVolume(url)) {
    if (mutation?.keys.some((key) => record === `key kept:${key}`) === true) continue;
    counts[code] = (counts[code] ?? 0) + 1;
  }
  return counts;
}

function assertFound(
  { name, code }: { name: string; code: FindingCode },
  damaged: Record<string, number>,
  healthy: Record<string, number>,
): void {
  assert.ok(
    (damaged[code] ?? 0) > (healthy[code] ?? 0),
    `${name}: no ${code} was found, but ${JSON.stringify(damaged)}`,
  );
}

/** Makes one defect after another, judges, and undoes it. */
async function findAll(
  mutations: readonly SqlMutation[],
  url: string,
  reference: string,
  run: (sql: string) => Promise<void>,
): Promise<void> {
  const count = async (): Promise<Record<string, number>> => {
    const counts: Record<string, number> = {};
    for (const { code } of await judgeVolume(url, { reference })) counts[code] = (counts[code] ?? 0) + 1;
    return counts;
  };
  const healthy = await count();
  for (const mutation of mutations) {
    const { table } = mutation;
    const keep = table === undefined ? [] : [`CREATE TABLE kept AS SELECT * FROM jfs_${table}`];
    const giveBack =
      table === undefined
        ? (mutation.undo ?? [])
        : [`DELETE FROM jfs_${table}`, `INSERT INTO jfs_${table} SELECT * FROM kept`, "DROP TABLE kept"];
    await run(`${[...keep, ...mutation.sql].join(";\n")};\n`);
    assertFound(mutation, await count(), healthy);
    await run(`${giveBack.join(";\n")};\n`);
  }
  assert.deepEqual(await count(), healthy, "every defect was undone");
}
