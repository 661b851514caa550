import { CairnError, messageOf } from "../../../model/errors.ts";
import type { Progress, TargetPlan } from "../../../model/ports.ts";
import type { RedisConnection } from "../../../protocols/redis/client.ts";
import { parseInfo, textOf } from "../../../protocols/redis/client.ts";
import { replyError } from "../../../protocols/redis/redis-errors.ts";
import { RespError } from "../../../protocols/redis/resp.ts";
import type { RedisSite } from "./connect.ts";
import { restoreLockKey, restoreMarkerKey } from "./restore-marker.ts";
import { estimatedMemory } from "./target-plan.ts";

/** JuiceFS needs it; UNLINK came with it. */
const oldestVersion = 4;

/** Refuses a server that cannot take the volume, before anything is written. */
export async function requireSuitable(
  connection: RedisConnection,
  site: RedisSite,
  plan: TargetPlan,
  progress: Progress,
): Promise<void> {
  const { info, address } = site;
  if (site.role === "replica") throw notMaster(address);
  const version = info.get("redis_version") ?? "";
  if (version !== "" && Number.parseInt(version, 10) < oldestVersion) {
    throw new CairnError(
      "engine-too-old",
      `Redis at ${address} is version ${version}; JuiceFS needs ${oldestVersion} or later`,
      {
        exit: "targetRefused",
        unharmed: "nothing was written",
        next: "use a newer server",
      },
    );
  }
  requireMemory(site, plan, progress);
  await requireRights(connection, site.keyPrefix);
}

function notMaster(address: string): CairnError {
  return new CairnError("target-not-master", `Redis at ${address} is a replica: what is written there is lost`, {
    exit: "targetRefused",
    unharmed: "nothing was written",
    next: "name its master (INFO replication says which); or make it a master with REPLICAOF NO ONE",
  });
}

function requireMemory({ info, address }: RedisSite, plan: TargetPlan, progress: Progress): void {
  const most = Number(info.get("maxmemory") ?? 0);
  if (most === 0) return;
  const needed = estimatedMemory(plan);
  const free = most - Number(info.get("used_memory") ?? 0);
  const megabytes = (bytes: number): string => `${Math.max(0, Math.round(bytes / 1e6))} MB`;
  // The estimate may be a quarter off.
  if (needed * 0.75 > free) {
    throw new CairnError(
      "target-no-memory",
      `Redis at ${address} has ${megabytes(free)} left below its maxmemory, and the volume needs about ${megabytes(needed)}`,
      {
        exit: "targetRefused",
        unharmed: "nothing was written",
        next: "raise maxmemory (CONFIG SET maxmemory, and in redis.conf), or use another server",
        details: { neededBytes: needed, freeBytes: free },
      },
    );
  }
  if (needed > free) {
    progress.warn(
      "target-memory-tight",
      `${megabytes(free)} are left below the server's maxmemory; the volume needs about ${megabytes(needed)}`,
    );
  }
  const policy = info.get("maxmemory_policy") ?? "noeviction";
  if (policy !== "noeviction") {
    progress.warn(
      "redis-evicts",
      `the server's maxmemory-policy is ${policy}: when memory is short it drops metadata of the volume; set it to noeviction`,
    );
  }
}

/** Every command that a restore uses, with a key of each kind that it writes. */
function usedCommands(prefix: string): string[][] {
  const key = (name: string): string => `${prefix}${name}`;
  return [
    ["MSET", key("i1"), "x", key("s1"), "x"],
    ["SET", key("setting"), "x"],
    ["GET", key("setting")],
    ["HSET", key("d1"), "x", "x"],
    ["HSET", key("x1"), "x", "x"],
    ["HSET", key("p1"), "x", "x"],
    ["HSETNX", key(restoreMarkerKey), "x", "x"],
    ["HMGET", key(restoreMarkerKey), "x"],
    ["SET", key(restoreLockKey), "x"],
    ["EXPIRE", key(restoreLockKey), "1"],
    ["RPUSH", key("c1_0"), "x"],
    ["SADD", key("session1"), "x"],
    ["ZADD", key("allSessions"), "0", "x"],
    ["MGET", key("i1")],
    ["LRANGE", key("c1_0"), "0", "-1"],
    ["HGETALL", key("d1")],
    ["HSCAN", key("d1"), "0"],
    ["SSCAN", key("session1"), "0"],
    ["ZSCAN", key("delfiles"), "0"],
    ["EXISTS", key("setting")],
    ["UNLINK", key("i1")],
    ["SCAN", "0"],
    ["DBSIZE"],
  ];
}

/** Rights are checked when a command is queued, so a transaction that is dropped shows what is missing and changes nothing. */
async function requireRights(connection: RedisConnection, prefix: string): Promise<void> {
  // Not allowed within a transaction, and dropped with it.
  await connection.call("WATCH", `${prefix}setting`);
  await connection.call("MULTI");
  const commands = usedCommands(prefix);
  const replies = await connection.askAll(commands);
  await connection.ask("DISCARD");
  const at = replies.findIndex((reply) => reply instanceof RespError);
  if (at >= 0) throw replyError(replies[at] as RespError, commands[at], connection);
}

/**
 * What will become of the volume when the server stops: said once, after the volume is there, which no failure to learn it changes. Nothing in
 * the server's configuration is changed. `timeoutMs`: of the connection.
 */
export async function tellDurability(
  connection: RedisConnection,
  timeoutMs: number,
  progress: Progress,
): Promise<void> {
  try {
    await tellPersistence(connection, timeoutMs, progress);
  } catch (error) {
    const message = `whether the server has the volume on its disk is not known: ${messageOf(error)}`;
    progress.warn("redis-not-saved-yet", message);
  }
}

async function tellPersistence(connection: RedisConnection, timeoutMs: number, progress: Progress): Promise<void> {
  const reply = await connection.ask("INFO", "persistence");
  const info = reply instanceof RespError ? new Map<string, string>() : parseInfo(reply);
  if (info.get("aof_enabled") === "1") {
    // Below the time after which the connection is taken for dead; 0 would wait for ever.
    await waitForLog(connection, Math.max(1, Math.min(logWaitMs, Math.floor(timeoutMs / 2))), progress);
    return;
  }
  const configuration = await connection.ask("CONFIG", "GET", "save");
  const save = Array.isArray(configuration) ? textOf(configuration[1]) : undefined;
  if (save === "") {
    progress.warn(
      "redis-not-durable",
      "the server saves nothing to disk (appendonly is off and there are no save points): a restart loses the volume; turn appendonly on, or run BGSAVE",
    );
  } else {
    progress.warn(
      "redis-not-saved-yet",
      "the server has no append-only file: the volume is on its disk only after its next save; BGSAVE makes it now",
    );
  }
}

const logWaitMs = 10_000;

/** WAITAOF came with 7.2; before that the log is flushed within a second unless appendfsync says otherwise. */
async function waitForLog(connection: RedisConnection, waitMs: number, progress: Progress): Promise<void> {
  const reply = await connection.ask("WAITAOF", 1, 0, waitMs);
  if (Array.isArray(reply) && reply[0] === 0) {
    progress.warn("redis-not-saved-yet", "the server's append-only file has not been flushed to its disk yet");
  }
}
