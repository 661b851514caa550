import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startCutProxy } from "./cut-proxy.ts";

test("bytes pass both ways unchanged", async () => {
  await using server = await startEcho();
  await using proxy = await startCutProxy({ port: server.port });
  const client = connect(proxy.port, "127.0.0.1");
  const sent = Buffer.alloc(300_000, "abcdefg");
  client.end(sent);
  assert.deepEqual(await readAll(client), { bytes: sent, error: undefined });
  assert.equal(proxy.upBytes, sent.length);
  assert.equal(proxy.downBytes, sent.length);
});

test("a connection ends, or is reset, after exactly so many bytes", async () => {
  await using server = await startEcho();
  await using proxy = await startCutProxy({ port: server.port });
  for (const fault of ["end", "reset"] as const) {
    proxy.plan({ fault, afterBytes: 1234, direction: "down" });
    const client = connect(proxy.port, "127.0.0.1");
    client.write(Buffer.alloc(100_000));
    const { bytes, error } = await readAll(client);
    await proxy.happened;
    assert.equal(bytes.length, 1234);
    assert.equal(error, fault === "end" ? undefined : "ECONNRESET");
  }
  const late = connect(proxy.port, "127.0.0.1");
  assert.equal((await readAll(late)).bytes.length, 0);
  proxy.plan(undefined);
  const healed = connect(proxy.port, "127.0.0.1");
  healed.end("again");
  assert.equal((await readAll(healed)).bytes.toString(), "again");
});

test("a stalled connection stays open and gives nothing", async () => {
  await using server = await startEcho();
  await using proxy = await startCutProxy({ port: server.port });
  proxy.plan({ fault: "stall", afterBytes: 10, direction: "down" });
  const client = connect(proxy.port, "127.0.0.1");
  let received = 0;
  client.on("data", (bytes: Buffer) => {
    received += bytes.length;
  });
  client.write(Buffer.alloc(100));
  await proxy.happened;
  await sleep(50);
  client.write(Buffer.alloc(100));
  await sleep(50);
  assert.equal(received, 10);
  assert.equal(client.readyState, "open");
  client.destroy();
});

test("a slow connection takes its time", async () => {
  await using server = await startEcho();
  await using proxy = await startCutProxy({ port: server.port });
  proxy.slowDown(1_000_000);
  const client = connect(proxy.port, "127.0.0.1");
  const start = performance.now();
  client.end(Buffer.alloc(100_000));
  assert.equal((await readAll(client)).bytes.length, 100_000);
  assert.ok(performance.now() - start > 80);
});

async function readAll(socket: Socket): Promise<{ bytes: Buffer; error: string | undefined }> {
  const chunks: Buffer[] = [];
  let error: string | undefined;
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("error", (cause: NodeJS.ErrnoException) => {
    error = cause.code;
  });
  await new Promise<void>((done) => {
    socket.once("close", () => done());
  });
  return { bytes: Buffer.concat(chunks), error };
}

async function startEcho(): Promise<AsyncDisposable & { port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
