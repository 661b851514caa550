/** Volumes that the real JuiceFS made on a real MariaDB, read whole, refused, and cut off. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { CairnError } from "../../src/model/errors.ts";
import { openSource } from "../../src/cli/registry.ts";
import { openBench } from "../end-to-end/bench.ts";
import type { Bench, TakenSnapshot } from "../end-to-end/bench.ts";
import { startMariadb } from "../peers/mariadb.ts";
import type { MysqlDatabase, MysqlServer } from "../peers/mysql-server.ts";
import { peerPath } from "../peers/peers.ts";
import { quietProgress } from "../support/quiet-progress.ts";
import { runJuicefs } from "../volumes/juicefs-cli.ts";
import { fittingVolume } from "./mysql-fixtures.ts";

let server: MysqlServer;
let bench: Bench;
/** A volume that the real client loaded, and its snapshot. */
let volume: MysqlDatabase;
let taken: TakenSnapshot;
let dump = "";

before(async () => {
  server = await startMariadb({ binaryLog: true });
  bench = await openBench("mysql-source");
  const from = fittingVolume(bench.folder);
  dump = bench.at("volume.bin");
  await runJuicefs(["dump", "--binary", `sqlite3://${from}`, dump]);
  volume = await loaded();
  taken = await bench.backUp(volume.url);
});
after(async () => {
  await bench[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** A new database with the volume in it. */
async function loaded(parameters: Record<string, string> = {}): Promise<MysqlDatabase> {
  const database = await server.newDatabase();
  await runJuicefs(["load", "--binary", database.urlWith({ parameters }), dump]);
  return database;
}

const rejection = async (work: Promise<unknown>): Promise<CairnError> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof CairnError, `no CairnError but ${String(error)}`);
  return error;
};

test("a volume that the real client loaded has the root that it had in SQLite", async () => {
  const copy = bench.at("copy.db");
  await runJuicefs(["load", "--binary", `sqlite3://${copy}`, dump]);
  assert.equal((await bench.backUp(`sqlite3://${copy}`)).root, taken.root);
});

test("the manifest says where in the binary log the snapshot stands", () => {
  const { consistency, engine } = taken.snapshot.manifest;
  assert.equal(engine.name, "MariaDB");
  assert.equal(consistency.level, "snapshot");
  assert.match(String(consistency.position["binlogFile"]), /^binlog\./);
  assert.match(String(consistency.position["binlogPosition"]), /^\d+$/);
  assert.match(String(consistency.position["gtid"]), /^0-1-\d+$/);
});

test("a volume under a table prefix, and other tables in the same database", async () => {
  const database = await loaded({ table_prefix: "abc" });
  const plain = await rejection(bench.backUp(database.url));
  assert.equal(plain.code, "not-a-volume");
  assert.match(plain.next ?? "", /abc/);
  await database.query("CREATE TABLE other (id INT PRIMARY KEY) ENGINE=MyISAM");
  assert.equal((await bench.backUp(database.urlWith({ parameters: { table_prefix: "abc" } }))).root, taken.root);
});

test("over a Unix socket", async () => {
  assert.equal((await bench.backUp(volume.socketUrl)).root, taken.root);
});

test("a volume of JuiceFS 1.2, whose tables lack what came later", async () => {
  const database = await server.newDatabase();
  const bucket = bench.at("bucket-1.2");
  await promisify(execFile)(peerPath("juicefs-meta-1.2"), [
    "make",
    "-files",
    "50",
    "-end",
    "crashed",
    database.url,
    bucket,
    "older",
  ]);
  const older = await bench.backUp(database.url);
  assert.equal(older.snapshot.manifest.facts["schemaLine"], "1.2 or 1.3");
  const copy = await server.newDatabase();
  await bench.restore(older.snapshot, copy.url, { line: "1.2" });
  assert.equal((await bench.backUp(copy.url)).root, older.root);
  for (const table of (await database.query("SHOW TABLES")).trim().split("\n")) {
    const definition = (one: MysqlDatabase): Promise<string> => one.query(`SHOW CREATE TABLE ${table}`);
    const withoutNumbers = (text: string): string => text.replace(/ AUTO_INCREMENT=\d+/, "");
    assert.equal(withoutNumbers(await definition(copy)), withoutNumbers(await definition(database)));
  }
});

test("what is not a volume, or may not be read whole, is refused by name", async () => {
  const empty = await server.newDatabase();
  assert.equal((await rejection(bench.backUp(empty.url))).code, "not-a-volume");
  const database = await loaded();
  await database.query("ALTER TABLE jfs_node ADD COLUMN colour INT");
  const column = await rejection(bench.backUp(database.url));
  assert.equal(column.code, "unknown-schema");
  assert.match(column.message, /colour/);
  await database.query("ALTER TABLE jfs_node DROP COLUMN colour; CREATE TABLE jfs_new (id INT)");
  assert.match((await rejection(bench.backUp(database.url))).message, /jfs_new/);
  await database.query("DROP TABLE jfs_new; ALTER TABLE jfs_symlink ENGINE = MyISAM");
  const engine = await rejection(bench.backUp(database.url));
  assert.equal(engine.code, "engine-not-transactional");
  assert.match(engine.message, /jfs_symlink.*MyISAM/);
  await database.query("ALTER TABLE jfs_symlink ENGINE = InnoDB; DELETE FROM jfs_setting");
  assert.equal((await rejection(bench.backUp(database.url))).code, "not-formatted");
});

test("a value that no JuiceFS writes, and a column of another type, are refused by name", async () => {
  const database = await loaded();
  await database.query("UPDATE jfs_node SET uid = -1 WHERE inode = 1");
  const value = await rejection(bench.backUp(database.url));
  assert.equal(value.code, "unexpected-value");
  assert.match(value.message, /uid/);
  await database.query("UPDATE jfs_node SET uid = 0 WHERE inode = 1; ALTER TABLE jfs_node MODIFY uid VARCHAR(20)");
  const type = await rejection(bench.backUp(database.url));
  assert.equal(type.code, "unexpected-value");
  assert.match(type.message, /uid/);
});

test("a wrong password, no database, no server", async () => {
  const wrong = await rejection(bench.backUp(volume.urlWith({ password: "geheim" })));
  assert.equal(wrong.code, "login-failed");
  assert.equal(wrong.exit, "sourceUnreachable");
  assert.ok(!JSON.stringify([wrong.message, wrong.next, wrong.details]).includes("geheim"));
  await server.query(`GRANT ALL ON nothing_here.* TO ${volume.user}@'%'`);
  assert.equal(
    (await rejection(bench.backUp(volume.url.replace(`/${volume.name}`, "/nothing_here")))).code,
    "no-database",
  );
  assert.equal((await rejection(bench.backUp(volume.urlWith({ port: 1 })))).code, "engine-unreachable");
});

test("special characters in a password are taken as the real client takes them", async () => {
  const given: [written: string, meant: string][] = [
    ["p%40ss", "p@ss"],
    ["p@s:s", "p@s:s"],
    ["a+b", "a+b"],
    ["x/y%41", "x/y%41"],
    ["50%", "50%"],
    ["{^}%41", "{^}%41"],
    ["%C3%A9", "é"],
  ];
  for (const [written, meant] of given) {
    await server.query(`ALTER USER ${volume.user}@'%' IDENTIFIED BY '${meant}'`);
    const url = volume.urlWith({ password: written });
    await runJuicefs(["status", url]);
    await (await openSource(url, { keepSecrets: false, allowBlock: false })).describe(AbortSignal.timeout(10_000));
  }
  await server.query(`ALTER USER ${volume.user}@'%' IDENTIFIED BY '${volume.password}'`);
});

test("SELECT is enough; what is missing is named with its GRANT", async () => {
  await server.query(
    `CREATE USER reader@'%' IDENTIFIED BY 'r'; CREATE USER partial@'%' IDENTIFIED BY 'p'; CREATE USER nobody@'%' IDENTIFIED BY 'n';
     GRANT SELECT ON ${volume.name}.* TO reader@'%'`,
  );
  const tables = (await volume.query("SHOW TABLES")).trim().split("\n");
  await server.query(
    tables
      .filter((name) => name !== "jfs_xattr")
      .map((name) => `GRANT SELECT ON ${volume.name}.${name} TO partial@'%'`)
      .join(";"),
  );
  await server.query(`GRANT INSERT ON ${volume.name}.jfs_xattr TO partial@'%'`);
  assert.equal((await bench.backUp(volume.urlWith({ user: "reader", password: "r" }))).root, taken.root);
  const none = await rejection(bench.backUp(volume.urlWith({ user: "nobody", password: "n" })));
  assert.equal(none.code, "privilege-missing");
  assert.match(none.next ?? "", new RegExp(`GRANT SELECT ON \`${volume.name}\`\\.\\* TO 'nobody'@'%'`));
  const url = volume.urlWith({ user: "partial", password: "p" });
  const source = await openSource(url, { keepSecrets: false, allowBlock: false });
  const requireRefusal = async (): Promise<void> => {
    for (const work of [() => source.describe(AbortSignal.timeout(10_000)), () => bench.backUp(url)]) {
      const partial = await rejection(work());
      assert.equal(partial.code, "privilege-missing");
      assert.match(partial.message, /jfs_xattr/);
      assert.match(partial.next ?? "", /GRANT SELECT ON .* TO 'partial'@'%'/);
    }
  };
  await requireRefusal();
  // Then the server's catalogue does not show the table at all.
  await server.query(`REVOKE INSERT ON ${volume.name}.jfs_xattr FROM partial@'%'`);
  await requireRefusal();
  // And some columns only.
  await server.query(`GRANT SELECT (id, inode, name) ON ${volume.name}.jfs_xattr TO partial@'%'`);
  await requireRefusal();
  await server.query(`GRANT SELECT ON ${volume.name}.jfs_xattr TO partial@'%'`);
  assert.equal((await bench.backUp(url)).root, taken.root);
});

test("a killed connection ends the backup with what was lost, and harms nothing", async () => {
  const source = await openSource(volume.url, { keepSecrets: false, allowBlock: false });
  const options = {
    signal: AbortSignal.timeout(30_000),
    temporaryFolder: bench.folder,
    memoryBytes: 1 << 20,
    progress: quietProgress(),
  };
  for (const batchesBefore of [0, 1, 4]) {
    await using view = await source.open(options);
    const error = await rejection(
      (async () => {
        let batches = 0;
        if (batchesBefore === 0) await server.query(`KILL CONNECTION USER ${volume.user}`);
        for await (const batch of view.batches()) {
          assert.ok(batch.count >= 0);
          if (++batches === batchesBefore) await server.query(`KILL CONNECTION USER ${volume.user}`);
        }
        await view.summary();
      })(),
    );
    assert.equal(error.code, "connection-lost");
    assert.equal(error.exit, "sourceUnreachable");
  }
  assert.equal((await bench.backUp(volume.url)).root, taken.root);
});

test("time-outs of the server for idle connections do not end a slow backup", async () => {
  await server.query("SET GLOBAL wait_timeout = 1, GLOBAL net_write_timeout = 1, GLOBAL max_statement_time = 1");
  try {
    assert.equal((await bench.backUp(volume.url, { paceMs: 150 })).root, taken.root);
  } finally {
    await server.query("SET GLOBAL wait_timeout = 28800, GLOBAL net_write_timeout = 60, GLOBAL max_statement_time = 0");
  }
});

test("a table whose definition changes under the backup makes it begin again", async () => {
  const database = await loaded();
  const source = await openSource(database.url, { keepSecrets: false, allowBlock: false });
  const progress = quietProgress();
  const signal = AbortSignal.timeout(30_000);
  {
    await using view = await source.open({ signal, temporaryFolder: bench.folder, memoryBytes: 1 << 20, progress });
    await database.query("ALTER TABLE jfs_sustained ENGINE = InnoDB, FORCE");
    const error = await rejection(
      (async () => {
        for await (const batch of view.batches()) assert.ok(batch.count >= 0);
      })(),
    );
    assert.equal(error.code, "source-changed");
  }
});

test("a server that hangs is given up in the time that the URL says", async () => {
  const frozen = await startMariadb();
  try {
    const database = await frozen.newDatabase();
    await runJuicefs(["load", "--binary", database.url, dump]);
    const url = database.urlWith({ parameters: { readTimeout: "1s", timeout: "1s" } });
    const source = await openSource(url, { keepSecrets: false, allowBlock: false });
    const options = {
      signal: AbortSignal.timeout(20_000),
      temporaryFolder: bench.folder,
      memoryBytes: 1 << 20,
      progress: quietProgress(),
    };
    await using view = await source.open(options);
    frozen.freeze();
    const error = await rejection(
      (async () => {
        for await (const batch of view.batches()) assert.ok(batch.count >= 0);
        await view.summary();
      })(),
    );
    assert.equal(error.code, "engine-timeout");
    assert.equal((await rejection(source.describe(options.signal))).code, "engine-unreachable");
  } finally {
    frozen.thaw();
    await frozen[Symbol.asyncDispose]();
  }
});

test("TLS: what each mode takes and refuses", async () => {
  await using secure = await startMariadb({ tls: "only" });
  const database = await secure.newDatabase();
  const withTls = (tls: string): string => database.urlWith({ parameters: { tls } });
  await runJuicefs(["load", "--binary", withTls("skip-verify"), dump]);
  assert.equal((await bench.backUp(withTls("skip-verify"))).root, taken.root);
  assert.equal((await bench.backUp(withTls("preferred"))).root, taken.root);
  const plain = await rejection(bench.backUp(withTls("false")));
  assert.ok(["login-failed", "engine-failed"].includes(plain.code), plain.message);
  assert.equal((await rejection(bench.backUp(withTls("true")))).code, "tls-failed", "an authority that nobody knows");
  const cairn = join(import.meta.dirname, "../../cairn");
  const authority = secure.tls?.authority ?? "";
  for (const variable of ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"]) {
    const environment = { ...process.env, [variable]: authority };
    await promisify(execFile)(cairn, ["doctor", withTls("true")], { env: environment });
  }
  assert.equal(
    (await rejection(bench.backUp(volume.urlWith({ parameters: { tls: "skip-verify" } })))).code,
    "tls-failed",
  );
  assert.equal((await bench.backUp(volume.urlWith({ parameters: { tls: "preferred" } }))).root, taken.root);
});
