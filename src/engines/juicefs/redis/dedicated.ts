import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { CairnError } from "../../../model/errors.ts";
import type { Progress, TargetOptions } from "../../../model/ports.ts";
import type { RedisConnection } from "../../../protocols/redis/client.ts";
import { connectRedis, parseInfo, textOf, whileLoading } from "../../../protocols/redis/client.ts";
import { RespError } from "../../../protocols/redis/resp.ts";
import { plainAddress } from "../../../protocols/redis/serve-rdb.ts";
import type { ServeOptions } from "../../../protocols/redis/serve-rdb.ts";
import type { RedisSite } from "./connect.ts";
import { inUse, lockAgain, notEmpty, readMarker } from "./restore-claim.ts";
import { restoreLockKey, restoreMarkerKey } from "./restore-marker.ts";
import { keysByDatabase } from "./server-state.ts";
import type { RedisUrl } from "./url.ts";

/*
 * The fast way for an instance that is for one volume alone: it is told to follow us (REPLICAOF), gets the volume as one full
 * synchronisation, and is made a master again. A full synchronisation replaces all that a server holds, so it must hold nothing.
 */

/** REPLICAOF has that name since. */
const oldestVersion = 5;
const connectTimeoutMs = 30_000;
const stallTimeoutMs = 120_000;
const pollMs = 50;
const watchMs = 1000;

export interface Dedication {
  readonly serve: ServeOptions;
  /** Tells the server to follow us on that port. */
  follow(connection: RedisConnection, port: number): Promise<void>;
  /** Once everything is sent: waits until the server has loaded it, and makes it a master again. */
  part(connection: RedisConnection, prefix: string, token: string, progress: Progress): Promise<void>;
}

/** Refuses a server that holds anything, or that others follow or watch. Throws `target-not-dedicated`, `target-not-empty`. */
export async function requireDedicated(
  connection: RedisConnection,
  site: RedisSite,
  url: RedisUrl,
  announce: string | undefined,
): Promise<Dedication> {
  await requireAlone(connection, site, url);
  const client = await ownAddresses(connection);
  const address = announce ?? client.own;
  const serve: ServeOptions = {
    host: isLocalAddress(address) ? address : "0.0.0.0",
    port: 0,
    allowed: await serverAddresses(url, client.server),
    connectTimeoutMs,
    stallTimeoutMs,
  };
  return {
    serve,
    async follow(control, port) {
      await control.call("REPLICAOF", address, port);
    },
    async part(control, prefix, token, progress) {
      await untilLoaded(control, progress);
      await control.call("REPLICAOF", "NO", "ONE");
      await lockAgain(control, prefix, token);
    },
  };
}

async function requireAlone(connection: RedisConnection, site: RedisSite, url: RedisUrl): Promise<void> {
  const { address } = site;
  if (site.mode !== "server") throw notDedicated(address, `it is found through a ${site.mode}`);
  const reply = await connection.call("INFO");
  const info = parseInfo(reply);
  const version = info.get("redis_version") ?? "0";
  if (Number.parseInt(version, 10) < oldestVersion) {
    throw notDedicated(address, `it is version ${version}, and ${oldestVersion} or later is needed`);
  }
  if (info.get("connected_slaves") !== "0") throw notDedicated(address, "other servers follow it");
  const libraries = Number(info.get("number_of_libraries") ?? 0);
  if (libraries > 0) throw notDedicated(address, `it has ${libraries} function libraries, which would be lost`);
  const watchers = await connection.ask("PUBSUB", "NUMSUB", "__sentinel__:hello");
  if (Array.isArray(watchers) && Number(watchers[1]) > 0) throw notDedicated(address, "sentinels watch it");
  // The chosen database is looked at where it is claimed.
  for (const [database, keys] of keysByDatabase(info)) {
    if (database !== site.database) throw notEmpty(url.location, `${keys} keys in database ${database}`);
  }
}

function notDedicated(address: string, why: string): CairnError {
  return new CairnError("target-not-dedicated", `Redis at ${address} cannot be filled through replication: ${why}`, {
    exit: "targetRefused",
    unharmed: "nothing was written",
    next: "restore without --dedicated",
  });
}

/** Our address as the server sees it, and its own as it says; of CLIENT INFO (6.2) or CLIENT LIST. */
async function ownAddresses(connection: RedisConnection): Promise<{ own: string; server: string | undefined }> {
  let line = textOf(await orNothing(connection.ask("CLIENT", "INFO")));
  if (line === undefined) {
    const id = textOf(await connection.call("CLIENT", "ID"));
    const list = textOf(await connection.call("CLIENT", "LIST")) ?? "";
    line = list.split("\n").find((one) => one.startsWith(`id=${id} `)) ?? "";
  }
  const hostOf = (name: string): string | undefined => {
    const match = new RegExp(`(?:^| )${name}=(.*?):\\d+(?: |$)`).exec(line);
    const host = match?.[1].replace(/^\[|\]$/g, "") ?? "";
    return isIP(host) === 0 ? undefined : plainAddress(host);
  };
  // Over a Unix socket there is none: the server is on this machine.
  return { own: hostOf("addr") ?? "127.0.0.1", server: hostOf("laddr") };
}

async function orNothing<Value>(asked: Promise<Value | RespError>): Promise<Value | null> {
  const reply = await asked;
  return reply instanceof RespError ? null : reply;
}

/** Where the server may come from: its own address as it says, and what its name means here. */
async function serverAddresses({ place }: RedisUrl, said: string | undefined): Promise<string[]> {
  const addresses = new Set(said === undefined ? [] : [said]);
  if (place.kind === "server" && "host" in place.address) {
    for (const { address } of await lookup(place.address.host, { all: true })) addresses.add(plainAddress(address));
  } else addresses.add("127.0.0.1");
  if ([...addresses].some((address) => address === "::1" || address.startsWith("127."))) {
    addresses.add("127.0.0.1").add("::1");
  }
  return [...addresses];
}

function isLocalAddress(address: string): boolean {
  return Object.values(networkInterfaces()).some((list) => list?.some((one) => one.address === address) === true);
}

/** Asks the server now and then until disposed: one that dies before it asks for the data would be waited for in vain. */
export function watchServer(connection: RedisConnection, lost: (error: unknown) => void): AsyncDisposable {
  const timer = setInterval(() => {
    // PING is answered with an error while the server loads, which is an answer as well.
    connection.ask("PING").catch((error: unknown) => {
      clearInterval(timer);
      lost(error);
    });
  }, watchMs);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
    },
  };
}

/** The link is up once the data is loaded. INFO is answered while a server loads. */
async function untilLoaded(connection: RedisConnection, progress: Progress): Promise<void> {
  let idleSince = performance.now();
  for (;;) {
    const info = parseInfo(await connection.call("INFO"));
    const isLoading = info.get("loading") === "1" || info.get("master_sync_in_progress") === "1";
    if (info.get("master_link_status") === "up" && !isLoading) return;
    if (isLoading) {
      idleSince = performance.now();
      const total = Number(info.get("loading_total_bytes") ?? 0);
      const done = Number(info.get("loading_loaded_bytes") ?? 0);
      progress.report({ phase: "load", done, ...(total > 0 ? { total } : {}), unit: "bytes" });
    } else if (performance.now() - idleSince > connectTimeoutMs) {
      throw new CairnError("replica-not-served", `Redis at ${connection.address} did not load what it was sent`, {
        exit: "targetRefused",
        unharmed: "what was written is removed as far as the connection allows; the snapshot is unchanged",
        next: "look into the server's log; or restore without --dedicated",
      });
    }
    await sleep(pollMs, undefined, { signal: connection.signal });
  }
}

/** A connection to the one server of a URL, whatever state it is in; nothing where the URL names no single server. */
async function connectAnyway(url: RedisUrl, signal: AbortSignal): Promise<RedisConnection | undefined> {
  const { place, user, password, tls, database, readTimeoutMs } = url;
  if (place.kind !== "server") return undefined;
  return await connectRedis({
    address: place.address,
    signal,
    user,
    password,
    tls,
    database,
    timeoutMs: readTimeoutMs,
  });
}

/**
 * A restore that was killed leaves the server following an address where nobody answers. Such a server is made a master again when the
 * user said so; a replica that has no marker of ours is left alone. Throws `target-unfinished`, and `target-in-use` while it may be alive.
 */
export async function freeFromUnfinished(url: RedisUrl, { signal, discardUnfinished }: TargetOptions): Promise<void> {
  await using connection = await connectAnyway(url, signal);
  if (connection === undefined) return;
  const info = await whileLoading({ signal }, async () => parseInfo(await connection.call("INFO")));
  if (info.get("role") !== "slave" || info.get("master_link_status") === "up") return;
  if ((await connection.ask("EXISTS", restoreMarkerKey)) !== 1) return;
  // It is being sent the volume, or its restore has only begun.
  const isFed = info.get("master_sync_in_progress") === "1";
  if (isFed || (await connection.call("EXISTS", restoreLockKey)) !== 0) throw inUse(url.location);
  if (discardUnfinished !== true) {
    throw new CairnError(
      "target-unfinished",
      `${url.location} still follows a restore that has ended, and holds what that left`,
      {
        exit: "targetRefused",
        unharmed: "nothing was written",
        next: "give --discard-unfinished to remove it and begin anew",
      },
    );
  }
  await connection.call("REPLICAOF", "NO", "ONE");
}

/** Makes a server a master again that a failed restore made follow us. */
export async function unfollow(url: RedisUrl, token: string, signal: AbortSignal): Promise<void> {
  await using connection = await connectAnyway(url, signal);
  if (connection === undefined) return;
  await whileLoading({ signal }, async () => {
    const info = parseInfo(await connection.call("INFO"));
    if (info.get("role") !== "slave") return;
    // Answers LOADING while it loads, and is asked again.
    await connection.call("EXISTS", restoreMarkerKey);
    if ((await readMarker(connection, ""))?.token !== token) return;
    await connection.call("REPLICAOF", "NO", "ONE");
  });
}
