import type { Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { CairnError, messageOf } from "../../model/errors.ts";
import type { RedisConnection } from "./client.ts";
import { parseInfo } from "./client.ts";
import type { PayloadForm } from "./payload-framing.ts";
import { openPayloadFraming, payloadFormOf } from "./payload-framing.ts";
import { aclRemedy, connectionLost, replyError, serverTimedOut } from "./redis-errors.ts";
import { encodeCommand, RespError } from "./resp.ts";
import { openSpillQueue, requireSpace } from "./spill-queue.ts";

/*
 * The first half of Redis' replication (`replication.c`): REPLCONF, PSYNC ? -1, +FULLRESYNC, then the server's whole state at one
 * moment as an RDB. With `rdb-only` (7.0) the server counts no replica and closes the link by itself; before that the link is dropped
 * when the payload is complete.
 */

/** What is being waited for: the server's data (`loading`), its start of the transfer (`start`), the file that it makes first (`file`). */
export type FullSyncWait = "loading" | "start" | "file";

export interface FullSyncOptions {
  readonly signal: AbortSignal;
  /** Where what cannot be taken at once is kept, in a file without name. */
  readonly temporaryFolder: string;
  /** Bytes that wait in memory before the file is used. */
  readonly memoryBytes: number;
  /** Called about once a second while the server sends nothing of the payload. */
  readonly onWait?: (what: FullSyncWait, waitedMs: number) => void;
  /** How long the server may send nothing at all. While it prepares the payload, it sends an empty line every second. */
  readonly idleTimeoutMs?: number;
}

/** A full synchronisation under way. The socket is drained at full speed, whatever the reader's; disposing drops the link. */
export interface FullSync extends AsyncDisposable {
  readonly replicationId: string;
  /** The replication offset that the payload stands for. */
  readonly replicationOffset: string;
  /** The server's version; `undefined` where INFO is not allowed. */
  readonly serverVersion: string | undefined;
  readonly rdbOnly: boolean;
  /** The payload's length, where the server told it. */
  readonly payloadBytes: number | undefined;
  /** How long the server made wait before the payload. */
  readonly waitedMs: number;
  readonly receivedBytes: number;
  /** Bytes that went through the temporary file. */
  readonly spilledBytes: number;
  /**
   * The next bytes of the RDB, at most 256 KiB, valid until the next call; `undefined` after the last. The event loop gets its turn in
   * between, so that a reader may work on each piece synchronously. Throws `connection-lost`, `engine-timeout`, `no-space`.
   */
  read(): Promise<Uint8Array | undefined>;
  chunks(): AsyncIterable<Uint8Array>;
}

const defaultIdleTimeoutMs = 60_000;
const loadingRetryMs = 500;
const lineBytesMax = 4096;

/**
 * Asks for one full synchronisation. The connection belongs to it from then on, also when this throws: `privilege-missing`,
 * `replication-forbidden`, `replica-not-linked`, `no-space`, `connection-lost`, `engine-timeout`, `engine-refused`.
 */
export async function openFullSync(connection: RedisConnection, options: FullSyncOptions): Promise<FullSync> {
  try {
    const info = await readInfo(connection);
    requireSpace(options.temporaryFolder, payloadEstimate(info));
    const rdbOnly = await announce(connection);
    return await receive(connection, options, { rdbOnly, serverVersion: info.get("redis_version") });
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** INFO, or nothing where it is not allowed: it only serves estimates here. */
async function readInfo(connection: RedisConnection): Promise<Map<string, string>> {
  const reply = await connection.ask("INFO");
  return reply instanceof RespError ? new Map() : parseInfo(reply);
}

/** An upper estimate of an RDB's size: what the data takes in memory. Measured: about 2.6 times the file for JuiceFS' records. */
function payloadEstimate(info: ReadonlyMap<string, string>): number {
  return Number(info.get("used_memory_dataset") ?? info.get("used_memory") ?? 0);
}

/** Says what this "replica" can do; true when the server will send the RDB alone. */
async function announce(connection: RedisConnection): Promise<boolean> {
  // One after the other, each reply awaited: PSYNC is refused while a reply is pending.
  const rdbOnly = await connection.ask("REPLCONF", "rdb-only", "1");
  if (rdbOnly instanceof RespError && isForbidden(rdbOnly)) throw forbidden(connection, rdbOnly);
  const capability = await connection.ask("REPLCONF", "capa", "eof");
  if (capability instanceof RespError && isForbidden(capability)) throw forbidden(connection, capability);
  return !(rdbOnly instanceof RespError);
}

/** Not: an option of REPLCONF that an older server does not know. */
function isForbidden(error: RespError): boolean {
  return error.kind === "NOPERM" || error.kind === "NOAUTH" || /unknown command|disabled|not allowed/i.test(error.text);
}

function forbidden(connection: RedisConnection, error: RespError): CairnError {
  const otherWays =
    "name a replica with --replica, save an RDB file and use --from-rdb, or use --scan, which is no snapshot";
  if (error.kind === "NOAUTH") return replyError(error, ["PSYNC"], connection);
  if (error.kind === "NOPERM") {
    const remedy = aclRemedy(["psync", "replconf"], connection.user);
    const message = `Redis at ${connection.address} does not allow user ${connection.user} to replicate (${error.text})`;
    return new CairnError("privilege-missing", message, {
      exit: "sourceUnreachable",
      unharmed: "nothing was read or written",
      next: `let an administrator allow it: ${remedy}; or ${otherWays}`,
    });
  }
  const text = error.text.replace(/, with args beginning with:.*$/s, "");
  return new CairnError("replication-forbidden", `Redis at ${connection.address} does not offer replication: ${text}`, {
    exit: "sourceUnreachable",
    unharmed: "nothing was read or written",
    next: otherWays,
  });
}

interface ServerFacts {
  readonly rdbOnly: boolean;
  readonly serverVersion: string | undefined;
}

/** The reply to PSYNC, and the line that announces the payload. */
interface Header {
  readonly replicationId: string;
  readonly replicationOffset: string;
  readonly form: PayloadForm;
}

async function receive(connection: RedisConnection, options: FullSyncOptions, server: ServerFacts): Promise<FullSync> {
  const { signal, onWait } = options;
  const { address } = connection;
  const idleTimeoutMs = options.idleTimeoutMs ?? defaultIdleTimeoutMs;
  const { socket, rest } = connection.detach();
  const queue = openSpillQueue({ folder: options.temporaryFolder, memoryBytes: options.memoryBytes });
  const header = Promise.withResolvers<Header>();
  const start = performance.now();
  let failure: Error | undefined;
  let complete = false;
  let waiting: FullSyncWait | undefined = "start";
  let waitedMs = 0;
  let receivedBytes = 0;
  let wake = (): void => {};

  const fail = (error: Error): void => {
    if (failure !== undefined || complete) return;
    failure = error;
    release();
    socket.destroy();
    header.reject(error);
    wake();
  };
  const lost = (why: string): void => {
    fail(
      waiting === undefined
        ? connectionLost(
            address,
            `after ${receivedBytes} bytes of the synchronisation (${why})`,
            "look into the server's log: its child process may have failed (memory, vm.overcommit_memory), or client-output-buffer-limit " +
              "for replicas was reached; then try again",
          )
        : connectionLost(
            address,
            `before the synchronisation began (${why})`,
            "look into the server's log: it may not have been able to fork or to save; then try again",
          ),
    );
  };
  const take = openHeaderReader({
    onRetry() {
      waiting = "loading";
      setTimeout(() => {
        if (failure === undefined) socket.write(encodeCommand(["PSYNC", "?", "-1"]));
      }, loadingRetryMs);
    },
    onResync() {
      waiting = "file";
    },
    refused: (error) => (isForbidden(error) ? forbidden(connection, error) : syncRefused(error, connection)),
  });
  let framing: ReturnType<typeof openPayloadFraming> | undefined;
  const onData = (data: Buffer): void => {
    try {
      let payload: Buffer | undefined = data;
      if (framing === undefined) {
        const read = take(data);
        if (read === undefined) return;
        waitedMs = performance.now() - start;
        waiting = undefined;
        const { form } = read.header;
        if (form.form === "length") requireSpace(options.temporaryFolder, form.bytes);
        framing = openPayloadFraming(form, (bytes) => {
          queue.write(bytes);
          receivedBytes += bytes.length;
        });
        header.resolve(read.header);
        payload = read.rest;
      }
      if (framing.push(payload)) finish();
      wake();
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)));
    }
  };
  function finish(): void {
    complete = true;
    release();
    // A server before 7.0 goes on with the stream of commands, which nobody wants.
    socket.resume();
    socket.end();
    setTimeout(() => socket.destroy(), 1000).unref();
    socket.unref();
  }
  const onTimeout = (): void => fail(serverTimedOut(address, idleTimeoutMs, "during the synchronisation"));
  const onError = (error: Error): void => lost(messageOf(error));
  const onClose = (): void => lost("the server closed it");
  const onAbort = (): void => fail(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)));
  const ticker = setInterval(() => {
    if (waiting !== undefined) onWait?.(waiting, performance.now() - start);
  }, 1000);
  function release(): void {
    clearInterval(ticker);
    signal.removeEventListener("abort", onAbort);
    socket
      .off("data", onData)
      .off("timeout", onTimeout)
      .off("end", onClose)
      .off("close", onClose)
      .off("error", onError);
    socket.on("error", () => {});
    socket.setTimeout(0);
  }

  // A failure before the header is thrown from here; one afterwards from `read`.
  header.promise.catch(() => {});
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  socket.on("timeout", onTimeout).on("end", onClose).on("close", onClose).on("error", onError).on("data", onData);
  socket.setTimeout(idleTimeoutMs);
  if (rest.length > 0) onData(rest);
  if (failure === undefined) {
    socket.write(encodeCommand(["PSYNC", "?", "-1"]));
    socket.resume();
  }
  let opened: Header;
  try {
    opened = await header.promise;
  } catch (error) {
    queue[Symbol.dispose]();
    throw error;
  }

  let bytesInTurn = 0;
  let turnStart = performance.now();
  async function read(): Promise<Uint8Array | undefined> {
    // Promises alone never let the event loop come to the socket.
    if (bytesInTurn >= turnBytes || performance.now() - turnStart >= turnMs) {
      await nextTurn();
      bytesInTurn = 0;
      turnStart = performance.now();
    }
    for (;;) {
      if (failure !== undefined) throw failure;
      signal.throwIfAborted();
      const piece = queue.read();
      if (piece !== undefined) {
        bytesInTurn += piece.length;
        return piece;
      }
      if (complete) return undefined;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      bytesInTurn = 0;
      turnStart = performance.now();
    }
  }
  return {
    replicationId: opened.replicationId,
    replicationOffset: opened.replicationOffset,
    serverVersion: server.serverVersion,
    rdbOnly: server.rdbOnly,
    payloadBytes: opened.form.form === "length" ? opened.form.bytes : undefined,
    waitedMs,
    get receivedBytes() {
      return receivedBytes;
    },
    get spilledBytes() {
      return queue.spilledBytes;
    },
    read,
    async *chunks() {
      for (let piece = await read(); piece !== undefined; piece = await read()) yield piece;
    },
    async [Symbol.asyncDispose]() {
      fail(new Error("the synchronisation was given up"));
      dropSocket(socket);
      queue[Symbol.dispose]();
    },
  };
}

/**
 * Bytes handed out, and time spent on them, between two turns of the event loop, in each of which the socket is read empty. A kernel
 * holds about 128 KiB for a socket at first: at the 60 MB/s of a Redis that is 2 ms.
 */
const turnBytes = 256 << 10;
const turnMs = 1;

function dropSocket(socket: Socket): void {
  if (!socket.destroyed) socket.destroy();
}

interface HeaderEvents {
  /** The server is loading its data: ask again. */
  onRetry(): void;
  onResync(): void;
  refused(error: RespError): Error;
}

/** Reads up to the line that announces the payload; gives the header and what follows it. Empty lines mean that the server works on it. */
function openHeaderReader(
  events: HeaderEvents,
): (data: Buffer) => { readonly header: Header; readonly rest: Buffer } | undefined {
  let pending: Buffer = Buffer.alloc(0);
  let resync: { replicationId: string; replicationOffset: string } | undefined;
  return (data) => {
    pending = pending.length === 0 ? data : Buffer.concat([pending, data]);
    for (;;) {
      const lineEnd = pending.indexOf(0x0a);
      if (lineEnd < 0) {
        if (pending.length > lineBytesMax) throw notReplication("a line without end");
        return undefined;
      }
      const line = pending.toString("latin1", 0, lineEnd).replace(/\r$/, "");
      pending = pending.subarray(lineEnd + 1);
      if (line === "") continue;
      if (line[0] === "-") {
        const error = new RespError(line.slice(1));
        if (error.kind !== "LOADING") throw events.refused(error);
        events.onRetry();
      } else if (resync === undefined) {
        const match = /^\+FULLRESYNC ([0-9a-zA-Z]+) (-?\d+)$/.exec(line);
        if (match === null) throw notReplication(`${JSON.stringify(line.slice(0, 100))} in place of +FULLRESYNC`);
        resync = { replicationId: match[1], replicationOffset: match[2] };
        events.onResync();
      } else {
        const form = line[0] === "$" ? payloadFormOf(line.slice(1)) : undefined;
        if (form === undefined) throw notReplication(`${JSON.stringify(line.slice(0, 100))} in place of the payload`);
        return { header: { ...resync, form }, rest: pending };
      }
    }
  };
}

function notReplication(what: string): CairnError {
  return new CairnError("engine-protocol", `the server's answer to PSYNC is not Redis' replication: ${what}`, {
    exit: "sourceUnreachable",
    unharmed: "nothing was read or written",
    next: "check that the address is a Redis server's, and no proxy cuts in",
  });
}

function syncRefused(error: RespError, connection: RedisConnection): CairnError {
  if (error.kind === "NOMASTERLINK") {
    return new CairnError(
      "replica-not-linked",
      `Redis at ${connection.address} is a replica that is not in step with its master: ${error.text}`,
      {
        exit: "sourceUnreachable",
        unharmed: "nothing was read or written",
        next: "wait until master_link_status in its INFO is up, or read from the master",
      },
    );
  }
  return replyError(error, ["PSYNC"], connection);
}
