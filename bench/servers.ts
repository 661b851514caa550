/** The database servers that benchmarks run against: the tests' own, each with one volume in it and room for copies. */
import { join } from "node:path";
import { startMariadb } from "../test/peers/mariadb.ts";
import { peerPath } from "../test/peers/peers.ts";
import { startPostgres } from "../test/peers/postgres.ts";
import { startRedis } from "../test/peers/redis.ts";
import { runMeasured } from "./measure.ts";
import type { Contender } from "./measure.ts";

export const serverNames = ["postgres", "mariadb", "redis"] as const;
export type ServerName = (typeof serverNames)[number];

export interface BenchServer extends AsyncDisposable {
  readonly name: ServerName;
  /** Where the volume is that is read. */
  readonly url: string;
  /** An empty place for a copy; what the one before held is dropped. */
  emptyPlace(): Promise<string>;
  /** The least that reading can take: the engine's own client reads the three large tables, or the whole server, to nowhere. */
  limit(folder: string): Contender;
}

/** Starts a server and loads a binary dump into it with the real JuiceFS. */
export async function openBenchServer(name: ServerName, dump: string): Promise<BenchServer> {
  const server = await starters[name]();
  try {
    const load = await runMeasured(peerPath("juicefs-1.4"), ["load", "--binary", server.url, dump]);
    process.stderr.write(`loaded the volume into ${name}: ${(load.wallMs / 1000).toFixed(1)} s\n`);
    return server;
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

const tables = ["node", "edge", "chunk"];

const starters: Readonly<Record<ServerName, () => Promise<BenchServer>>> = {
  async postgres() {
    const server = await startPostgres({ config: { shared_buffers: "512MB", max_wal_size: "4GB", autovacuum: "on" } });
    const volume = await server.newDatabase();
    let last: string | undefined;
    const copies = tables.map((table) => `-c "COPY jfs_${table} TO STDOUT (FORMAT binary)"`).join(" ");
    return {
      name: "postgres",
      url: volume.url,
      async emptyPlace() {
        if (last !== undefined) await server.query(`drop database ${last}`);
        const place = await server.newDatabase();
        last = place.name;
        return place.url;
      },
      limit: () => shell("psql: three COPYs", `psql "${volume.url}" ${copies} > /dev/null`),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },

  async mariadb() {
    const server = await startMariadb({ localInfile: true, config: { "innodb-buffer-pool-size": "1G" } });
    const volume = await server.newDatabase();
    let last: string | undefined;
    const selects = tables.map((table) => `SELECT * FROM jfs_${table};`).join(" ");
    return {
      name: "mariadb",
      url: volume.url,
      async emptyPlace() {
        if (last !== undefined) await server.query(`drop database ${last}`);
        const place = await server.newDatabase();
        last = place.name;
        return place.url;
      },
      limit: () =>
        shell(
          "mariadb: three SELECTs",
          `mariadb --no-defaults --socket=${server.socketPath} -u root --quick -N -B ${volume.name} -e "${selects}" > /dev/null`,
        ),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },

  async redis() {
    const server = await startRedis();
    return {
      name: "redis",
      url: server.url(1),
      async emptyPlace() {
        await using connection = await server.connect(2);
        await connection.command("FLUSHDB");
        return server.url(2);
      },
      limit: (folder) => ({
        name: "redis-cli --rdb",
        run: () => runMeasured("redis-cli", ["-p", String(server.port), "--rdb", join(folder, "limit.rdb")]),
      }),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
};

function shell(name: string, line: string): Contender {
  return { name, run: () => runMeasured("sh", ["-c", line]) };
}
