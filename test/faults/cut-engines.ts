/** Engines on servers as the tests of lost connections need them: a place's URL leads through any port, and places are fresh. */
import { restoreLockKey } from "../../src/engines/juicefs/redis/restore-marker.ts";
import { startMariadb } from "../peers/mariadb.ts";
import { startPostgres } from "../peers/postgres.ts";
import { startRedis } from "../peers/redis.ts";
import type { ServerProcess } from "../peers/server-process.ts";

export const cutEngineNames = ["redis", "postgres", "mysql"] as const;
export type CutEngineName = (typeof cutEngineNames)[number];

export interface CutEngine extends AsyncDisposable {
  readonly server: ServerProcess & { readonly port: number };
  /** An empty place for a volume. What earlier places hold may be gone afterwards. */
  newPlace: () => Promise<Place>;
  /** Makes what a lost restore holds a place with, so that no other begins beside it, expire at once; in Redis it takes half a minute. */
  expireLocks: () => Promise<void>;
  /** Brings to disk what is not there anyway: Redis' data. */
  save: () => Promise<void>;
}

export interface Place {
  /** Through the port of a proxy, or straight to the server; with further parameters. */
  url: (port?: number, parameters?: Record<string, string>) => string;
  /** What no message may show. */
  password: string;
}

export interface CutEngineOptions {
  /** Lines of redis.conf, or settings of the SQL servers. */
  redisConfig?: readonly string[];
  sqlConfig?: Record<string, string | number>;
}

export function startCutEngine(name: CutEngineName, options: CutEngineOptions = {}): Promise<CutEngine> {
  return starters[name](options);
}

const redisDatabase = 3;

const starters: Readonly<Record<CutEngineName, (options: CutEngineOptions) => Promise<CutEngine>>> = {
  async redis({ redisConfig = [] }) {
    const password = "secret-of-redis";
    const server = await startRedis({ password, config: redisConfig });
    return {
      server,
      newPlace: async () => {
        // A full synchronisation carries all databases: those of earlier tests would only cost time.
        await server.command("FLUSHALL");
        const url = (port = server.port, parameters: Record<string, string> = {}): string =>
          withParameters(`redis://:${password}@127.0.0.1:${port}/${redisDatabase}`, parameters);
        return { url, password };
      },
      expireLocks: async () => {
        await using connection = await server.connect(redisDatabase);
        await connection.command("DEL", restoreLockKey);
      },
      save: async () => {
        await server.command("SAVE");
      },
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },

  async postgres({ sqlConfig = {} }) {
    const server = await startPostgres({ config: sqlConfig });
    return {
      server,
      newPlace: async () => {
        const database = await server.newDatabase();
        return {
          url: (port = server.port, parameters = {}) => database.urlWith({ port, parameters }),
          password: database.password,
        };
      },
      expireLocks: async () => undefined,
      save: async () => undefined,
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },

  async mysql({ sqlConfig = {} }) {
    const server = await startMariadb({ localInfile: true, config: sqlConfig });
    return {
      server,
      newPlace: async () => {
        const database = await server.newDatabase();
        return {
          url: (port = server.port, parameters = {}) => database.urlWith({ port, parameters }),
          password: database.password,
        };
      },
      expireLocks: async () => undefined,
      save: async () => undefined,
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
};

function withParameters(url: string, parameters: Record<string, string>): string {
  const query = new URLSearchParams(parameters);
  return query.size === 0 ? url : `${url}?${query.toString()}`;
}
