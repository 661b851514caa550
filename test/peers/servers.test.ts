import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { startMariadb } from "./mariadb.ts";
import { startPostgres, startPostgresStandby } from "./postgres.ts";
import { startRedis, startRedisReplica } from "./redis.ts";
import type { ServerProcess } from "./server-process.ts";

test("a Redis server has databases of its own, a replica, and leaves nothing behind", async () => {
  const servers: ServerProcess[] = [];
  {
    await using master = await startRedis({ password: "secret" });
    await using replica = await startRedisReplica(master);
    servers.push(master, replica);
    assert.equal(await master.newDatabase(), 0);
    const second = await master.newDatabase();
    await using connection = await master.connect(second);
    assert.equal(await connection.command("SET", "key", "value"), "OK");
    assert.equal(await connection.text("GET", "key"), "value");
    assert.match(await replica.command("INFO", "replication"), /master_link_status:up/);
    assert.equal(master.url(second), `redis://:secret@127.0.0.1:${master.port}/${second}`);
  }
  assertGone(servers);
});

test("Redis with TLS replicates by TLS", async () => {
  await using master = await startRedis({ tls: "client" });
  await using replica = await startRedisReplica(master, { tls: true });
  assert.match(await replica.command("INFO", "replication"), /master_link_status:up/);
});

test("a PostgreSQL server has databases of its own and a standby, comes back after a crash, and leaves nothing behind", async () => {
  const servers: ServerProcess[] = [];
  {
    await using server = await startPostgres({ tls: true });
    const database = await server.newDatabase();
    await database.query("create table public.t (a int)");
    await using standby = await startPostgresStandby(server);
    servers.push(server, standby);
    assert.equal(await standby.query("select pg_is_in_recovery()"), "t\n");
    assert.equal(await standby.query("select count(*) from t", database.name), "0\n");
    await server.crash();
    await server.restart();
    assert.equal(await database.query("select count(*) from t"), "0\n");
  }
  assertGone(servers);
});

test("a MariaDB server has databases of its own, comes back after a crash, and leaves nothing behind", async () => {
  const servers: ServerProcess[] = [];
  {
    await using server = await startMariadb({ tls: true, binaryLog: true });
    servers.push(server);
    const database = await server.newDatabase();
    await database.query("create table t (a int) engine=innodb");
    assert.equal(await server.query("select @@local_infile, @@log_bin"), "0\t1\n");
    await server.crash();
    await server.restart();
    assert.equal(await database.query("select count(*) from t"), "0\n");
  }
  assertGone(servers);
});

function assertGone(servers: readonly ServerProcess[]): void {
  for (const server of servers) {
    assert.equal(existsSync(server.folder), false);
    assert.throws(() => process.kill(server.pid, 0), { code: "ESRCH" });
  }
}
