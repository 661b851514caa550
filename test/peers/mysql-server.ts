/** What servers of MariaDB and of MySQL have in common in the tests. */
import { connect } from "node:net";
import { join } from "node:path";
import { runCommand } from "./run-command.ts";
import { startServer } from "./server-process.ts";
import type { ServerProcess } from "./server-process.ts";
import type { SystemUser } from "./system-user.ts";
import type { TlsFiles } from "./tls-files.ts";

export interface MysqlOptions {
  /** TCP takes TLS and plain connections; `"only"` refuses plain ones. */
  tls?: boolean | "only";
  /** Whether the server takes `LOAD DATA LOCAL`. Off when absent, which is MySQL's default and not MariaDB's. */
  localInfile?: boolean;
  /** Whether it writes a binary log. Off when absent. */
  binaryLog?: boolean;
  /** Server variables, over the tests' own: `{ wait_timeout: 2 }`. */
  config?: Record<string, string | number>;
}

export interface MysqlServer extends ServerProcess {
  readonly port: number;
  readonly socketPath: string;
  readonly tls: TlsFiles | undefined;
  /** An empty database, and a user with all privileges on it and no others. */
  newDatabase: () => Promise<MysqlDatabase>;
  /** Runs SQL as root over the Unix socket; gives lines of fields with tabs between them. */
  query: (sql: string, database?: string) => Promise<string>;
}

export interface MysqlDatabase {
  name: string;
  user: string;
  password: string;
  /** As JuiceFS takes it: `mysql://user:password@(127.0.0.1:PORT)/name`, with `?tls=skip-verify` where the server has TLS. */
  url: string;
  /** The same with other parts. */
  urlWith: (parts: MysqlUrlParts) => string;
  /** `mysql://user:password@unix(/path)/name`. */
  socketUrl: string;
  query: (sql: string) => Promise<string>;
}

export interface MysqlUrlParts {
  user?: string;
  password?: string;
  /** Another port, of a proxy. */
  port?: number;
  parameters?: Record<string, string>;
}

export interface MysqlLaunch {
  name: string;
  file: string;
  /** Before the options. */
  arguments: readonly string[];
  folder: string;
  port: number;
  user: SystemUser | undefined;
  tls: TlsFiles | undefined;
  /** The command line client. */
  client: string;
  settings: Record<string, string | number>;
}

/** Variables of both servers that make them small and quick. */
export function commonSettings(options: MysqlOptions, tls: TlsFiles | undefined): Record<string, string | number> {
  return {
    "bind-address": "127.0.0.1",
    "skip-name-resolve": "ON",
    "performance-schema": "OFF",
    "character-set-server": "utf8mb4",
    "local-infile": options.localInfile === true ? "ON" : "OFF",
    "innodb-flush-log-at-trx-commit": 0,
    "innodb-doublewrite": "OFF",
    "innodb-buffer-pool-size": "128M",
    "max-allowed-packet": "64M",
    ...(options.binaryLog === true ? { "log-bin": "binlog", "server-id": 1, "sync-binlog": 0 } : {}),
    ...(tls === undefined
      ? {}
      : { "ssl-ca": tls.authority, "ssl-cert": tls.serverCertificate, "ssl-key": tls.serverKey }),
    ...(options.tls === "only" ? { "require-secure-transport": "ON" } : {}),
  };
}

/** Starts the server on its prepared `data` folder and waits until it answers. */
export async function launchMysql(launch: MysqlLaunch): Promise<MysqlServer> {
  const { folder, port, tls } = launch;
  const socketPath = join(folder, "mysql.sock");
  const settings = {
    datadir: join(folder, "data"),
    port,
    socket: socketPath,
    "pid-file": join(folder, "pid"),
    tmpdir: folder,
    // Not where the package would have it, which may not exist.
    "secure-file-priv": folder,
    ...launch.settings,
  };
  const query = (sql: string, database = "mysql"): Promise<string> =>
    runCommand(
      launch.client,
      ["--no-defaults", "-u", "root", "-S", socketPath, "--default-character-set=utf8mb4", "-N", "-B", database],
      { input: sql },
    );
  const server = await startServer({
    name: launch.name,
    file: launch.file,
    arguments: [...launch.arguments, ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`)],
    folder,
    user: launch.user,
    isReady: () => greets(socketPath),
  });
  let databasesGiven = 0;
  return Object.assign(server, {
    port,
    socketPath,
    tls,
    query,
    newDatabase: async () => {
      databasesGiven += 1;
      const name = `volume${databasesGiven}`;
      const user = `user${databasesGiven}`;
      const password = `password${databasesGiven}`;
      await query(
        `create database ${name}; create user ${user}@'%' identified by '${password}'; grant all on ${name}.* to ${user}@'%'`,
      );
      const place = { port, tls, socketPath };
      return databaseAt({ name, user, password, query: (sql) => query(sql, name) }, place);
    },
  });
}

function databaseAt(
  known: Omit<MysqlDatabase, "url" | "urlWith" | "socketUrl">,
  place: { port: number; tls: TlsFiles | undefined; socketPath: string },
): MysqlDatabase {
  const urlWith = (parts: MysqlUrlParts): string => {
    const parameters = new URLSearchParams({
      ...(place.tls === undefined ? {} : { tls: "skip-verify" }),
      ...parts.parameters,
    });
    const query = parameters.size === 0 ? "" : `?${parameters.toString()}`;
    const login = `${parts.user ?? known.user}:${parts.password ?? known.password}`;
    return `mysql://${login}@(127.0.0.1:${parts.port ?? place.port})/${known.name}${query}`;
  };
  const socketUrl = `mysql://${known.user}:${known.password}@unix(${place.socketPath})/${known.name}`;
  return { ...known, url: urlWith({}), urlWith, socketUrl };
}

/** Whether a server greets whoever connects to the socket, as this protocol's servers do. */
function greets(socketPath: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(socketPath);
    const end = (greeted: boolean): void => {
      socket.destroy();
      done(greeted);
    };
    socket.setTimeout(2000, () => end(false));
    socket.once("data", () => end(true));
    socket.once("error", () => end(false));
    socket.once("close", () => end(false));
  });
}
