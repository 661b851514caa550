/** The reader of result sets and the sender of data, on a real server and on hand-made packets. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { after, before, test } from "node:test";
import { MysqlConnection } from "../../src/protocols/mysql/connection.ts";
import type { MysqlAddress } from "../../src/protocols/mysql/log-in.ts";
import { logIn } from "../../src/protocols/mysql/log-in.ts";
import { PacketLink } from "../../src/protocols/mysql/packet-link.ts";
import { bytesSink, integer64Sink, unsigned32Sink } from "../../src/std/column-sink.ts";
import { parseMysqlUrl } from "../../src/engines/juicefs/mysql/url.ts";
import { startMariadb } from "../peers/mariadb.ts";
import type { MysqlDatabase, MysqlServer } from "../peers/mysql-server.ts";

let server: MysqlServer;
let database: MysqlDatabase;
let address: MysqlAddress;

before(async () => {
  server = await startMariadb({ localInfile: true, config: { "max-allowed-packet": "64M" } });
  database = await server.newDatabase();
  address = parseMysqlUrl(database.url).address;
});
after(() => server[Symbol.asyncDispose]());

test("small results: text, NULL, empty, none", async () => {
  using connection = await logIn(address);
  assert.ok(connection.isMariaDb);
  const [row] = await connection.query("SELECT 1, NULL, '', 'é'");
  assert.deepEqual(
    row.map((value) => (value === null ? null : value.toString())),
    ["1", null, "", "é"],
  );
  assert.deepEqual(await connection.query("SELECT 1 FROM DUAL WHERE 1 = 0"), []);
  await assert.rejects(connection.query("SELEC 1"), { number: 1064, sqlState: "42000" });
  assert.equal(String((await connection.query("SELECT 2"))[0][0]), "2", "an error does no harm to what follows");
});

test("rows of every integer type, NULL and bytes go into sinks", async () => {
  await database.query(
    "CREATE TABLE kinds (a TINYINT, b SMALLINT UNSIGNED, c MEDIUMINT, d INT, e INT UNSIGNED, f BIGINT, g BIGINT UNSIGNED, h VARBINARY(300), i LONGBLOB);" +
      "INSERT INTO kinds VALUES (-1, 65535, -8388608, -2147483648, 4294967295, -9223372036854775808, 18446744073709551615, REPEAT('x', 300), ''), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (1, 2, 3, 4, 5, 6, 7, 'h', 'i')",
  );
  using connection = await logIn(address);
  const text = bytesSink(2, 1);
  const wide = [...Array.from({ length: 7 }, () => integer64Sink(2)), text, bytesSink(2, 1)];
  const reader = await connection.scan("SELECT * FROM kinds", wide);
  const bigs = (row: number): bigint[] =>
    wide
      .filter((sink) => sink.type === "i64")
      .map(({ values }) => BigInt.asIntN(64, (BigInt(values[2 * row + 1]) << 32n) | BigInt(values[2 * row])));
  assert.equal(await reader.next(1 << 20), 2, "as many as the sinks take");
  assert.deepEqual(bigs(0), [-1n, 65535n, -8388608n, -2147483648n, 4294967295n, -(2n ** 63n), -1n]);
  assert.deepEqual(bigs(1), [0n, 0n, 0n, 0n, 0n, 0n, 0n]);
  assert.deepEqual([...text.offsets], [0, 300, 300]);
  assert.equal(await reader.next(1 << 20), 1);
  assert.deepEqual(bigs(0), [1n, 2n, 3n, 4n, 5n, 6n, 7n]);
  assert.equal(await reader.next(1 << 20), 0);
  assert.ok(wide.every((sink) => sink.nullCount === 1));
  const small = await connection.scan("SELECT d FROM kinds WHERE d < 0", [unsigned32Sink(1)]);
  await assert.rejects(small.next(1), /column d is out of its range/);
});

test("rows of 16 MiB and more come in parts, and are whole", async () => {
  using connection = await logIn(address);
  for (const length of [0xffffff - 40, 0xffffff - 9, 0xffffff - 8, 0xffffff, 0xffffff + 1, 2 * 0xffffff + 5]) {
    const sinks = [bytesSink(4, 1), integer64Sink(4)];
    const reader = await connection.scan(`SELECT REPEAT('ab', ${length} / 2), 7 UNION ALL SELECT 'tail', 8`, sinks);
    let rows = 0;
    let bytes = 0;
    for (let got = await reader.next(1 << 30); got > 0; got = await reader.next(1 << 30)) {
      rows += got;
      bytes += (sinks[0] as ReturnType<typeof bytesSink>).offsets[got];
    }
    assert.equal(rows, 2);
    assert.equal(bytes, 2 * Math.round(length / 2 + 0.001) + 4, `${length}`);
  }
});

test("a slow reader keeps the server waiting, and not the rows in memory", async () => {
  await database.query(
    "CREATE TABLE much (id INT PRIMARY KEY, pad VARBINARY(1000)); INSERT INTO much SELECT seq, REPEAT('x', 1000) FROM seq_1_to_60000",
  );
  using connection = await logIn(address);
  const before = process.memoryUsage();
  const sink = bytesSink(1000, 1 << 20);
  const reader = await connection.scan("SELECT pad FROM much", [sink]);
  assert.equal(await reader.next(1 << 20), 1000);
  await new Promise((done) => setTimeout(done, 1000));
  assert.ok(process.memoryUsage().arrayBuffers - before.arrayBuffers < 8 << 20);
  let rows = 1000;
  for (let got = await reader.next(1 << 20); got > 0; got = await reader.next(1 << 20)) rows += got;
  assert.equal(rows, 60_000);
});

test("data goes to the statement that announced it", async () => {
  await database.query("CREATE TABLE loaded (id INT PRIMARY KEY, name VARBINARY(50))");
  using connection = await logIn(address, { localData: true });
  const stream = await connection.load("LOAD DATA LOCAL INFILE 'ours' INTO TABLE loaded", "ours");
  await stream.write(Buffer.from("1\ta\n2\t"));
  await stream.write(Buffer.from("b\n"));
  assert.deepEqual(await stream.finish(), { affectedRows: 2, warnings: 0 });
  await assert.rejects(connection.load("LOAD DATA LOCAL INFILE 'x' INTO TABLE missing", "x"), { number: 1146 });
});

test("no file is ever given to a server that asks for one", async () => {
  // What a hostile server would send in answer to any statement: "give me /etc/passwd".
  const request = Buffer.concat([Buffer.of(0xfb), Buffer.from("/etc/passwd")]);
  const sent: Buffer[] = [];
  await using asking = await listening((socket) => {
    socket.on("data", (data: Buffer) => {
      sent.push(data);
      socket.write(Buffer.concat([Buffer.of(request.length, 0, 0, 1), request]));
    });
  });
  const open = async (): Promise<MysqlConnection> => {
    const socket = connect(asking.port, "127.0.0.1");
    await once(socket, "connect");
    return new MysqlConnection(new PacketLink(socket, 5000), "1", 1);
  };
  await assert.rejects((await open()).query("SELECT 1"), /nobody offered/);
  await assert.rejects((await open()).run("SET x = 1"), /nobody offered/);
  await assert.rejects((await open()).load("LOAD DATA LOCAL INFILE 'ours' INTO TABLE t", "ours"), /another file/);
  assert.equal(sent.length, 3, "the statements, and nothing after them");
});

test("a server that says nothing is given up, with how long it was waited for", async () => {
  await using silent = await listening(() => {});
  const socket = connect(silent.port, "127.0.0.1");
  await once(socket, "connect");
  using connection = new MysqlConnection(new PacketLink(socket, 300), "1", 1);
  await assert.rejects(connection.query("SELECT 1"), /nothing for 0.3 s/);
  await assert.rejects(logIn({ ...address, port: silent.port, connectTimeoutMs: 300 }), { reason: "ETIMEDOUT" });
});

test("who waits for a server that says nothing is told at once when the connection is closed", async () => {
  await using silent = await listening(() => {});
  for (const end of ["quit", "destroy"] as const) {
    const socket = connect(silent.port, "127.0.0.1");
    await once(socket, "connect");
    const link = new PacketLink(socket, 60_000);
    const started = performance.now();
    const asked = assert.rejects(new MysqlConnection(link, "1", 1).query("SELECT 1"), { reason: "closed" });
    link[end]();
    await asked;
    assert.ok(performance.now() - started < 5000);
  }
});

test("bytes of another protocol are an error in bounded time", async () => {
  const junk = [
    Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"),
    Buffer.of(0, 0, 0, 1),
    Buffer.of(1, 0, 0, 1, 0xfe),
    Buffer.of(5, 0, 0, 1, 0xff, 1),
  ];
  for (const bytes of junk) {
    await using server = await listening((socket) => {
      socket.on("data", () => socket.end(bytes));
    });
    const socket = connect(server.port, "127.0.0.1");
    await once(socket, "connect");
    using connection = new MysqlConnection(new PacketLink(socket, 2000), "1", 1);
    await assert.rejects(connection.query("SELECT 1"));
  }
});

async function listening(onSocket: (socket: Socket) => void): Promise<AsyncDisposable & { port: number }> {
  const sockets = new Set<Socket>();
  const endpoint = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onSocket(socket);
  }).listen(0, "127.0.0.1");
  await once(endpoint, "listening");
  return {
    port: (endpoint.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      endpoint.close();
      await once(endpoint, "close");
    },
  };
}
