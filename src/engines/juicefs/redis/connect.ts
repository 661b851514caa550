import { setTimeout as sleep } from "node:timers/promises";
import { CairnError, messageOf } from "../../../model/errors.ts";
import type { RedisConnection } from "../../../protocols/redis/client.ts";
import { connectRedis, parseInfo } from "../../../protocols/redis/client.ts";
import { findSlotOwners, isClusterMember, redirectionOf, slotOf } from "../../../protocols/redis/cluster.ts";
import type { RedisAddress } from "../../../protocols/redis/dial.ts";
import { addressText } from "../../../protocols/redis/dial.ts";
import { RespError } from "../../../protocols/redis/resp.ts";
import { findMaster } from "../../../protocols/redis/sentinel.ts";
import { isReplica, lagWarnings, requireLinked, requireSameHistory } from "./replica-state.ts";
import type { RedisUrl } from "./url.ts";
import { parseRedisUrl } from "./url.ts";

export interface ConnectOptions {
  /** Ends every connection to the site, and what waits for it. */
  readonly signal: AbortSignal;
  /** `host:port`, or the URL of a replica to read from; its login and TLS are the volume's unless the URL has its own. */
  readonly replica?: string | undefined;
  /** Of the sentinels; JuiceFS takes it from SENTINEL_PASSWORD. */
  readonly sentinelPassword?: string | undefined;
  /** Called about twice a second while the server loads its data. */
  readonly onWait?: ((waitedMs: number) => void) | undefined;
}

/** What a user should know about the server that was chosen. */
export interface SiteWarning {
  readonly code: string;
  readonly message: string;
}

/** The server that holds a volume's records, found and logged in to once. */
export interface RedisSite {
  readonly address: string;
  readonly mode: "server" | "sentinel" | "cluster";
  readonly role: "master" | "replica";
  /** What each key of the volume begins with: `{db}` in a cluster, else nothing. */
  readonly keyPrefix: string;
  /** The database that holds the volume's keys on this server: 0 in a cluster. */
  readonly database: number;
  /** INFO as it was when the site was found; empty where it is not allowed. */
  readonly info: ReadonlyMap<string, string>;
  readonly warnings: readonly SiteWarning[];
  /** Another connection to the same server, in the volume's database. */
  connect(): Promise<RedisConnection>;
}

/** One server, and the URL that tells how it is logged in to. */
interface Login {
  readonly address: RedisAddress;
  readonly url: RedisUrl;
}

/**
 * Finds the server of a metadata URL: asks sentinels, or members of a cluster for the master of the volume's slot, or takes the named
 * replica, which must be in step. Waits while the server loads its data. Throws what `connectRedis`, `findMaster` and `findSlotOwners`
 * throw, `engine-loading`, `not-a-cluster`, `not-a-replica`, `replica-not-linked`, `replica-of-other`.
 */
export async function openRedisSite(url: RedisUrl, options: ConnectOptions): Promise<RedisSite> {
  const { place } = url;
  if (options.replica !== undefined) return await openReplica(url, options.replica, options);
  switch (place.kind) {
    case "server":
      return await openServer({ address: place.address, url }, "server", options);
    case "sentinel":
      return await openServer({ address: await masterOf(url, place, options), url }, "sentinel", options);
    case "cluster":
      return await openFirstMember(url, place.members, options);
  }
}

function masterOf(
  url: RedisUrl,
  place: Extract<RedisUrl["place"], { kind: "sentinel" }>,
  { signal, sentinelPassword }: ConnectOptions,
): Promise<RedisAddress> {
  return findMaster({ ...place, signal, password: sentinelPassword, tls: url.tls });
}

/** Asks each member in turn, since some may be gone. */
async function openFirstMember(
  url: RedisUrl,
  members: readonly RedisAddress[],
  options: ConnectOptions,
): Promise<RedisSite> {
  let failure: unknown;
  for (const address of members) {
    try {
      return await openServer({ address, url }, "cluster", options);
    } catch (error) {
      options.signal.throwIfAborted();
      if (!isGone(error)) throw error;
      failure = error;
    }
  }
  throw failure;
}

function isGone(error: unknown): boolean {
  return (
    error instanceof CairnError && ["engine-unreachable", "connection-lost", "engine-timeout"].includes(error.code)
  );
}

async function openServer(login: Login, mode: RedisSite["mode"], options: ConnectOptions): Promise<RedisSite> {
  const { url } = login;
  await using connection = await connect(login, 0, options.signal);
  if (await isClusterMember(connection)) return await openSlotMaster(login, connection, options);
  if (mode === "cluster") {
    throw new CairnError("not-a-cluster", `Redis at ${connection.address} is not a member of a cluster`, {
      exit: "wrongUse",
      unharmed: "nothing was read or written",
      next: "name one server only, or the name of the master before its sentinels",
    });
  }
  const info = await loadedInfo(connection, options);
  const site = siteOf(login, { mode, keyPrefix: "", database: url.database, info }, options);
  // A wrong number is told now, before anything else is done.
  (await site.connect()).close();
  return site;
}

const redirectionsMax = 3;

/** Goes to the master of the slot in which JuiceFS keeps the whole volume. */
async function openSlotMaster(login: Login, member: RedisConnection, options: ConnectOptions): Promise<RedisSite> {
  const { url } = login;
  const keyPrefix = clusterPrefix(url);
  const asked = "host" in login.address ? login.address : { host: "localhost", port: 0 };
  let address = (await findSlotOwners(member, slotOf(keyPrefix), asked)).master;
  for (let redirections = 0; ; redirections++) {
    const master: Login = { address, url };
    await using connection = await connect(master, 0, options.signal);
    const info = await loadedInfo(connection, options);
    // After a failover members may still name the old master; only a command on a key tells.
    const reply = await connection.ask("GET", `${keyPrefix}setting`);
    const moved = reply instanceof RespError ? redirectionOf(reply, hostOf(address) ?? asked.host) : undefined;
    if (moved === undefined || redirections === redirectionsMax) {
      return siteOf(master, { mode: "cluster", keyPrefix, database: 0, info }, options);
    }
    address = moved;
  }
}

/** JuiceFS puts the database number in braces before each key, so that all keys are in one slot. */
function clusterPrefix(url: RedisUrl): string {
  return `{${url.database}}`;
}

function hostOf(address: RedisAddress): string | undefined {
  return "host" in address ? address.host : undefined;
}

/** The named replica: logged in to like the volume's own server, and proven to follow it where that one can be asked. */
async function openReplica(url: RedisUrl, replica: string, options: ConnectOptions): Promise<RedisSite> {
  const named = parseRedisUrl(/^[a-z]+:\/\//i.test(replica) ? replica : `${schemeOf(url)}://${replica}`);
  if (named.place.kind !== "server") {
    throw new CairnError("usage", "a replica is named as one server", {
      exit: "wrongUse",
      next: "give it as --replica host:port, or as redis://user:password@host:port",
    });
  }
  const hasLogin = named.user !== undefined || named.password !== undefined;
  const login: Login = {
    address: named.place.address,
    url: {
      ...url,
      user: hasLogin ? named.user : url.user,
      password: hasLogin ? named.password : url.password,
      tls: /^[a-z]+:\/\/.*\?/i.test(replica) ? named.tls : named.tls === undefined ? undefined : url.tls,
    },
  };
  await using connection = await connect(login, 0, options.signal);
  const inCluster = await isClusterMember(connection);
  const info = await loadedInfo(connection, options);
  if (info.size > 0 && !isReplica(info)) {
    throw new CairnError("not-a-replica", `Redis at ${connection.address} is a ${info.get("role")}, not a replica`, {
      exit: "sourceUnreachable",
      unharmed: "nothing was read or written",
      next: "name a server whose INFO says role:slave, or leave --replica out to read from this one",
    });
  }
  const warnings = await compareWithMaster(url, info, connection.address, options);
  const facts = inCluster
    ? { mode: "cluster" as const, keyPrefix: clusterPrefix(url), database: 0, info, warnings }
    : { mode: "server" as const, keyPrefix: "", database: url.database, info, warnings };
  const site = siteOf(login, facts, options);
  (await site.connect()).close();
  return site;
}

function schemeOf(url: RedisUrl): string {
  return url.tls === undefined ? "redis" : "rediss";
}

/** A replica of another server would be another volume, or an old state of this one. */
async function compareWithMaster(
  url: RedisUrl,
  replicaInfo: ReadonlyMap<string, string>,
  replicaAddress: string,
  options: ConnectOptions,
): Promise<SiteWarning[]> {
  let master: RedisSite;
  try {
    master = await openRedisSite(url, { signal: options.signal, sentinelPassword: options.sentinelPassword });
  } catch (error) {
    options.signal.throwIfAborted();
    const message = `whether the replica follows the volume's own server was not checked: ${messageOf(error)}`;
    return [{ code: "replica-unchecked", message }];
  }
  return requireSameHistory(master.info, replicaInfo, replicaAddress);
}

interface SiteFacts {
  readonly mode: RedisSite["mode"];
  readonly keyPrefix: string;
  readonly database: number;
  readonly info: ReadonlyMap<string, string>;
  readonly warnings?: readonly SiteWarning[];
}

function siteOf(login: Login, facts: SiteFacts, { signal }: ConnectOptions): RedisSite {
  const { mode, keyPrefix, database, info, warnings = [] } = facts;
  const address = addressText(login.address);
  const role = isReplica(info) ? "replica" : "master";
  if (role === "replica") requireLinked(info, address);
  return {
    address,
    mode,
    role,
    keyPrefix,
    database,
    info,
    warnings: [...warnings, ...lagWarnings(info, address)],
    async connect() {
      const connection = await connect(login, database, signal);
      // A replica in a cluster refuses to read otherwise. What it replies does not matter: the next command tells.
      if (mode === "cluster" && role === "replica") await connection.ask("READONLY");
      return connection;
    },
  };
}

function connect({ address, url }: Login, database: number, signal: AbortSignal): Promise<RedisConnection> {
  const { user, password, tls, readTimeoutMs } = url;
  return connectRedis({ address, signal, user, password, tls, database, timeoutMs: readTimeoutMs });
}

const loadingTimeoutMs = 30 * 60_000;

/** INFO once the server has loaded its data; nothing where INFO is not allowed. */
async function loadedInfo(
  connection: RedisConnection,
  { signal, onWait }: ConnectOptions,
): Promise<ReadonlyMap<string, string>> {
  const start = performance.now();
  for (;;) {
    const reply = await connection.ask("INFO");
    if (reply instanceof RespError) return new Map();
    const info = parseInfo(reply);
    if (info.get("loading") !== "1") return info;
    const waitedMs = performance.now() - start;
    if (waitedMs > loadingTimeoutMs) {
      throw new CairnError("engine-loading", `Redis at ${connection.address} is still loading its data`, {
        exit: "sourceUnreachable",
        unharmed: "nothing was read or written",
        next: "wait until it has started (loading_eta_seconds in its INFO), and try again",
      });
    }
    onWait?.(waitedMs);
    await sleep(500, undefined, { signal });
  }
}
