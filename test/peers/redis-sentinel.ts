/** A Redis Sentinel that watches a master of the tests. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { connectRedis } from "./redis-connection.ts";
import { redisProgram } from "./redis-programs.ts";
import type { RedisServer } from "./redis.ts";
import { serverFolder, startServer } from "./server-process.ts";
import type { ServerProcess } from "./server-process.ts";
import { until } from "./until.ts";

export interface SentinelOptions {
  /** Names what it watches; `"mymaster"` when absent. */
  masterName?: string;
  /** What clients of the sentinel itself must give. */
  password?: string;
}

export interface SentinelServer extends ServerProcess {
  readonly port: number;
  readonly masterName: string;
  /** As JuiceFS takes it: `redis://[:password@]NAME,127.0.0.1:PORT/DB`, with the password of the master. */
  url: (database?: number) => string;
  /** Makes a replica of the master the new one, and waits until the sentinel names it. */
  failOver: () => Promise<void>;
}

/** Starts one sentinel (quorum 1) and waits until it knows the master and as many of its replicas as there are. */
export async function startSentinel(
  master: RedisServer,
  replicas: readonly RedisServer[],
  options: SentinelOptions = {},
): Promise<SentinelServer> {
  const folder = serverFolder("sentinel", undefined);
  const port = await freePort();
  const masterName = options.masterName ?? "mymaster";
  const lines = [
    "bind 127.0.0.1",
    `port ${port}`,
    `dir ${folder}`,
    "daemonize no",
    `sentinel monitor ${masterName} 127.0.0.1 ${master.port} 1`,
    `sentinel down-after-milliseconds ${masterName} 2000`,
    `sentinel failover-timeout ${masterName} 5000`,
    ...(master.password === undefined ? [] : [`sentinel auth-pass ${masterName} ${master.password}`]),
    ...(options.password === undefined ? [] : [`requirepass ${options.password}`]),
  ];
  const configPath = join(folder, "sentinel.conf");
  writeFileSync(configPath, `${lines.join("\n")}\n`, { mode: 0o600 });
  const ask = async (...words: string[]): Promise<string> => {
    await using connection = await connectRedis({ port });
    if (options.password !== undefined) await connection.command("AUTH", options.password);
    return await connection.text("SENTINEL", ...words);
  };
  const server = await startServer({
    name: "Redis Sentinel",
    file: redisProgram("system"),
    arguments: [configPath, "--sentinel"],
    folder,
    isReady: async () => {
      const state = (await ask("MASTER", masterName)).split(",");
      return state[state.indexOf("num-slaves") + 1] === String(replicas.length);
    },
  });
  return Object.assign(server, {
    port,
    masterName,
    url: (database = 0) => {
      const login = master.password === undefined ? "" : `:${encodeURIComponent(master.password)}@`;
      return `redis://${login}${masterName},127.0.0.1:${port}/${database}`;
    },
    failOver: async () => {
      await until(`${masterName} to have a good replica`, server, async () => {
        try {
          return (await ask("FAILOVER", masterName)) === "OK";
        } catch (error) {
          // It knows of the replica, but has not heard from it yet.
          if (String(error).includes("NOGOODSLAVE")) return false;
          throw error;
        }
      });
      await until(`a replica to become ${masterName}`, server, async () => {
        return (await ask("GET-MASTER-ADDR-BY-NAME", masterName)) !== `127.0.0.1,${master.port}`;
      });
    },
  });
}
