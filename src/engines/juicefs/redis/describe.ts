import type { Facts, SourceDescription } from "../../../model/ports.ts";
import type { RedisConnection } from "../../../protocols/redis/client.ts";
import { textOf } from "../../../protocols/redis/client.ts";
import type { Command } from "../../../protocols/redis/resp.ts";
import { RespError } from "../../../protocols/redis/resp.ts";
import { settingText } from "../setting.ts";
import type { ConnectOptions, RedisSite } from "./connect.ts";
import { openRedisSite } from "./connect.ts";
import { readSetting } from "./read-setting.ts";
import { missingSyncRights } from "./rights.ts";
import { keysByDatabase, readServerState, serverFacts, serverProblems } from "./server-state.ts";
import { parseRedisUrl } from "./url.ts";

export interface DescribeOptions extends ConnectOptions {
  /** The backup will use SCAN. */
  readonly scan?: boolean | undefined;
}

/** Bytes of an RDB for each byte that the data takes in memory. Measured with JuiceFS' records: 0.43. */
const rdbShare = 0.43;

/** Cheap facts about a volume in Redis; reads a handful of keys and no list of them. */
export async function describeRedis(url: string, options: DescribeOptions): Promise<SourceDescription> {
  const parsed = parseRedisUrl(url);
  const site = await openRedisSite(parsed, options);
  await using connection = await site.connect();
  const { fields } = await readSetting(connection, site, parsed.location);
  const counts = await readCounts(connection, site);
  const { info } = site;
  const state = await readServerState(connection, site);
  const scan = options.scan === true;
  const problems = [
    ...(scan ? [] : await syncProblems(site)),
    ...serverProblems(state),
    ...site.warnings.map(({ message }) => ({
      message,
      next: "wait until the replica is in step, or read from the master",
    })),
  ];
  const facts: Facts = {
    server: site.address,
    role: site.role,
    mode: site.mode,
    ...serverFacts(state),
    nextInode: String(counts.nextInode + 1n),
    usedSpace: String(counts.usedSpace),
    totalInodes: String(counts.totalInodes),
  };
  return {
    kind: "juicefs",
    system: "JuiceFS",
    engine: flavourOf(info),
    engineVersion: info.get("valkey_version") ?? info.get("redis_version") ?? "of an unknown version",
    volumeName: settingText(fields, "Name") ?? "",
    volumeId: settingText(fields, "UUID") ?? "",
    estimates: estimatesOf(counts),
    estimatedBytes: estimatedBytesOf(info, site, counts.keys),
    consistency: scan
      ? { level: "none", method: "keys read one after the other with SCAN, while clients may write: not a snapshot" }
      : { level: "snapshot", method: "one full synchronisation: the server's state at one moment" },
    problems,
    facts,
  };
}

/** On a connection of its own: what is asked leaves a mark on it. */
async function syncProblems(site: RedisSite): Promise<SourceDescription["problems"]> {
  await using connection = await site.connect();
  return await missingSyncRights(connection, site.info.get("redis_version") ?? "");
}

function flavourOf(info: ReadonlyMap<string, string>): string {
  if (info.has("valkey_version") || info.get("server_name") === "valkey") return "Valkey";
  return info.has("dragonfly_version") ? "Dragonfly" : "Redis";
}

interface Counts {
  readonly keys: number;
  readonly nextInode: bigint;
  readonly usedSpace: bigint;
  readonly totalInodes: bigint;
  readonly sizes: ReadonlyMap<string, number>;
}

/** Keys whose size costs the server nothing, the command that tells it, and the canonical table. */
const sizedKeys = [
  ["sliceRef", "HLEN", "slice_ref"],
  ["acl", "HLEN", "acl"],
  ["dirDataLength", "HLEN", "dir_stat"],
  ["dirQuota", "HLEN", "quota"],
  ["userQuota", "HLEN", "quota"],
  ["groupQuota", "HLEN", "quota"],
  ["delfiles", "ZCARD", "deleted_file"],
  ["delSlices", "HLEN", "delayed_slice"],
  ["detachedNodes", "ZCARD", "detached_node"],
] as const;

/** What may not be read counts as nothing: these are estimates. */
async function readCounts(connection: RedisConnection, { keyPrefix }: RedisSite): Promise<Counts> {
  const commands: Command[] = [
    ["DBSIZE"],
    ...["nextinode", "usedSpace", "totalInodes"].map((name): Command => ["GET", keyPrefix + name]),
    ...sizedKeys.map(([key, command]): Command => [command, keyPrefix + key]),
  ];
  const replies = (await connection.askAll(commands)).map((reply) => {
    const text = reply instanceof RespError ? undefined : textOf(reply);
    return text !== undefined && /^-?\d+$/.test(text) ? BigInt(text) : 0n;
  });
  const [keys, nextInode, usedSpace, totalInodes, ...sizes] = replies;
  const byTable = new Map<string, number>();
  sizedKeys.forEach(([, , table], at) => byTable.set(table, (byTable.get(table) ?? 0) + Number(sizes[at])));
  return { keys: Number(keys), nextInode, usedSpace, totalInodes, sizes: byTable };
}

function estimatesOf({ keys, totalInodes, sizes }: Counts): Record<string, number> {
  const node = Math.max(0, Number(totalInodes)) + 2;
  const directories = sizes.get("dir_stat") ?? 0;
  return {
    node,
    edge: node,
    // Each inode has a key, each directory one more; what is left are nearly all chunks.
    chunk: Math.max(0, keys - node - directories - 20),
    ...Object.fromEntries(sizes),
  };
}

function estimatedBytesOf(info: ReadonlyMap<string, string>, { database }: RedisSite, keys: number): number {
  const total = keysByDatabase(info).reduce((sum, [, count]) => sum + count, 0);
  const dataset = Number(info.get("used_memory_dataset") ?? info.get("used_memory") ?? 0);
  const own = keysByDatabase(info).find(([index]) => index === database)?.[1] ?? keys;
  return Math.round(dataset * rdbShare * (total > 0 ? Math.min(1, own / total) : 1));
}
