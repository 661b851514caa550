import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { CairnError, messageOf } from "../../model/errors.ts";
import type { RedisAddress, RedisTls } from "./dial.ts";
import { addressText, dial } from "./dial.ts";
import { connectionLost, RedisReplyError, replyError, serverTimedOut } from "./redis-errors.ts";
import type { Command, Reply } from "./resp.ts";
import { encodeCommand, encodeCommands, ReplyParser, RespError } from "./resp.ts";

export interface RedisConnectOptions {
  readonly address: RedisAddress;
  /** Ends the connection, and everything that waits for it. */
  readonly signal: AbortSignal;
  readonly tls?: RedisTls | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** The database to select; 0 when undefined. */
  readonly database?: number | undefined;
  readonly connectTimeoutMs?: number;
  /** How long the server may say nothing while a reply is awaited. */
  readonly timeoutMs?: number;
}

/** A socket that speaks RESP no more, with the bytes behind the last reply. */
export interface DetachedSocket {
  readonly socket: Socket;
  readonly rest: Buffer;
}

/** One connection, logged in. Commands are answered in their order; any number may be under way. */
export interface RedisConnection extends AsyncDisposable {
  /** For messages. */
  readonly address: string;
  /** The user that is logged in; `default` where none was named. */
  readonly user: string;
  readonly signal: AbortSignal;
  /** The reply of one command. Throws `RedisReplyError` for an error reply, and what the connection failed with. */
  call(...command: Command): Promise<Exclude<Reply, RespError>>;
  /** The same, with error replies as values. */
  ask(...command: Command): Promise<Reply>;
  /** All commands at once; the replies in their order, error replies as values. For a bounded number of commands. */
  askAll(commands: readonly Command[]): Promise<Reply[]>;
  /**
   * Any number of commands with at most `window` of them unanswered or answered and not taken yet: a slow taker slows the server
   * down, and memory holds `window` replies. Replies come in order; the first error reply is thrown.
   */
  pipeline<Item extends Command>(
    commands: Iterable<Item> | AsyncIterable<Item>,
    window: number,
  ): AsyncGenerator<{ command: Item; reply: Exclude<Reply, RespError> }>;
  /**
   * Sends bytes that are already commands and resolves when `replyCount` replies have come; a socket that is full holds it back.
   * Throws the first error reply, as an error of the command named `what`. `onReply` sees each reply that is no error.
   */
  send(bytes: Uint8Array, replyCount: number, what: string, onReply?: (reply: Reply) => void): Promise<void>;
  /** Gives the socket up, for a protocol that follows on RESP. No reply may be awaited. */
  detach(): DetachedSocket;
  /** Closes the connection without another word. */
  close(): void;
}

interface Waiter {
  resolve(reply: Reply): void;
  reject(error: Error): void;
}

const defaultConnectTimeoutMs = 10_000;
const defaultTimeoutMs = 30_000;

/** Connects, logs in and selects the database. Throws `engine-unreachable`, `login-failed`, `privilege-missing`, `engine-timeout`. */
export async function connectRedis(options: RedisConnectOptions): Promise<RedisConnection> {
  const { address, signal, tls, user, password, database } = options;
  const socket = await dial(address, {
    signal,
    timeoutMs: options.connectTimeoutMs ?? defaultConnectTimeoutMs,
    tls,
  });
  const connection = speak(socket, {
    address: addressText(address),
    user: user === undefined || user === "" ? "default" : user,
    signal,
    timeoutMs: options.timeoutMs ?? defaultTimeoutMs,
  });
  try {
    if (password !== undefined && password !== "") {
      await connection.call("AUTH", ...(user === undefined || user === "" ? [] : [user]), password);
    }
    if (database !== undefined && database !== 0) await selectDatabase(connection, database);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

async function selectDatabase(connection: RedisConnection, database: number): Promise<void> {
  const reply = await connection.ask("SELECT", database);
  if (!(reply instanceof RespError)) return;
  if (reply.kind === "ERR") {
    throw new CairnError(
      "database-number",
      `Redis at ${connection.address} has no database ${database}: ${reply.text}`,
      {
        exit: "sourceUnreachable",
        unharmed: "nothing was read or written",
        next: "give the number of a database that the server has (CONFIG GET databases; a cluster has only 0)",
      },
    );
  }
  throw replyError(reply, ["SELECT", database], connection);
}

interface SpeakOptions {
  readonly address: string;
  readonly user: string;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

function speak(socket: Socket, { address, user, signal, timeoutMs }: SpeakOptions): RedisConnection {
  const parser = new ReplyParser();
  // A queue with a moving head: `shift` of a long array would move it all each time.
  let waiters: Waiter[] = [];
  let head = 0;
  let failure: Error | undefined;

  function fail(error: Error): void {
    if (failure !== undefined) return;
    failure = error;
    release();
    socket.on("error", () => {});
    socket.destroy();
    const waiting = waiters.slice(head);
    waiters = [];
    head = 0;
    for (const waiter of waiting) waiter.reject(error);
  }
  function awaitReply(waiter: Waiter): void {
    if (head === waiters.length) {
      waiters = [];
      head = 0;
      socket.setTimeout(timeoutMs);
      socket.ref();
    }
    waiters.push(waiter);
  }
  const onData = (data: Buffer): void => {
    try {
      parser.push(data);
      for (let reply = parser.next(); reply !== undefined; reply = parser.next()) {
        if (head === waiters.length) {
          // What a server says before it closes: too many clients, protected mode.
          if (reply instanceof RespError) return fail(replyError(reply, ["CONNECT"], { address, user }));
          throw new Error("a reply that nobody asked for");
        }
        waiters[head++].resolve(reply);
        if (head === 4096) {
          waiters = waiters.slice(head);
          head = 0;
        }
        if (failure !== undefined) return;
      }
      if (head === waiters.length) {
        socket.setTimeout(0);
        // An idle connection does not keep the process alive.
        socket.unref();
      }
    } catch (error) {
      fail(
        new CairnError("engine-protocol", `Redis at ${address} sent what is no reply: ${messageOf(error)}`, {
          exit: "sourceUnreachable",
          next: "check that the address is a Redis server's, and no proxy cuts in",
          cause: error,
        }),
      );
    }
  };
  const onTimeout = (): void => fail(serverTimedOut(address, timeoutMs, "while a reply was awaited"));
  const onError = (error: Error): void => fail(connectionLost(address, `(${messageOf(error)})`));
  const onClose = (): void => fail(connectionLost(address, "(the server closed it)"));
  const onAbort = (): void => fail(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)));
  function release(): void {
    signal.removeEventListener("abort", onAbort);
    socket
      .off("data", onData)
      .off("timeout", onTimeout)
      .off("error", onError)
      .off("close", onClose)
      .off("end", onClose);
    socket.setTimeout(0);
  }
  socket.on("data", onData).on("timeout", onTimeout).on("error", onError).on("close", onClose).on("end", onClose);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });

  /** Resolves when the socket takes more. */
  async function write(bytes: Uint8Array): Promise<void> {
    if (failure !== undefined) throw failure;
    if (socket.write(bytes)) return;
    const drained = Promise.withResolvers<void>();
    const done = (): void => drained.resolve();
    socket.once("drain", done).once("close", done);
    await drained.promise;
    socket.off("drain", done).off("close", done);
  }
  function ask(command: Command): Promise<Reply> {
    if (failure !== undefined) return Promise.reject(failure);
    return new Promise((resolve, reject) => {
      awaitReply({ resolve, reject });
      socket.write(encodeCommand(command));
    });
  }
  function askAll(commands: readonly Command[]): Promise<Reply[]> {
    if (failure !== undefined) return Promise.reject(failure);
    const replies = commands.map(() => new Promise<Reply>((resolve, reject) => awaitReply({ resolve, reject })));
    socket.write(encodeCommands(commands));
    return Promise.all(replies);
  }
  const whole = (reply: Reply, command: Command): Exclude<Reply, RespError> => {
    if (reply instanceof RespError) throw replyError(reply, command, { address, user });
    return reply;
  };

  return {
    address,
    user,
    signal,
    ask: (...command) => ask(command),
    async call(...command) {
      return whole(await ask(command), command);
    },
    askAll,
    pipeline: (commands, window) => pipelineOf(commands, window, askAll, whole),
    async send(bytes, replyCount, what, onReply) {
      if (failure !== undefined) throw failure;
      const answered = new Promise<void>((resolve, reject) => {
        let missing = replyCount;
        let first: RespError | undefined;
        const waiter: Waiter = {
          reject,
          resolve(reply) {
            if (reply instanceof RespError) first ??= reply;
            else onReply?.(reply);
            if (--missing > 0) return;
            if (first === undefined) resolve();
            else reject(replyError(first, [what], { address, user }));
          },
        };
        for (let count = 0; count < replyCount; count++) awaitReply(waiter);
        if (replyCount === 0) resolve();
      });
      // Whatever it is rejected with while the socket is full is thrown below.
      answered.catch(() => {});
      await write(bytes);
      await answered;
    },
    detach() {
      if (failure !== undefined) throw failure;
      if (head < waiters.length) throw new Error("a reply is still awaited");
      failure = new Error("the connection was given up");
      release();
      socket.pause();
      socket.ref();
      return { socket, rest: parser.takeRest() };
    },
    close() {
      fail(new Error(`the connection to ${address} is closed`));
    },
    async [Symbol.asyncDispose]() {
      fail(new Error(`the connection to ${address} is closed`));
    },
  };
}

/** Bytes of commands in one write: many small writes cost a system call each. */
const groupSize = 64;

async function* pipelineOf<Item extends Command>(
  commands: Iterable<Item> | AsyncIterable<Item>,
  window: number,
  askAll: (commands: readonly Command[]) => Promise<Reply[]>,
  whole: (reply: Reply, command: Command) => Exclude<Reply, RespError>,
): AsyncGenerator<{ command: Item; reply: Exclude<Reply, RespError> }> {
  const underWay: { group: readonly Item[]; replies: Promise<Reply[]> }[] = [];
  let count = 0;
  let group: Item[] = [];
  const ship = (): void => {
    const replies = askAll(group);
    // Failing while an earlier group is being taken: thrown when its turn comes.
    replies.catch(() => {});
    underWay.push({ group, replies });
    group = [];
  };
  async function* takeGroup(): AsyncGenerator<{ command: Item; reply: Exclude<Reply, RespError> }> {
    const first = underWay.shift();
    if (first === undefined) return;
    const replies = await first.replies;
    for (let at = 0; at < replies.length; at++) {
      const command = first.group[at];
      yield { command, reply: whole(replies[at], command) };
    }
    count -= replies.length;
  }
  const size = Math.max(1, Math.min(groupSize, window >> 1));
  for await (const command of commands) {
    group.push(command);
    count++;
    if (group.length === size) ship();
    while (count >= window && underWay.length > 0) yield* takeGroup();
  }
  if (group.length > 0) ship();
  while (underWay.length > 0) yield* takeGroup();
}

export interface LoadingOptions {
  readonly signal: AbortSignal;
  /** How long a server may load its data. */
  readonly timeoutMs?: number;
  /** Called about once a second while the server loads. */
  readonly onWait?: (waitedMs: number) => void;
}

const loadingTimeoutMs = 30 * 60_000;

/** Does something with a connection, again and again while the server answers LOADING. */
export async function whileLoading<Result>(
  { signal, timeoutMs = loadingTimeoutMs, onWait }: LoadingOptions,
  attempt: () => Promise<Result>,
): Promise<Result> {
  const start = performance.now();
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const waitedMs = performance.now() - start;
      if (!(error instanceof RedisReplyError) || error.kind !== "LOADING" || waitedMs > timeoutMs) throw error;
      onWait?.(waitedMs);
      await sleep(500, undefined, { signal });
    }
  }
}

/** A bulk string as text; `undefined` where there is none. For what is text by its nature. */
export function textOf(reply: Reply): string | undefined {
  if (typeof reply === "string") return reply;
  if (Buffer.isBuffer(reply)) return reply.toString("utf8");
  return typeof reply === "number" || typeof reply === "bigint" ? String(reply) : undefined;
}

/** The lines of INFO by name. */
export function parseInfo(reply: Reply): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of (textOf(reply) ?? "").split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon > 0 && line[0] !== "#") values.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return values;
}
