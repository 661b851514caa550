/** The engines that a volume's metadata can be on, each as tests need it: a running server, empty places on it, and who is connected. */
import { readdirSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { startMariadb } from "../peers/mariadb.ts";
import { startPostgres } from "../peers/postgres.ts";
import { startRedis } from "../peers/redis.ts";
import { serverFolder } from "../peers/server-process.ts";

export const engineNames = ["sqlite", "redis", "postgres", "mysql"] as const;
export type EngineName = (typeof engineNames)[number];

export interface Engine extends AsyncDisposable {
  readonly name: EngineName;
  /** The metadata URL of a place that no volume was in yet. */
  newPlace(): Promise<string>;
  /** What a place holds that its engine lists: names of tables or keys; nothing when it is empty. */
  contents(url: string): Promise<string[]>;
  /** What of this process, or of those it started, is connected to the places: descriptions to compare and to print. */
  connections(): Promise<string[]>;
}

/** Starts an engine's server; disposing of it ends the server and removes all its places. */
export function openEngine(name: EngineName): Promise<Engine> {
  return openers[name]();
}

/** Starts several engines one after another, as the machine is small; disposing ends them all. */
export async function openEngines(names: readonly EngineName[] = engineNames): Promise<Engines> {
  await using stack = new AsyncDisposableStack();
  const opened = new Map<EngineName, Engine>();
  for (const name of names) opened.set(name, stack.use(await openEngine(name)));
  const moved = stack.move();
  return {
    on: (name) => {
      const engine = opened.get(name);
      if (engine === undefined) throw new Error(`${name} was not started`);
      return engine;
    },
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

export interface Engines extends AsyncDisposable {
  on(name: EngineName): Engine;
}

const redisDatabases = 200;

const openers: Readonly<Record<EngineName, () => Promise<Engine>>> = {
  async sqlite() {
    const folder = serverFolder("sqlite", undefined);
    let given = 0;
    return {
      name: "sqlite",
      newPlace: async () => `sqlite3://${join(folder, `volume-${++given}.db`)}`,
      contents: async (url) => readdirSync(folder).filter((name) => join(folder, name).startsWith(pathIn(url))),
      connections: async () => openFilesBelow(folder),
      [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true, force: true }),
    };
  },

  async redis() {
    const server = await startRedis({
      password: "redis-secret",
      // It would save itself, as a server should that holds a volume, only never during a test.
      config: [`databases ${redisDatabases}`, "save 36000 100000000"],
    });
    let given = 0;
    return {
      name: "redis",
      newPlace: async () => {
        given += 1;
        if (given === redisDatabases) throw new Error("this Redis has no empty database left");
        return server.url(given);
      },
      async contents(url) {
        await using connection = await server.connect(Number(new URL(url).pathname.slice(1)));
        const keys = await connection.command("KEYS", "*");
        return Array.isArray(keys) ? keys.map(String) : [];
      },
      async connections() {
        const clients = (await server.command("CLIENT", "LIST")).trim().split("\n");
        // The asking connection comes through the socket, everything else through the port.
        return clients.filter((line) => !line.includes(server.socketPath));
      },
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },

  async postgres() {
    const server = await startPostgres();
    return {
      name: "postgres",
      newPlace: async () => (await server.newDatabase()).url,
      contents: async (url) =>
        linesOf(
          await server.query(
            "select n.nspname || '.' || relname from pg_class c join pg_namespace n on n.oid = relnamespace where nspname !~ '^(pg_|information_schema)'",
            new URL(url).pathname.slice(1),
          ),
        ),
      async connections() {
        const rows = await server.query(
          `select datname, usename, state, query from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`,
        );
        return linesOf(rows);
      },
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },

  async mysql() {
    const server = await startMariadb();
    return {
      name: "mysql",
      newPlace: async () => (await server.newDatabase()).url,
      contents: async (url) => linesOf(await server.query("show tables", /\/([^/?]*)(?:\?|$)/.exec(url)?.[1] ?? "")),
      async connections() {
        const rows = await server.query(
          "select user, db, command, info from information_schema.processlist where id <> connection_id() and user <> 'system user'",
        );
        return linesOf(rows);
      },
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
};

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

function pathIn(url: string): string {
  return url.slice("sqlite3://".length).split("?")[0];
}

/** Files below a folder that this process has open. */
function openFilesBelow(folder: string): string[] {
  return readdirSync("/proc/self/fd").flatMap((descriptor) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${descriptor}`);
      return path.startsWith(`${folder}/`) ? [path] : [];
    } catch {
      // The descriptor that listed the folder is gone by now.
      return [];
    }
  });
}
