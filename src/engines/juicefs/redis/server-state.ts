import type { Facts, SourceDescription } from "../../../model/ports.ts";
import type { RedisConnection } from "../../../protocols/redis/client.ts";
import { textOf } from "../../../protocols/redis/client.ts";
import type { RedisSite } from "./connect.ts";

/** What a server says of itself: INFO, and its configuration where CONFIG GET is allowed. */
export interface ServerState {
  readonly site: RedisSite;
  readonly info: ReadonlyMap<string, string>;
  readonly config: ReadonlyMap<string, string>;
}

const configNames = ["client-output-buffer-limit", "repl-diskless-sync", "repl-diskless-sync-delay", "save"];

export async function readServerState(connection: RedisConnection, site: RedisSite): Promise<ServerState> {
  const config = new Map<string, string>();
  // One name a command: several need 7.0.
  const replies = await connection.askAll(configNames.map((name) => ["CONFIG", "GET", name]));
  for (const reply of replies) {
    if (!Array.isArray(reply) || reply.length < 2) continue;
    config.set(textOf(reply[0]) ?? "", textOf(reply[1]) ?? "");
  }
  return { site, info: site.info, config };
}

/** Databases that hold keys, with their number, from INFO. */
export function keysByDatabase(info: ReadonlyMap<string, string>): [number, number][] {
  const found: [number, number][] = [];
  for (const [name, value] of info) {
    const database = /^db(\d+)$/.exec(name)?.[1];
    const keys = /^keys=(\d+)/.exec(value)?.[1];
    if (database !== undefined && keys !== undefined) found.push([Number(database), Number(keys)]);
  }
  return found;
}

/** Named values for `doctor`; what may not be read is left out. */
export function serverFacts({ site, info, config }: ServerState): Facts {
  const facts: Facts = {};
  const add = (name: string, value: string | number | undefined): void => {
    if (value !== undefined && value !== "") facts[name] = value;
  };
  add("usedMemory", info.get("used_memory"));
  add("keysInOtherDatabases", info.size === 0 ? undefined : otherKeys({ site, info, config }));
  add("maxmemoryPolicy", info.get("maxmemory_policy"));
  add("persistence", info.size === 0 ? undefined : persistenceOf({ site, info, config }));
  add("connectedReplicas", info.get("connected_slaves"));
  add("replicaBufferLimit", bufferLimit(config)?.text);
  if (config.get("repl-diskless-sync") === "yes") {
    add("waitBeforeTransferSeconds", Number(config.get("repl-diskless-sync-delay") ?? 0));
  }
  return facts;
}

function otherKeys({ site, info }: ServerState): number {
  return keysByDatabase(info).reduce((sum, [index, keys]) => (index === site.database ? sum : sum + keys), 0);
}

function persistenceOf({ info, config }: ServerState): string {
  if (info.get("aof_enabled") === "1") return "append-only file";
  const save = config.get("save");
  if (save === undefined) return "unknown (CONFIG GET save is not allowed)";
  return save === "" ? "none" : "RDB files";
}

interface BufferLimit {
  readonly hardBytes: number;
  readonly text: string;
}

/** Of `normal 0 0 0 slave 268435456 67108864 60 pubsub …` the part of the replicas. */
function bufferLimit(config: ReadonlyMap<string, string>): BufferLimit | undefined {
  const match = /(?:slave|replica) (\d+) (\d+) (\d+)/.exec(config.get("client-output-buffer-limit") ?? "");
  if (match === null) return undefined;
  const [, hard, soft, seconds] = match;
  return { hardBytes: Number(hard), text: `${hard} bytes, or ${soft} for ${seconds} s` };
}

const smallBufferBytes = 64 << 20;

export function serverProblems(state: ServerState): SourceDescription["problems"] {
  const { site, info, config } = state;
  const problems: SourceDescription["problems"] = [];
  const { address } = site;
  const policy = info.get("maxmemory_policy");
  if (policy !== undefined && policy !== "noeviction") {
    problems.push({
      message: `Redis at ${address} may evict metadata when its memory is full (maxmemory-policy ${policy})`,
      next: "set maxmemory-policy noeviction in the server's configuration",
    });
  }
  if (info.size > 0 && site.role === "master" && persistenceOf(state) === "none") {
    problems.push({
      message: `Redis at ${address} writes nothing to disk: a restart loses the volume's metadata`,
      next: "set appendonly yes, or save, in the server's configuration, and back up often until then",
    });
  }
  if (info.get("rdb_last_bgsave_status") === "err") {
    problems.push({
      message: `the last time that Redis at ${address} saved its data, it failed; a synchronisation forks in the same way`,
      next: "look into the server's log: memory (vm.overcommit_memory), or the disk",
    });
  }
  const others = otherKeys(state);
  const own = keysByDatabase(info).find(([index]) => index === site.database)?.[1] ?? 0;
  if (others > own && others > 100_000) {
    problems.push({
      message: `the server holds ${others} keys in other databases (the volume's has ${own}): a synchronisation carries them all`,
      next: "give the volume a server of its own, for faster backups",
    });
  }
  const limit = bufferLimit(config);
  const major = Number.parseInt(info.get("redis_version") ?? "", 10);
  // Since 7.0 a link for the RDB alone is not fed with changes.
  if (major < 7 && limit !== undefined && limit.hardBytes > 0 && limit.hardBytes < smallBufferBytes) {
    problems.push({
      message: `client-output-buffer-limit for replicas is ${limit.text}: many changes during a backup would cut it off`,
      next: "raise it in the server's configuration; Redis' default is 256mb 64mb 60",
    });
  }
  return problems;
}
