import type { Socket } from "node:net";
import type { ConnectionOptions } from "node:tls";
import pg from "pg";
import type { Connection, Submittable } from "pg";
import { ProtocolError } from "./protocol-error.ts";
import { releaseBytes } from "../../std/release.ts";
import { splitMessages } from "./message-splitter.ts";

/** Where and as whom to connect. */
export interface SessionOptions {
  /** A name, an address, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
  /** `false` for a plain connection. */
  readonly tls: ConnectionOptions | false;
  readonly applicationName: string;
  readonly connectTimeoutMs: number;
  /** A statement that gives no byte for so long, while we take all, is given up. */
  readonly silenceMs: number;
}

/** Rows of a small query; every value as its text. */
export interface Rows {
  readonly rows: readonly (readonly (string | null)[])[];
}

/** What the server says when it refuses a statement, or a connection. */
export interface ServerError extends Error {
  /** SQLSTATE, five characters. */
  readonly code: string;
  readonly severity: string;
}

/** The connection was lost, or never came about; `cause` has the system's error. */
export class ConnectionError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "ConnectionError";
  }
}

/** The server took a statement, and nothing came for too long. */
export class SilenceError extends Error {
  constructor(seconds: number) {
    super(`the server sent nothing for ${seconds} s`);
    this.name = "SilenceError";
  }
}

export function isServerError(error: unknown): error is ServerError {
  return (
    error instanceof Error &&
    "severity" in error &&
    "code" in error &&
    typeof error.code === "string" &&
    /^[0-9A-Z]{5}$/.test(error.code)
  );
}

/** Gets the payload of each CopyData message: `bytes[start … end)`, valid during the call. */
export type CopyDataVisitor = (bytes: Uint8Array, start: number, end: number) => void;

/** A `COPY … TO STDOUT` under way. */
export interface CopyOut {
  /** Resolves when the server has sent everything; rejects with what the server, the connection or the visitor threw. */
  readonly finished: Promise<void>;
  /** Lets the server wait: what is on its way still arrives. */
  pause(): void;
  resume(): void;
}

/** A `COPY … FROM STDIN` under way. */
export interface CopyIn {
  /** Sends one CopyData message, whose first five bytes are left free for its header; resolves when `message` may be used again. */
  send(message: Uint8Array): Promise<void>;
  /** Ends the rows; resolves when the server has taken them all. */
  finish(): Promise<void>;
}

/** One connection, which does one statement after the other. */
export interface Session extends AsyncDisposable {
  readonly processId: number;
  /** Runs statements without parameters, and gives the rows of the last one. `silenceMs` 0 waits for ever. */
  query(sql: string, silenceMs?: number): Promise<Rows>;
  copyOut(sql: string, visit: CopyDataVisitor): CopyOut;
  copyIn(sql: string): Promise<CopyIn>;
  /** Drops the connection at once; whatever is under way fails. */
  destroy(reason: Error): void;
}

/** Connects and logs in. Throws `ConnectionError` or a `ServerError`. */
export async function openSession(options: SessionOptions): Promise<Session> {
  const client = new pg.Client({
    host: options.host,
    port: options.port,
    user: options.user,
    // Not left out, nor empty: the library would look into PGPASSWORD and ~/.pgpass on its own.
    password: options.password ?? (() => ""),
    database: options.database,
    ssl: options.tls === false ? false : { ...options.tls },
    application_name: options.applicationName,
    connectionTimeoutMillis: options.connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000,
    // All values as text.
    types: { getTypeParser: () => (value: string) => value },
  });
  const socketOf = (): Socket => (client as unknown as { connection: { stream: Socket } }).connection.stream;
  let lost: Error | undefined;
  client.on("error", (error: Error) => (lost ??= error));
  try {
    await client.connect();
  } catch (error) {
    socketOf().destroy();
    throw isServerError(error) ? error : new ConnectionError(messageOfSystem(error), error);
  }

  /** What a failed statement means: the server's own words, or that the connection is gone and why. */
  function explain(error: unknown): unknown {
    if (lost !== undefined && !isServerError(lost) && isOurs(lost)) return lost;
    if (isServerError(error) || isOurs(error)) return error;
    if (lost !== undefined && isServerError(lost)) return lost;
    return new ConnectionError(messageOfSystem(lost ?? error), lost ?? error);
  }

  function destroy(reason: Error): void {
    lost ??= reason;
    socketOf().destroy(reason);
  }

  async function query(sql: string, silenceMs = options.silenceMs): Promise<Rows> {
    const timer =
      silenceMs > 0 ? setTimeout(() => destroy(new SilenceError(Math.round(silenceMs / 1000))), silenceMs) : undefined;
    try {
      const result: unknown = await client.query({ text: sql, rowMode: "array" });
      const last: unknown = Array.isArray(result) ? result.at(-1) : result;
      return last as Rows;
    } catch (error) {
      throw explain(error);
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    processId: (client as unknown as { processID: number }).processID,
    query,
    copyOut(sql, visit) {
      const copy = new CopyOutStatement(sql, visit, { destroy, explain, silenceMs: options.silenceMs });
      submit(client, copy);
      return copy;
    },
    async copyIn(sql) {
      const copy = new CopyInStatement(sql, explain);
      submit(client, copy);
      await copy.started;
      return copy;
    },
    destroy,
    async [Symbol.asyncDispose]() {
      if (lost !== undefined) {
        socketOf().destroy();
        return;
      }
      // A server that does not take the farewell is left.
      const leave = setTimeout(() => socketOf().destroy(), 2000);
      await client.end().catch(() => {});
      clearTimeout(leave);
      socketOf().destroy();
    },
  };
}

function submit(client: pg.Client, statement: Submittable): void {
  client.query(statement as never);
}

function isOurs(error: unknown): boolean {
  return error instanceof ProtocolError || error instanceof SilenceError || error instanceof ConnectionError;
}

/** What the system says of a connection that failed; one that tried several addresses has no message of its own. */
function messageOfSystem(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map((one) => messageOfSystem(one)).join("; ");
  return error instanceof Error ? error.message : String(error);
}

const readyForQuery = 0x5a;
const copyData = 0x64;
const copyDone = 0x63;
const copyOutResponse = 0x48;
const copyFormatBinary = 1;

interface Surroundings {
  readonly destroy: (reason: Error) => void;
  readonly explain: (error: unknown) => unknown;
  readonly silenceMs: number;
}

type DataListener = (chunk: Uint8Array) => void;

/**
 * Stands between the socket and the library while rows stream: their messages go to the visitor as they lie in the socket's chunks, the
 * library, which makes an object of each message, gets all others.
 */
class CopyOutStatement implements CopyOut {
  readonly finished: Promise<void>;
  readonly #sql: string;
  readonly #visit: CopyDataVisitor;
  readonly #around: Surroundings;
  readonly #done = Promise.withResolvers<undefined>();
  #connection: Connection | undefined;
  #listeners: DataListener[] = [];
  #tap: DataListener | undefined;
  #watch: NodeJS.Timeout | undefined;
  #lastDataMs = 0;
  #isPaused = false;

  constructor(sql: string, visit: CopyDataVisitor, around: Surroundings) {
    this.#sql = sql;
    this.#visit = visit;
    this.#around = around;
    this.finished = this.#done.promise;
    // Whoever waits sees it; a failure that nobody waits for yet is no accident.
    this.finished.catch(() => {});
  }

  submit(connection: Connection): void {
    this.#connection = connection;
    const { stream } = connection;
    this.#listeners = stream.listeners("data") as DataListener[];
    const messages = splitMessages((type, bytes, start, end) => this.#take(type, bytes, start, end));
    this.#tap = (chunk) => {
      this.#lastDataMs = performance.now();
      try {
        messages.push(chunk);
        // Left to the collector, read chunks pile up to some hundred megabytes before it looks.
        releaseBytes(chunk);
      } catch (error) {
        this.#fail(error);
      }
    };
    stream.removeAllListeners("data");
    stream.on("data", this.#tap);
    this.#watchSilence();
    connection.query(this.#sql);
  }

  #watchSilence(): void {
    const { silenceMs, destroy } = this.#around;
    this.#lastDataMs = performance.now();
    if (silenceMs === 0) return;
    this.#watch = setInterval(
      () => {
        if (this.#isPaused || performance.now() - this.#lastDataMs < silenceMs) return;
        destroy(new SilenceError(Math.round(silenceMs / 1000)));
      },
      Math.min(5000, silenceMs),
    );
    this.#watch.unref();
  }

  #take(type: number, bytes: Uint8Array, start: number, end: number): void {
    if (type === copyData) {
      this.#visit(bytes, start + 5, end);
      return;
    }
    if (type === copyDone) return;
    if (type === copyOutResponse) {
      if (bytes[start + 5] !== copyFormatBinary) throw new ProtocolError("the server sends rows as text");
      return;
    }
    const listeners = this.#listeners;
    if (type === readyForQuery) this.#detach();
    const message = Buffer.from(bytes.subarray(start, end));
    for (const listener of listeners) listener.call(this.#connection?.stream, message);
  }

  #detach(): void {
    clearInterval(this.#watch);
    const stream = this.#connection?.stream;
    if (stream === undefined || this.#tap === undefined) return;
    stream.off("data", this.#tap);
    this.#tap = undefined;
    for (const listener of this.#listeners) stream.on("data", listener);
  }

  #fail(error: unknown): void {
    this.#done.reject(error instanceof Error ? error : new Error(String(error)));
    this.#around.destroy(error instanceof Error ? error : new Error(String(error)));
    clearInterval(this.#watch);
  }

  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#connection?.stream.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#lastDataMs = performance.now();
    this.#connection?.stream.resume();
  }

  handleError(error: unknown): void {
    clearInterval(this.#watch);
    this.#done.reject(this.#around.explain(error));
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.#done.resolve(undefined);
  }
}

class CopyInStatement implements CopyIn {
  readonly #sql: string;
  readonly #explain: (error: unknown) => unknown;
  readonly #started = Promise.withResolvers<undefined>();
  readonly #done = Promise.withResolvers<undefined>();
  #connection: Connection | undefined;
  #failed = false;

  constructor(sql: string, explain: (error: unknown) => unknown) {
    this.#sql = sql;
    this.#explain = explain;
    this.#started.promise.catch(() => {});
    this.#done.promise.catch(() => {});
  }

  get started(): Promise<undefined> {
    return this.#started.promise;
  }

  submit(connection: Connection): void {
    this.#connection = connection;
    connection.query(this.#sql);
  }

  async send(message: Uint8Array): Promise<void> {
    if (this.#failed) await this.#done.promise;
    const length = message.length - 1;
    message[0] = copyData;
    message[1] = length >>> 24;
    message[2] = length >>> 16;
    message[3] = length >>> 8;
    message[4] = length;
    const { stream } = this.#open();
    const written = Promise.withResolvers<undefined>();
    stream.write(message, (error) => (error instanceof Error ? written.reject(error) : written.resolve(undefined)));
    try {
      // A server that refuses the rows says so while we send, and then may take no more.
      await Promise.race([written.promise, this.#done.promise]);
    } catch (error) {
      written.promise.catch(() => {});
      throw this.#explain(error);
    }
  }

  async finish(): Promise<void> {
    if (!this.#failed) this.#open().stream.write(Uint8Array.of(copyDone, 0, 0, 0, 4));
    await this.#done.promise;
  }

  #open(): Connection {
    if (this.#connection === undefined) throw new ConnectionError("the statement was never sent");
    return this.#connection;
  }

  handleCopyInResponse(): void {
    this.#started.resolve(undefined);
  }

  handleError(error: unknown): void {
    this.#failed = true;
    const explained = this.#explain(error) as Error;
    this.#started.reject(explained);
    this.#done.reject(explained);
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.#done.resolve(undefined);
  }
}
