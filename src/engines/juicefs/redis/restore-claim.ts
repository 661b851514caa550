import { CairnError } from "../../../model/errors.ts";
import type { RedisConnection } from "../../../protocols/redis/client.ts";
import { textOf } from "../../../protocols/redis/client.ts";
import { RedisReplyError, replyError } from "../../../protocols/redis/redis-errors.ts";
import type { Command } from "../../../protocols/redis/resp.ts";
import { RespError } from "../../../protocols/redis/resp.ts";
import { isLayoutKey } from "./layout-keys.ts";
import type { RestoreMarker } from "./restore-marker.ts";
import { markerFields, restoreLockKey, restoreMarkerKey } from "./restore-marker.ts";
import { transact } from "./transact.ts";

/** A restore that is alive renews its lock every third of this. */
const lockSeconds = 30;

const keysPerScan = 1000;

export interface ClaimOptions {
  readonly prefix: string;
  readonly location: string;
  readonly marker: RestoreMarker;
  readonly discardUnfinished: boolean;
}

/**
 * Makes an empty database ours: the marker and the lock are the first keys in it. What an unfinished restore left is removed first when the
 * user said so. Throws `target-not-empty`, `target-unfinished`, `target-in-use`.
 */
export async function claimDatabase(connection: RedisConnection, options: ClaimOptions): Promise<void> {
  const { prefix, location, marker, discardUnfinished } = options;
  const old = await readMarker(connection, prefix);
  if (old !== undefined) {
    await requireUnfinished(connection, options, old);
    if (!discardUnfinished) {
      throw new CairnError(
        "target-unfinished",
        `${location} holds what an unfinished restore of volume ${old.volumeId} left, begun ${old.started}`,
        {
          exit: "targetRefused",
          unharmed: "nothing was written",
          next: "give --discard-unfinished to remove it and begin anew, or name another database",
        },
      );
    }
    await wipe(connection, { prefix, location, token: marker.token });
  }
  await requireEmpty(connection, prefix, location);
  const [[name, token], ...fields] = markerFields(marker);
  // Of two that begin at once, one sets the token.
  if ((await connection.call("HSETNX", `${prefix}${restoreMarkerKey}`, name, token)) !== 1) throw inUse(location);
  await connection.call("SET", `${prefix}${restoreLockKey}`, token, "EX", lockSeconds);
  await connection.call("HSET", `${prefix}${restoreMarkerKey}`, ...fields.flat());
}

/** A volume with its setting is none of our business; a lock says that its restore lives, or did a moment ago. */
async function requireUnfinished(
  connection: RedisConnection,
  { prefix, location, marker, discardUnfinished }: ClaimOptions,
  old: RestoreMarker,
): Promise<void> {
  if ((await connection.call("EXISTS", `${prefix}setting`)) !== 0)
    throw notEmpty(location, "a volume with its setting");
  const lock = `${prefix}${restoreLockKey}`;
  if (!discardUnfinished) {
    if ((await connection.call("EXISTS", lock)) !== 0) throw inUse(location);
    return;
  }
  // Taken before anything is removed, so that of two that discard only one does.
  const taken = await connection.call("SET", lock, marker.token, "NX", "EX", lockSeconds);
  if (taken !== "OK") throw inUse(location);
  const now = await readMarker(connection, prefix);
  if (now?.token !== old.token) throw inUse(location);
}

export function inUse(location: string, unharmed = "nothing was written"): CairnError {
  return new CairnError("target-in-use", `another restore is filling ${location}, or was until some seconds ago`, {
    exit: "targetRefused",
    unharmed,
    next: `wait for it; if it was killed, try again in ${lockSeconds} s`,
  });
}

/** The marker; `undefined` where there is none, or a key of its name that is something else. */
export async function readMarker(connection: RedisConnection, prefix: string): Promise<RestoreMarker | undefined> {
  const reply = await connection.ask("HMGET", `${prefix}${restoreMarkerKey}`, "token", "volume", "started");
  if (reply instanceof RespError && reply.kind !== "WRONGTYPE") throw replyError(reply, ["HMGET"], connection);
  if (!Array.isArray(reply)) return undefined;
  const [token, volumeId, started] = reply.map(textOf);
  if (token === undefined) return undefined;
  return { token, volumeId: volumeId ?? "?", started: started ?? "?" };
}

/** Throws `target-lost` when the database is not the one that was claimed (after a failover), or another restore took it. */
export async function requireClaim(connection: RedisConnection, prefix: string, token: string): Promise<void> {
  const marker = await readMarker(connection, prefix);
  if (marker?.token !== token) throw targetLost(connection.address);
}

export function targetLost(address: string): CairnError {
  return new CairnError(
    "target-lost",
    `the database at ${address} is no longer the one that this restore began to fill`,
    {
      exit: "targetRefused",
      unharmed: "nothing more was written to it",
      next: "find out what removed the key cairn:restore (a failover, FLUSHDB, eviction), and restore again",
    },
  );
}

/** Replies of a server that is busy with something else, and answers later. */
const passingKinds: ReadonlySet<string> = new Set(["BUSY", "LOADING"]);

/**
 * Renews the lock until disposed, which ends after a renewal that is under way. `lost` is called at most once, with what ended it.
 */
export function keepClaim(
  connection: RedisConnection,
  prefix: string,
  token: string,
  lost: (error: unknown) => void,
): AsyncDisposable {
  let underWay: Promise<void> | undefined;
  let isEnded = false;
  const renew = async (): Promise<void> => {
    try {
      await requireClaim(connection, prefix, token);
      if (!isEnded) await connection.call("SET", `${prefix}${restoreLockKey}`, token, "EX", lockSeconds);
    } catch (error) {
      if (isEnded || (error instanceof RedisReplyError && passingKinds.has(error.kind))) return;
      clearInterval(timer);
      lost(error);
    } finally {
      underWay = undefined;
    }
  };
  const timer = setInterval(
    () => {
      underWay ??= renew();
    },
    (lockSeconds * 1000) / 3,
  );
  return {
    async [Symbol.asyncDispose]() {
      isEnded = true;
      clearInterval(timer);
      await underWay;
    },
  };
}

/** Sets the lock again, where what was loaded replaced it. */
export async function lockAgain(connection: RedisConnection, prefix: string, token: string): Promise<void> {
  await requireClaim(connection, prefix, token);
  await connection.call("SET", `${prefix}${restoreLockKey}`, token, "EX", lockSeconds);
}

export function notEmpty(location: string, what: string): CairnError {
  return new CairnError("target-not-empty", `${location} is not empty: it holds ${what}`, {
    exit: "targetRefused",
    unharmed: "nothing was written",
    next: "name a database that is empty; the number stands at the end of the URL",
  });
}

async function requireEmpty(connection: RedisConnection, prefix: string, location: string): Promise<void> {
  if (prefix === "") {
    const keys = await connection.call("DBSIZE");
    if (keys === 0) return;
    // Our own lock, where an unfinished restore was removed.
    const lock = await connection.call("EXISTS", restoreLockKey);
    if (Number(keys) - Number(lock) > 0) throw notEmpty(location, `${Number(keys) - Number(lock)} keys`);
    return;
  }
  const own = `${prefix}${restoreLockKey}`;
  for await (const { keys } of scan(connection, prefix)) {
    const other = keys.find((key) => key.toString() !== own);
    if (other !== undefined) throw notEmpty(location, `the key ${JSON.stringify(other.toString())}`);
  }
}

/** A database that is claimed, or to be. */
export interface Claimed {
  readonly prefix: string;
  readonly location: string;
  /** Of the restore that wipes; the lock carries it. */
  readonly token: string;
}

/**
 * Removes everything that a restore writes from a claimed database, the marker and the lock last. A key of another name is nothing that we wrote,
 * and stays. Takes the lock where nobody has it; each step is a transaction that ends with nothing removed when another has taken it since, or
 * has published a volume: `target-in-use` then.
 */
export async function wipe(connection: RedisConnection, { prefix, location, token }: Claimed): Promise<void> {
  const lock = `${prefix}${restoreLockKey}`;
  const setting = `${prefix}setting`;
  const refusal = (): CairnError => inUse(location, "what stands in it is left alone");
  const requireOwn = async (): Promise<void> => {
    const owner = textOf(await connection.call("GET", lock));
    const published = await connection.call("EXISTS", setting);
    if (owner !== token || published !== 0) throw refusal();
  };
  // A server without memory refuses SET, and lets go on with a lock that is there.
  if ((await connection.call("EXISTS", lock)) === 0) {
    await connection.call("SET", lock, token, "NX", "EX", lockSeconds);
  }
  await requireOwn();
  const run = async (commands: readonly Command[]): Promise<void> => {
    try {
      if (!(await transact(connection, [lock, setting], requireOwn, commands))) throw refusal();
    } catch (error) {
      if (!(error instanceof RedisReplyError) || error.kind !== "OOM") throw error;
      // A server without memory queues nothing in a transaction, and gives nobody a lock.
      await requireOwn();
      for (const command of commands) await connection.call(...command);
    }
  };
  for await (const { keys } of scan(connection, prefix)) {
    const own = keys.filter((key) => isLayoutKey(key.toString("latin1").slice(prefix.length)));
    if (own.length === 0) continue;
    await run([
      ["EXPIRE", lock, lockSeconds],
      ["UNLINK", ...own],
    ]);
  }
  await run([["UNLINK", `${prefix}${restoreMarkerKey}`, lock]]);
}

async function* scan(connection: RedisConnection, prefix: string): AsyncGenerator<{ keys: Buffer[] }> {
  let cursor = "0";
  do {
    const match = prefix === "" ? [] : ["MATCH", `${prefix}*`];
    const reply = await connection.call("SCAN", cursor, ...match, "COUNT", keysPerScan);
    if (!Array.isArray(reply)) return;
    cursor = textOf(reply[0]) ?? "0";
    yield { keys: (Array.isArray(reply[1]) ? reply[1] : []).filter((key) => Buffer.isBuffer(key)) };
  } while (cursor !== "0");
}
