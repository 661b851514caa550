/** Restores into real servers: MariaDB with and without LOAD DATA LOCAL, and MySQL. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CairnError } from "../../src/model/errors.ts";
import type { Target } from "../../src/model/ports.ts";
import { parseMysqlUrl } from "../../src/engines/juicefs/mysql/url.ts";
import { logIn } from "../../src/protocols/mysql/log-in.ts";
import { assertVolumeJudged, openBench } from "../end-to-end/bench.ts";
import type { Bench, TakenSnapshot } from "../end-to-end/bench.ts";
import { startMariadb } from "../peers/mariadb.ts";
import { startMysql } from "../peers/mysql.ts";
import type { MysqlDatabase, MysqlOptions, MysqlServer } from "../peers/mysql-server.ts";
import { runJuicefs } from "../volumes/juicefs-cli.ts";
import { fittingVolume } from "./mysql-fixtures.ts";

let bench: Bench;
let taken: TakenSnapshot;
let buckets = 0;

before(async () => {
  bench = await openBench("mysql-target");
  taken = await bench.backUp(`sqlite3://${fittingVolume(bench.folder)}`);
});
after(() => bench[Symbol.asyncDispose]());

const rejection = async (work: Promise<unknown>): Promise<CairnError> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof CairnError, `no CairnError but ${String(error)}`);
  return error;
};

const tablesOf = async (database: MysqlDatabase): Promise<string[]> =>
  (await database.query("SHOW TABLES")).split("\n").filter((line) => line !== "");

/** Definitions of all tables by name. */
async function schemaOf(database: MysqlDatabase): Promise<Record<string, string>> {
  const schema: Record<string, string> = {};
  for (const table of await tablesOf(database)) {
    schema[table] = (await database.query(`SHOW CREATE TABLE ${table}`)).replace(/ AUTO_INCREMENT=\d+/, "");
  }
  return schema;
}

const servers: [name: string, start: (options: MysqlOptions) => Promise<MysqlServer>, options: MysqlOptions][] = [
  ["MariaDB with LOAD DATA LOCAL", startMariadb, { localInfile: true }],
  ["MariaDB without LOAD DATA LOCAL, small packets", startMariadb, { config: { "max-allowed-packet": "1M" } }],
  ["MariaDB with a binary log", startMariadb, { localInfile: true, binaryLog: true }],
  ["MySQL with LOAD DATA LOCAL", startMysql, { localInfile: true, binaryLog: true }],
  ["MySQL as it comes, with TLS", startMysql, { tls: true }],
];

for (const [name, start, options] of servers) {
  describe(`a restore into ${name}`, () => {
    let server: MysqlServer;
    before(async () => {
      server = await start(options);
    });
    after(() => server[Symbol.asyncDispose]());

    test("has the root of the snapshot, tables as the real client makes them, and numbers that go on", async () => {
      const database = await server.newDatabase();
      await bench.restore(taken.snapshot, database.url);
      assert.equal((await bench.backUp(database.url)).root, taken.root);
      await assertVolumeJudged(database.url);
      await runJuicefs(["status", database.url]);

      const formatted = await server.newDatabase();
      await runJuicefs([
        "format",
        "--storage=file",
        `--bucket=${bench.at(`bucket-${++buckets}`)}/`,
        formatted.url,
        "schema",
      ]);
      assert.deepEqual(await schemaOf(database), await schemaOf(formatted));
      for (const table of ["edge", "chunk", "xattr", "acl"]) {
        const next = await database.query(
          `SELECT AUTO_INCREMENT > (SELECT MAX(id) FROM jfs_${table}) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'jfs_${table}'`,
        );
        assert.equal(next.trim(), "1", table);
      }
    });

    test("goes under a prefix beside another volume, which stays as it is", async () => {
      const database = await server.newDatabase();
      await runJuicefs([
        "format",
        "--storage=file",
        `--bucket=${bench.at(`bucket-${++buckets}`)}/`,
        database.url,
        "other-one",
      ]);
      const before = await schemaOf(database);
      assert.equal((await rejection(bench.restore(taken.snapshot, database.url))).code, "target-not-empty");
      const beside = database.urlWith({ parameters: { table_prefix: "copy" } });
      await bench.restore(taken.snapshot, beside);
      const now = await schemaOf(database);
      for (const [table, definition] of Object.entries(before)) assert.equal(now[table], definition);
      assert.equal((await bench.backUp(beside)).root, taken.root);
      assert.match((await runJuicefs(["status", database.url])).stdout, /other-one/);
    });
  });
}

describe("a restore that MySQL or MariaDB cannot take", () => {
  let server: MysqlServer;
  before(async () => {
    server = await startMariadb({ localInfile: true });
  });
  after(() => server[Symbol.asyncDispose]());

  const limits: [name: string, sql: string, expected: RegExp][] = [
    ["a number of 2^31", "UPDATE jfs_node SET uid = 2147483648 WHERE inode = 1", /node\.uid reaches 2147483648/],
    [
      "a chunk of more than 2,730 slices",
      "UPDATE jfs_chunk SET slices = zeroblob(24 * 2731) WHERE id = (SELECT min(id) FROM jfs_chunk)",
      /chunk\.slices reaches 65544/,
    ],
    [
      "a value of 64 KiB",
      "INSERT INTO jfs_xattr (inode, name, value) VALUES (1, 'user.big', zeroblob(65536))",
      /xattr\.value reaches 65536/,
    ],
    [
      "two names that are one under the collation",
      "INSERT INTO jfs_xattr (inode, name, value) VALUES (1, 'user.same', x'01'), (1, 'user.SAME', x'02')",
      /Duplicate entry '1-user\.S/i,
    ],
    [
      "a name that is no UTF-8",
      "INSERT INTO jfs_xattr (inode, name, value) VALUES (1, CAST(x'757365722eff' AS TEXT), x'01')",
      /Incorrect string value/,
    ],
    [
      "a name of more than 255 characters",
      "INSERT INTO jfs_xattr (inode, name, value) VALUES (1, 'user.' || hex(zeroblob(126)), x'01')",
      /Data too long|truncated/,
    ],
  ];
  for (const [name, sql, expected] of limits) {
    for (const way of ["LOAD DATA", "INSERT"]) {
      test(`${name} is refused before anything is written (${way})`, async () => {
        const path = fittingVolume(bench.folder);
        const sqlite = new DatabaseSync(path);
        sqlite.exec(sql);
        sqlite.close();
        const { snapshot } = await bench.backUp(`sqlite3://${path}`);
        const database = await server.newDatabase();
        await server.query(`SET GLOBAL local_infile = ${way === "INSERT" ? 0 : 1}`);
        const error = await rejection(bench.restore(snapshot, database.url));
        await server.query("SET GLOBAL local_infile = 1");
        assert.equal(error.code, "does-not-fit");
        assert.equal(error.exit, "targetRefused");
        assert.equal(error.unharmed, "nothing was written");
        assert.match(error.message, expected);
        assert.deepEqual(await tablesOf(database), []);
      });
    }
  }

  test("what fits under another collation is taken", async () => {
    const path = fittingVolume(bench.folder);
    const sqlite = new DatabaseSync(path);
    sqlite.exec("INSERT INTO jfs_xattr (inode, name, value) VALUES (1, 'user.same', x'01'), (1, 'user.SAME', x'02')");
    sqlite.close();
    const { snapshot, root } = await bench.backUp(`sqlite3://${path}`);
    const database = await server.newDatabase();
    await database.query(`ALTER DATABASE ${database.name} COLLATE utf8mb4_bin`);
    await bench.restore(snapshot, database.url);
    assert.equal((await bench.backUp(database.url)).root, root);
  });

  test("--replace is for SQLite", async () => {
    const database = await server.newDatabase();
    const replace = taken.snapshot.manifest.volume;
    const error = await rejection(bench.restore(taken.snapshot, database.url, { replace }));
    assert.equal(error.code, "replace-unsupported");
  });

  test("missing rights are named with their GRANT, and nothing is left", async () => {
    const database = await server.newDatabase();
    const { name } = database;
    await server.query(
      `CREATE USER few@'%' IDENTIFIED BY 'f'; GRANT SELECT, INSERT, CREATE, DROP ON ${name}.* TO few@'%'`,
    );
    const url = database.urlWith({ user: "few", password: "f" });
    const error = await rejection(bench.restore(taken.snapshot, url));
    assert.equal(error.code, "privilege-missing");
    assert.match(error.next ?? "", new RegExp(`GRANT .*ALTER.* ON \`${name}\`\\.\\* TO 'few'@'%'`));
    assert.deepEqual(await tablesOf(database), []);
    await server.query(`GRANT ALTER ON ${name}.* TO few@'%'`);
    await bench.restore(taken.snapshot, url);
    assert.equal((await bench.backUp(url)).root, taken.root);
  });

  test("a table that somebody else makes meanwhile is not touched, and what was made is removed", async () => {
    const database = await server.newDatabase();
    const wrap = (target: Target): Target => ({
      ...target,
      async begin(plan, options) {
        const watched = {
          ...plan,
          // Names are looked at after the target was found empty.
          async *read(table: string) {
            if (table === "xattr")
              await database.query("CREATE TABLE jfs_node (id INT); INSERT INTO jfs_node VALUES (7)");
            yield* plan.read(table);
          },
        };
        return await target.begin(watched, options);
      },
    });
    const error = await rejection(bench.restore(taken.snapshot, database.url, { wrap }));
    assert.equal(error.code, "target-not-empty");
    assert.match(error.message, /node/);
    assert.deepEqual(await tablesOf(database), ["jfs_node"]);
    assert.equal((await database.query("SELECT id FROM jfs_node")).trim(), "7");
  });

  test("a marker that is damaged, or not of ours, is left alone", async () => {
    const database = await server.newDatabase();
    const columns = "restore VARCHAR(64), volume VARCHAR(64), started VARCHAR(64), tables TEXT";
    for (const sql of [
      `CREATE TABLE jfs_cairn_restore (${columns}); INSERT INTO jfs_cairn_restore VALUES ('a', 'b', 'c', '["jfs_no')`,
      "CREATE TABLE jfs_cairn_restore (id INT)",
    ]) {
      await database.query(sql);
      const error = await rejection(bench.restore(taken.snapshot, database.url, { discardUnfinished: true }));
      assert.equal(error.code, "target-not-empty");
      assert.deepEqual(await tablesOf(database), ["jfs_cairn_restore"]);
      await database.query("DROP TABLE jfs_cairn_restore");
    }
  });

  test("names that differ in case only are one place where the server folds them", async () => {
    await using folding = await startMariadb({ localInfile: true, config: { "lower-case-table-names": 1 } });
    const database = await folding.newDatabase();
    const upper = database.urlWith({ parameters: { table_prefix: "ABC" } });
    const lower = database.urlWith({ parameters: { table_prefix: "abc" } });
    await bench.restore(taken.snapshot, lower);
    const before = await schemaOf(database);
    assert.equal((await rejection(bench.restore(taken.snapshot, upper))).code, "target-not-empty");
    assert.deepEqual(await schemaOf(database), before);
    assert.equal((await bench.backUp(upper)).root, taken.root);
    const other = await folding.newDatabase();
    const otherUpper = other.urlWith({ parameters: { table_prefix: "ABC" } });
    await bench.restore(taken.snapshot, otherUpper);
    assert.equal((await bench.backUp(otherUpper)).root, taken.root);
    await runJuicefs(["status", otherUpper]);
  });

  test("a server that takes no writes", async () => {
    const database = await server.newDatabase();
    await server.query("SET GLOBAL read_only = 1");
    const error = await rejection(bench.restore(taken.snapshot, database.url));
    await server.query("SET GLOBAL read_only = 0");
    assert.equal(error.code, "engine-read-only");
    assert.deepEqual(await tablesOf(database), []);
  });

  test("two restores into one place at the same time: one is refused", async () => {
    const database = await server.newDatabase();
    const both = await Promise.allSettled([
      bench.restore(taken.snapshot, database.url),
      bench.restore(taken.snapshot, database.url),
    ]);
    const refused = both.filter((one) => one.status === "rejected").map((one) => one.reason as CairnError);
    assert.equal(refused.length, 1);
    assert.ok(["target-in-use", "target-not-empty"].includes(refused[0].code), refused[0].message);
    assert.equal((await bench.backUp(database.url)).root, taken.root);
  });
});

describe("a restore whose connection ends", () => {
  let server: MysqlServer;
  before(async () => {
    server = await startMariadb({ localInfile: true });
  });
  after(() => server[Symbol.asyncDispose]());

  /** Ends every connection of a user but the one that asks. */
  const killAll = (user: string): Promise<string> => server.query(`KILL CONNECTION USER ${user}`);

  /** The same target, with something done before a step of the writer. */
  function harmed(
    step: "write" | "finish" | "publish",
    nth: number,
    harm: () => Promise<unknown>,
  ): (target: Target) => Target {
    return (target) => ({
      engine: target.engine,
      location: target.location,
      async begin(plan, options) {
        const writer = await target.begin(plan, options);
        let writes = 0;
        return {
          async write(batch) {
            if (step === "write" && ++writes === nth) await harm();
            await writer.write(batch);
          },
          async finish() {
            if (step === "finish") await harm();
            await writer.finish();
          },
          readBack: () => writer.readBack(),
          async publish() {
            if (step === "publish") await harm();
            await writer.publish();
          },
          [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
        };
      },
    });
  }

  for (const [step, nth] of [
    ["write", 3],
    ["write", 6],
    ["finish", 1],
    ["publish", 1],
  ] as const) {
    test(`before ${step} ${nth} says so, and leaves nothing`, async () => {
      const database = await server.newDatabase();
      const harm = async (): Promise<void> => {
        await killAll(database.user);
        await sleep(100);
      };
      const error = await rejection(bench.restore(taken.snapshot, database.url, { wrap: harmed(step, nth, harm) }));
      assert.equal(error.code, "connection-lost");
      assert.equal(error.exit, "targetRefused");
      assert.deepEqual(await tablesOf(database), []);
      await bench.restore(taken.snapshot, database.url);
    });
  }

  test("because it was given up, while an index was built: the server does not go on with it, and nothing is left", async () => {
    const database = await server.newDatabase();
    using holding = await logIn(parseMysqlUrl(database.url).address);
    const building = async (): Promise<number> =>
      Number(await server.query("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'ALTER TABLE%'"));
    const until = async (count: number): Promise<void> => {
      for (let tries = 0; (await building()) !== count; tries++) {
        assert.ok(tries < 100, `there are not ${count} statements that build an index`);
        await sleep(100);
      }
    };
    const giveUp = new AbortController();
    const harm = async (): Promise<void> => {
      await holding.run("START TRANSACTION");
      await holding.query("SELECT 1 FROM jfs_edge LIMIT 1");
    };
    const wrap = harmed("write", 1, harm);
    const restored = bench
      .restore(taken.snapshot, database.url, { wrap, signal: giveUp.signal })
      .catch((error: unknown) => error);
    await until(1);
    giveUp.abort(new Error("given up"));
    await until(0);
    await holding.run("ROLLBACK");
    assert.match(String(await restored), /given up/);
    assert.deepEqual(await tablesOf(database), []);
  });

  test("and cannot be had again: what is left is no volume, and is removed when asked", async () => {
    const database = await server.newDatabase();
    const harm = async (): Promise<void> => {
      await server.query(`ALTER USER ${database.user}@'%' ACCOUNT LOCK`);
      await killAll(database.user);
      await sleep(100);
    };
    const error = await rejection(bench.restore(taken.snapshot, database.url, { wrap: harmed("finish", 1, harm) }));
    assert.equal(error.code, "connection-lost");
    await server.query(`ALTER USER ${database.user}@'%' ACCOUNT UNLOCK`);
    assert.ok((await tablesOf(database)).includes("jfs_cairn_restore"));
    await assert.rejects(runJuicefs(["status", database.url]), /not formatted/i);
    assert.equal((await rejection(bench.backUp(database.url))).code, "not-formatted");
    const next = await rejection(bench.restore(taken.snapshot, database.url));
    assert.equal(next.code, "target-unfinished");
    assert.match(next.next ?? "", /--discard-unfinished/);
    await database.query("CREATE TABLE jfs_mine (id INT)");
    assert.equal(
      (await rejection(bench.restore(taken.snapshot, database.url, { discardUnfinished: true }))).code,
      "target-not-empty",
    );
    await database.query("DROP TABLE jfs_mine");
    await bench.restore(taken.snapshot, database.url, { discardUnfinished: true });
    assert.equal((await bench.backUp(database.url)).root, taken.root);
    assert.ok(!(await tablesOf(database)).includes("jfs_cairn_restore"));
  });
});
