import assert from "node:assert/strict";
import { test } from "node:test";
import { startMariadb } from "./mariadb.ts";
import { startMysql } from "./mysql.ts";
import { postgresVersions } from "./postgres-programs.ts";
import { startPostgres, startPostgresStandby } from "./postgres.ts";
import { redisVersions } from "./redis-programs.ts";
import { startRedis, startRedisReplica } from "./redis.ts";

for (const version of redisVersions) {
  test(`Redis ${version} starts and feeds a replica`, async () => {
    await using master = await startRedis({ version });
    await using replica = await startRedisReplica(master, { version });
    const info = await replica.command("INFO", "server");
    // Valkey also tells the version of Redis that it is compatible with.
    const found = /^valkey_version:(\d+)/m.exec(info) ?? /^redis_version:(\d+)/m.exec(info);
    if (version !== "system") assert.equal(found?.[1], version.replace("valkey-", ""));
  });
}

for (const version of postgresVersions) {
  test(`PostgreSQL ${version} starts and has a standby`, async () => {
    await using server = await startPostgres({ version });
    await using standby = await startPostgresStandby(server, { version });
    const found = await standby.query("show server_version_num");
    if (version !== "system") assert.equal(found.slice(0, 2), version);
  });
}

test("MariaDB 11 starts", async () => {
  await using server = await startMariadb({ version: "11", tls: true });
  assert.match(await server.query("select version()"), /^11\..*MariaDB/);
});

test("MySQL starts, and is 8 or later", async () => {
  await using server = await startMysql({ tls: true, binaryLog: true });
  const database = await server.newDatabase();
  assert.equal(await database.query("select @@log_bin"), "1\n");
  assert.ok(Number.parseInt(await server.query("select version()"), 10) >= 8);
});
