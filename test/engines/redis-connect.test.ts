import assert from "node:assert/strict";
import { test } from "node:test";
import { openRedisSite } from "../../src/engines/juicefs/redis/connect.ts";
import type { ConnectOptions, RedisSite } from "../../src/engines/juicefs/redis/connect.ts";
import { parseRedisUrl } from "../../src/engines/juicefs/redis/url.ts";
import { CairnError } from "../../src/model/errors.ts";
import { connectRedis, textOf, whileLoading } from "../../src/protocols/redis/client.ts";
import { slotOf } from "../../src/protocols/redis/cluster.ts";
import { startCutProxy } from "../peers/cut-proxy.ts";
import { freePort } from "../peers/free-port.ts";
import { startRedisCluster } from "../peers/redis-cluster.ts";
import { startSentinel } from "../peers/redis-sentinel.ts";
import { startRedis, startRedisReplica } from "../peers/redis.ts";

const never = new AbortController().signal;

function site(url: string, options: Partial<ConnectOptions> = {}): Promise<RedisSite> {
  return openRedisSite(parseRedisUrl(url), { signal: never, ...options });
}

/** An error of that code, whose texts hold no password. */
function fails(code: string, message = /./, next = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CairnError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    assert.match(error.next ?? "", next);
    assert.doesNotMatch(`${error.message} ${error.next} ${error.stack} ${JSON.stringify(error.details)}`, /s3cret/);
    return true;
  };
}

async function set(url: string, key: string, value: string): Promise<void> {
  await using connection = await (await site(url)).connect();
  assert.equal(await connection.call("SET", key, value), "OK");
}

test("a server is reached by port and by socket, in the database of the URL", async () => {
  await using server = await startRedis({ password: "s3cret", users: ["worker on >s3cret-too ~* +@all"] });
  await set(server.url(3), "a", "1");
  await using own = await server.connect(3);
  assert.equal(await own.text("GET", "a"), "1");
  const found = await site(server.url(3, { user: "worker", password: "s3cret-too" }));
  assert.deepEqual(
    [found.address, found.mode, found.role, found.keyPrefix, found.database, found.warnings],
    [`127.0.0.1:${server.port}`, "server", "master", "", 3, []],
  );
  await using connection = await found.connect();
  assert.equal(textOf(await connection.call("GET", "a")), "1");
  const bySocket = await site(server.socketUrl(3).replace("unix://", "unix://:s3cret@"));
  assert.equal(bySocket.address, `unix:${server.socketPath}`);
});

test("wrong logins, wrong databases and servers that are not there have errors of their own, without secrets", async () => {
  await using server = await startRedis({ password: "right", users: ["weak on >s3cret ~* +ping"] });
  const at = (login: string, database: number | string = 0): string =>
    `redis://${login}127.0.0.1:${server.port}/${database}`;
  await assert.rejects(site(at(":s3cret@")), fails("login-failed", /WRONGPASS/, /META_PASSWORD/));
  await assert.rejects(site(at("nobody:s3cret@")), fails("login-failed"));
  await assert.rejects(site(at("", 1)), fails("login-failed", /NOAUTH/));
  await assert.rejects(site(at(":right@", 99)), fails("database-number", /no database 99/));
  await assert.rejects(
    site(at("weak:s3cret@", 2)),
    fails("privilege-missing", /does not allow SELECT/, /ACL SETUSER weak \+select/),
  );
  const port = await freePort();
  await assert.rejects(site(`redis://:s3cret@127.0.0.1:${port}`), fails("engine-unreachable", /ECONNREFUSED/));
  await assert.rejects(site("redis://:s3cret@host.invalid"), fails("engine-unreachable"));
  await assert.rejects(site("unix://:s3cret@/no/such.sock"), fails("engine-unreachable", /ENOENT/));
});

test("TLS: authority, client certificate, name, and what is wrong with each", async () => {
  await using server = await startRedis({ tls: "client" });
  const { tls } = server;
  assert.ok(tls !== undefined);
  await set(server.url(1), "a", "1");
  const place = `127.0.0.1:${server.port}/0`;
  const client = `tls-cert-file=${tls.clientCertificate}&tls-key-file=${tls.clientKey}`;
  const authority = `tls-ca-cert-file=${tls.authority}`;
  await site(`rediss://${place}?${authority}&${client}&tls-server-name=localhost`);
  await site(`rediss://${place}?insecure-skip-verify=1&${client}`);
  const refused: [string, RegExp][] = [
    [`rediss://${place}?${client}`, /certificate/],
    [`rediss://${place}?tls-ca-cert-file=${tls.otherAuthority}&${client}`, /certificate/],
    [`rediss://${place}?${authority}&${client}&tls-server-name=elsewhere`, /elsewhere/],
  ];
  for (const [url, message] of refused) {
    await assert.rejects(site(url), fails("engine-unreachable", message, /certificates/));
  }
  // TLS 1.3 tells a client only after the handshake that its certificate is missing.
  await assert.rejects(site(`rediss://${place}?${authority}`), (error) => {
    assert.ok(error instanceof CairnError);
    return ["engine-unreachable", "connection-lost"].includes(error.code);
  });
  await assert.rejects(site(`rediss://${place}?tls-ca-cert-file=/no/such.pem`), fails("tls-file", /tls-ca-cert-file/));
  await using plain = await startRedis();
  await assert.rejects(
    site(`rediss://127.0.0.1:${plain.port}?insecure-skip-verify=1`),
    fails("engine-unreachable", /./, /redis:\/\/|TLS/),
  );
});

test("a server that says nothing, ends the connection or sends garbage does not hang or crash", async () => {
  await using server = await startRedis();
  await using proxy = await startCutProxy({ port: server.port });
  const address = { host: "127.0.0.1", port: proxy.port };
  for (const [fault, code] of [
    ["stall", "engine-timeout"],
    ["end", "connection-lost"],
    ["reset", "connection-lost"],
  ] as const) {
    proxy.plan(undefined);
    await using connection = await connectRedis({ address, signal: never, timeoutMs: 300 });
    assert.equal(await connection.call("PING"), "PONG");
    proxy.plan({ fault, afterBytes: 3, direction: "down" });
    await assert.rejects(connection.call("PING"), fails(code));
    await assert.rejects(connection.call("PING"), fails(code));
  }
  proxy.plan(undefined);
  const abort = new AbortController();
  await using connection = await connectRedis({ address, signal: abort.signal });
  proxy.plan({ fault: "stall", afterBytes: 0, direction: "down" });
  const asked = connection.call("PING");
  abort.abort(new Error("interrupted by the user"));
  await assert.rejects(asked, /interrupted by the user/);
});

test("replies of a pipeline come in order with a bounded number under way, and an error reply ends it", async () => {
  await using server = await startRedis();
  await using connection = await connectRedis({ address: { host: "127.0.0.1", port: server.port }, signal: never });
  let made = 0;
  function* commands(): Generator<["ECHO", string]> {
    for (; made < 5000; made++) yield ["ECHO", String(made)];
  }
  let taken = 0;
  for await (const { command, reply } of connection.pipeline(commands(), 100)) {
    assert.equal(textOf(reply), String(taken));
    assert.equal(command[1], String(taken));
    assert.ok(made - taken <= 101);
    taken++;
  }
  assert.equal(taken, 5000);
  const bad = connection.pipeline([["SET", "a", "b"], ["LPUSH", "a", "c"], ["PING"]], 2);
  await assert.rejects(Array.fromAsync(bad), fails("engine-refused", /LPUSH.*WRONGTYPE/));
  assert.equal(await connection.call("PING"), "PONG");
  const bytes = Buffer.from("*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\nc\r\n".repeat(1000));
  await connection.send(bytes, 1000, "SET");
  await assert.rejects(
    connection.send(Buffer.from("*1\r\n$3\r\nSET\r\n"), 1, "SET"),
    fails("engine-refused", /arity|number of arguments/),
  );
});

test("sentinels are asked in turn for the master, and after a failover for the new one", async () => {
  await using master = await startRedis({ password: "s3cret" });
  await using replica = await startRedisReplica(master, { password: "s3cret", config: ["masterauth s3cret"] });
  await using sentinel = await startSentinel(master, [replica], { password: "s3cret-too" });
  const gone = await freePort();
  const url = sentinel.url(2).replace(/(,)(?=127)/, `,127.0.0.1:${gone},`);
  const options = { sentinelPassword: "s3cret-too" };
  const before = await site(url, options);
  assert.deepEqual([before.address, before.mode, before.role], [`127.0.0.1:${master.port}`, "sentinel", "master"]);
  await assert.rejects(
    site(url, { sentinelPassword: "s3cret" }),
    fails("login-failed", /sentinel/, /SENTINEL_PASSWORD/),
  );
  await assert.rejects(site(url.replace("mymaster", "other"), options), fails("sentinel-unknown-master", /"other"/));
  await sentinel.failOver();
  assert.equal((await site(url, options)).address, `127.0.0.1:${replica.port}`);
});

test("in a cluster the master of the volume's slot is found from any member", async () => {
  await using cluster = await startRedisCluster();
  const addresses = new Set<string>();
  for (const database of [0, 1, 2, 3, 4]) {
    for (const url of [cluster.url(database), cluster.masters[1].url(database)]) {
      const found = await site(url);
      assert.deepEqual([found.mode, found.keyPrefix, found.database], ["cluster", `{${database}}`, 0]);
      await using connection = await found.connect();
      assert.equal(await connection.call("SET", `{${database}}setting`, "x"), "OK");
      addresses.add(found.address);
    }
  }
  assert.ok(addresses.size > 1);
  const [first, ...others] = cluster.masters;
  const members = `127.0.0.1:${await freePort()},127.0.0.1:${first.port}`;
  assert.equal((await site(`redis://${members}/7`)).keyPrefix, "{7}");
  await using single = await startRedis();
  const notMembers = `redis://127.0.0.1:${single.port},127.0.0.1:${others[0].port}/0`;
  await assert.rejects(site(notMembers), fails("not-a-cluster"));
});

test("slots are those of the specification", () => {
  assert.equal(slotOf("123456789"), 0x31c3);
  assert.equal(slotOf("{user1000}.following"), slotOf("user1000"));
  assert.equal(slotOf("foo{}{bar}"), 8363);
});

test("a named replica must follow the volume's server, and be in step", async () => {
  await using master = await startRedis({ password: "s3cret" });
  await using replica = await startRedisReplica(master, { password: "s3cret" });
  await using other = await startRedis({ password: "s3cret" });
  await using otherReplica = await startRedisReplica(other, { password: "s3cret" });
  const named = (port: number): string => `127.0.0.1:${port}`;
  const found = await site(master.url(2), { replica: named(replica.port) });
  assert.deepEqual(
    [found.address, found.role, found.database, found.warnings],
    [named(replica.port), "replica", 2, []],
  );
  const byUrl = await site(master.url(2), { replica: `redis://:s3cret@${named(replica.port)}` });
  assert.equal(byUrl.role, "replica");
  await assert.rejects(site(master.url(), { replica: named(master.port) }), fails("not-a-replica"));
  await assert.rejects(site(master.url(), { replica: named(otherReplica.port) }), fails("replica-of-other"));
  const otherByUrl = `redis://:s3cret@${named(otherReplica.port)}`;
  await assert.rejects(site(master.url(), { replica: otherByUrl }), fails("replica-of-other", /replica at 127/));
  await assert.rejects(site(master.url(), { replica: "a:1,b:2" }), fails("usage"));
  await master[Symbol.asyncDispose]();
  await replica.command("CLIENT", "KILL", "TYPE", "master");
  await assert.rejects(site(replica.url()), fails("replica-not-linked", /link to the master is down/));
});

test("a server that loads its data is waited for", async () => {
  const config = ["enable-debug-command yes", "key-load-delay 400", "loading-process-events-interval-bytes 1024"];
  await using server = await startRedis({ config });
  await using own = await server.connect();
  await Promise.all(Array.from({ length: 4000 }, (_, at) => own.command("SET", `key${at}`, "x".repeat(100))));
  await using earlier = await connectRedis({ address: { host: "127.0.0.1", port: server.port }, signal: never });
  const reloaded = own.command("DEBUG", "RELOAD");
  let waits = 0;
  const found = await site(server.url(), { onWait: () => void waits++ });
  assert.equal(found.info.get("loading"), "0");
  assert.equal(found.info.get("db0")?.startsWith("keys=4000,"), true);
  assert.ok(waits > 0);
  await whileLoading({ signal: never }, () => earlier.call("GET", "key1"));
  await reloaded;
});
