/** Real Redis servers for tests: single, with a password, ACL or TLS, and replicas. Nothing is saved to disk unless asked for. */
import { randomBytes } from "node:crypto";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { connectRedis } from "./redis-connection.ts";
import type { RedisConnection } from "./redis-connection.ts";
import { redisProgram } from "./redis-programs.ts";
import type { RedisVersion } from "./redis-programs.ts";
import { serverFolder, startServer } from "./server-process.ts";
import type { ServerProcess } from "./server-process.ts";
import { until } from "./until.ts";
import { placeTlsFiles } from "./tls-files.ts";
import type { TlsFiles } from "./tls-files.ts";

export interface RedisOptions {
  /** Debian's own (7.0) when absent. */
  version?: RedisVersion;
  /** Of the user `default`. */
  password?: string;
  /** Further users as lines of an ACL file without the word "user": `"backup on >secret ~* +ping +psync"`. */
  users?: readonly string[];
  /** The port speaks TLS only. `"client"` also demands a client certificate. */
  tls?: boolean | "client";
  /** Whether a full synchronisation goes without a file (Redis' default) or through one. */
  disklessSync?: boolean;
  /** Lines of redis.conf, after all others: `"repl-diskless-sync-delay 1"`. */
  config?: readonly string[];
  /** Starts from this RDB file; it is read, not changed. */
  rdbFile?: string;
}

export interface RedisServer extends ServerProcess {
  readonly port: number;
  readonly socketPath: string;
  readonly configPath: string;
  readonly tls: TlsFiles | undefined;
  readonly password: string | undefined;
  /** As JuiceFS takes it: `redis://[:password@]127.0.0.1:PORT/DB`, or `rediss://` with the certificates' paths. */
  url: (database?: number, login?: RedisLogin) => string;
  /** `unix:///path?db=N`. */
  socketUrl: (database?: number) => string;
  /** A connection with all rights, over the Unix socket, whatever the users and TLS are. */
  connect: (database?: number) => Promise<RedisConnection>;
  /** One command over a connection of its own. */
  command: (...words: (string | number | Uint8Array)[]) => Promise<string>;
  /** The number of an empty database: 0, 1, 2… and again from 0 after 15, emptied. */
  newDatabase: () => Promise<number>;
}

export interface RedisLogin {
  user?: string;
  password?: string;
}

/** Starts a server of its own and waits until it answers. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const program = redisProgram(options.version ?? "system");
  const folder = serverFolder("redis", undefined);
  const port = await freePort();
  const tls = options.tls === undefined || options.tls === false ? undefined : await placeTlsFiles(folder, undefined);
  const socketPath = join(folder, "redis.sock");
  const configPath = join(folder, "redis.conf");
  const adminPassword = randomBytes(16).toString("hex");
  const lines = [
    ...placeLines({ folder, port, socketPath }, options, tls),
    ...loginLines(options, adminPassword),
    ...(options.config ?? []),
  ];
  writeFileSync(configPath, `${lines.join("\n")}\n`, { mode: 0o600 });
  const connect = async (database = 0): Promise<RedisConnection> => {
    const connection = await connectRedis({ path: socketPath });
    try {
      await connection.command("AUTH", adminUser, adminPassword);
      if (database !== 0) await connection.command("SELECT", database);
    } catch (error) {
      await connection[Symbol.asyncDispose]();
      throw error;
    }
    return connection;
  };
  const command = async (...words: (string | number | Uint8Array)[]): Promise<string> => {
    await using connection = await connect();
    return await connection.text(...words);
  };
  const server = await startServer({
    name: `Redis ${options.version ?? ""}`.trim(),
    file: program,
    arguments: [configPath],
    folder,
    // PING answers LOADING, an error, while the server reads its RDB file.
    isReady: async () => (await command("PING")) === "PONG",
  });
  let databasesGiven = 0;
  return Object.assign(server, {
    port,
    socketPath,
    configPath,
    tls,
    password: options.password,
    url: (database = 0, login: RedisLogin = options.password === undefined ? {} : { password: options.password }) =>
      redisUrl({ port, tls, database }, login),
    socketUrl: (database = 0) => `unix://${socketPath}?db=${database}`,
    connect,
    command,
    newDatabase: async () => {
      const database = databasesGiven % 16;
      databasesGiven += 1;
      await using connection = await connect(database);
      await connection.command("FLUSHDB");
      return database;
    },
  });
}

/** A second server that follows the first; waits until its link is up. */
export async function startRedisReplica(master: RedisServer, options: RedisOptions = {}): Promise<RedisServer> {
  const replica = await startRedis({
    ...options,
    config: [
      `replicaof 127.0.0.1 ${master.port}`,
      ...(master.password === undefined ? [] : [`masterauth ${master.password}`]),
      ...(master.tls === undefined ? [] : ["tls-replication yes", ...tlsLines(master.tls)]),
      ...(options.config ?? []),
    ],
  });
  await untilInfo(replica, "replication", "master_link_status:up");
  return replica;
}

/** Waits until a section of `INFO` holds the text. */
export async function untilInfo(server: RedisServer, section: string, text: string): Promise<void> {
  await until(`INFO ${section} to show ${text}`, server, async () => {
    return (await server.command("INFO", section)).includes(text);
  });
}

const adminUser = "tests-admin";

function placeLines(
  place: { folder: string; port: number; socketPath: string },
  options: RedisOptions,
  tls: TlsFiles | undefined,
): string[] {
  if (options.rdbFile !== undefined) copyFileSync(options.rdbFile, join(place.folder, "dump.rdb"));
  return [
    "bind 127.0.0.1",
    `port ${tls === undefined ? place.port : 0}`,
    ...(tls === undefined ? [] : [`tls-port ${place.port}`, ...tlsLines(tls)]),
    ...(tls === undefined ? [] : [`tls-auth-clients ${options.tls === "client" ? "yes" : "no"}`]),
    `unixsocket ${place.socketPath}`,
    "unixsocketperm 700",
    `dir ${place.folder}`,
    "daemonize no",
    'save ""',
    "appendonly no",
    `repl-diskless-sync ${options.disklessSync === false ? "no" : "yes"}`,
    // The default of 5 s is for many replicas that arrive together.
    "repl-diskless-sync-delay 0",
    "repl-backlog-size 1mb",
  ];
}

function tlsLines(tls: TlsFiles): string[] {
  return [
    `tls-ca-cert-file ${tls.authority}`,
    `tls-cert-file ${tls.serverCertificate}`,
    `tls-key-file ${tls.serverKey}`,
  ];
}

function loginLines(options: RedisOptions, adminPassword: string): string[] {
  return [
    `user ${adminUser} on >${adminPassword} ~* +@all`,
    ...(options.users ?? []).map((user) => `user ${user}`),
    ...(options.password === undefined ? [] : [`requirepass ${options.password}`]),
  ];
}

function redisUrl(place: { port: number; tls: TlsFiles | undefined; database: number }, login: RedisLogin): string {
  const user = encodeURIComponent(login.user ?? "");
  const who = login.password === undefined ? "" : `${user}:${encodeURIComponent(login.password)}@`;
  const where = `${who}127.0.0.1:${place.port}/${place.database}`;
  if (place.tls === undefined) return `redis://${where}`;
  const query = new URLSearchParams({
    "tls-ca-cert-file": place.tls.authority,
    "tls-cert-file": place.tls.clientCertificate,
    "tls-key-file": place.tls.clientKey,
  });
  return `rediss://${where}?${query.toString()}`;
}
