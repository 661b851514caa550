/** A Redis Cluster of three masters, as small as one can be. */
import { freePort } from "./free-port.ts";
import { startRedis } from "./redis.ts";
import type { RedisOptions, RedisServer } from "./redis.ts";
import { until } from "./until.ts";

export interface RedisCluster extends AsyncDisposable {
  readonly masters: readonly RedisServer[];
  /** As JuiceFS takes it: `redis://[:password@]host:port,host:port,…/DB`; the DB becomes the prefix `{DB}` of its keys. */
  url: (database?: number) => string;
}

const slotCount = 16_384;

/** Starts the masters, shares the slots out and waits until all of them call the cluster whole. */
export async function startRedisCluster(options: RedisOptions = {}): Promise<RedisCluster> {
  await using started = new AsyncDisposableStack();
  const masters: RedisServer[] = [];
  const busPorts: number[] = [];
  for (let index = 0; index < 3; index += 1) {
    const busPort = await freePort();
    const config = ["cluster-enabled yes", `cluster-port ${busPort}`, "cluster-node-timeout 5000"];
    busPorts.push(busPort);
    masters.push(started.use(await startRedis({ ...options, config: [...config, ...(options.config ?? [])] })));
  }
  for (const [index, master] of masters.entries()) {
    const from = Math.floor((slotCount * index) / masters.length);
    const to = Math.floor((slotCount * (index + 1)) / masters.length) - 1;
    await using connection = await master.connect();
    await connection.command("CLUSTER", "SET-CONFIG-EPOCH", index + 1);
    await connection.command("CLUSTER", "ADDSLOTSRANGE", from, to);
    // Each meets the one before it; the rest they learn from each other.
    const met = masters[index - 1];
    if (met !== undefined) await connection.command("CLUSTER", "MEET", "127.0.0.1", met.port, busPorts[index - 1] ?? 0);
  }
  for (const master of masters) await untilWhole(master, masters.length);
  const owned = started.move();
  return {
    masters,
    url: (database = 0) => {
      const login = options.password === undefined ? "" : `:${encodeURIComponent(options.password)}@`;
      return `redis://${login}${masters.map((master) => `127.0.0.1:${master.port}`).join(",")}/${database}`;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function untilWhole(master: RedisServer, count: number): Promise<void> {
  await until("the cluster to be whole", master, async () => {
    const info = await master.command("CLUSTER", "INFO");
    return info.includes("cluster_state:ok") && info.includes(`cluster_known_nodes:${count}`);
  });
}
