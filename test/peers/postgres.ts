/** Real PostgreSQL servers for tests, and hot standbys of them. Nothing is synced to disk, and statistics are nobody's but ours. */
import { appendFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { copyDataTemplate } from "./data-template.ts";
import { freePort } from "./free-port.ts";
import { postgresFolder } from "./postgres-programs.ts";
import type { PostgresVersion } from "./postgres-programs.ts";
import { runCommand } from "./run-command.ts";
import { serverFolder, startServer } from "./server-process.ts";
import type { ServerProcess } from "./server-process.ts";
import { serverUser } from "./system-user.ts";
import { placeTlsFiles } from "./tls-files.ts";
import type { TlsFiles } from "./tls-files.ts";

export interface PostgresOptions {
  /** The machine's own when absent. */
  version?: PostgresVersion;
  /** TCP takes TLS and plain connections; `"only"` refuses plain ones, `"client"` also demands a client certificate. */
  tls?: boolean | "only" | "client";
  /** Settings of postgresql.conf, over the tests' own. */
  config?: Record<string, string | number>;
}

export interface PostgresServer extends ServerProcess {
  readonly port: number;
  /** The folder of the Unix socket; there every user is trusted, `postgres` is the superuser. */
  readonly socketFolder: string;
  readonly tls: TlsFiles | undefined;
  /** An empty database, and a user who owns it and has no other rights. */
  newDatabase: () => Promise<PostgresDatabase>;
  /** Runs SQL as the superuser; gives lines of fields with `|` between them. */
  query: (sql: string, database?: string) => Promise<string>;
}

export interface PostgresDatabase {
  name: string;
  user: string;
  password: string;
  /** As JuiceFS takes it, by TCP with the password: `postgres://…/name?sslmode=disable`, or `verify-full` with TLS. */
  url: string;
  /** The same with other parts. Parameters of the query are added: `{ search_path: "x" }`. */
  urlWith: (parts: PostgresUrlParts) => string;
  query: (sql: string) => Promise<string>;
}

export interface PostgresUrlParts {
  user?: string;
  password?: string;
  /** Another port, of a proxy or a standby. */
  port?: number;
  parameters?: Record<string, string>;
}

/** Starts a server of its own and waits until it answers. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const user = serverUser("postgres");
  const folder = serverFolder("postgres", user);
  const programs = postgresFolder(options.version ?? "system");
  const initdb = join(programs, "initdb");
  await copyDataTemplate(
    {
      name: "postgres",
      key: [initdb, String(statSync(initdb).mtimeMs), ...initOptions],
      user,
      make: async (place) => {
        await runCommand(initdb, [...initOptions, "-D", join(place, "data")], { user, cwd: place });
      },
    },
    folder,
  );
  const tls = options.tls === undefined || options.tls === false ? undefined : await placeTlsFiles(folder, user);
  writeFileSync(join(folder, "data", "pg_hba.conf"), accessRules(options.tls));
  return launch({ folder, programs, port: await freePort(), tls }, options);
}

/** A hot standby that follows the server by streaming; waits until it takes queries. */
export async function startPostgresStandby(
  primary: PostgresServer,
  options: Omit<PostgresOptions, "tls"> = {},
): Promise<PostgresServer> {
  const user = serverUser("postgres");
  const folder = serverFolder("postgres", user);
  const programs = postgresFolder(options.version ?? "system");
  const from = ["-h", primary.socketFolder, "-p", String(primary.port), "-U", "postgres"];
  try {
    await runCommand(
      join(programs, "pg_basebackup"),
      [...from, "-D", join(folder, "data"), "-R", "-X", "stream", "-c", "fast", "--no-sync"],
      { user, cwd: folder },
    );
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return launch({ folder, programs, port: await freePort(), tls: undefined }, options);
}

const initOptions = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"] as const;

const ownConfig: Record<string, string | number> = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  autovacuum: "off",
  shared_buffers: "64MB",
  max_wal_size: "1GB",
  max_connections: 50,
  password_encryption: "scram-sha-256",
  log_min_messages: "warning",
  timezone: "UTC",
  logging_collector: "off",
};

interface Place {
  folder: string;
  programs: string;
  port: number;
  tls: TlsFiles | undefined;
}

async function launch(place: Place, options: PostgresOptions): Promise<PostgresServer> {
  const { folder, port, tls } = place;
  const settings: Record<string, string | number> = {
    ...ownConfig,
    listen_addresses: "127.0.0.1",
    port,
    unix_socket_directories: folder,
    ...(tls === undefined ? {} : tlsSettings(tls)),
    ...options.config,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'`);
  appendFileSync(join(folder, "data", "postgresql.conf"), `\n${lines.join("\n")}\n`);
  const query = (sql: string, database = "postgres"): Promise<string> =>
    runCommand("psql", ["-h", folder, "-p", String(port), "-U", "postgres", "-d", database, ...queryOptions], {
      input: sql,
      environment: { PGOPTIONS: "--client-min-messages=warning --statement-timeout=0 --lock-timeout=0" },
    });
  const server = await startServer({
    name: "PostgreSQL",
    file: join(place.programs, "postgres"),
    arguments: ["-D", join(folder, "data")],
    folder,
    user: serverUser("postgres"),
    // An immediate shutdown: as fast as a kill, but it gives its shared memory back.
    stopSignal: "SIGQUIT",
    isReady: async () => (await query("select 1")).trim() === "1",
  });
  let databasesGiven = 0;
  return Object.assign(server, {
    port,
    socketFolder: folder,
    tls,
    query,
    newDatabase: async () => {
      databasesGiven += 1;
      const name = `volume${databasesGiven}`;
      const user = `user${databasesGiven}`;
      const password = `password${databasesGiven}`;
      await query(
        `create user ${user} password '${password}'; create database ${name} owner ${user} template template0`,
      );
      return databaseAt({ name, user, password, port, tls, query: (sql) => query(sql, name) });
    },
  });
}

type KnownDatabase = Omit<PostgresDatabase, "url" | "urlWith"> & { port: number; tls: TlsFiles | undefined };

function databaseAt(known: KnownDatabase): PostgresDatabase {
  const { name, user, password, tls, query } = known;
  const urlWith = (parts: PostgresUrlParts): string => {
    const parameters = new URLSearchParams({
      ...(tls === undefined
        ? { sslmode: "disable" }
        : {
            sslmode: "verify-full",
            sslrootcert: tls.authority,
            sslcert: tls.clientCertificate,
            sslkey: tls.clientKey,
          }),
      ...parts.parameters,
    });
    const login = `${encodeURIComponent(parts.user ?? user)}:${encodeURIComponent(parts.password ?? password)}`;
    return `postgres://${login}@127.0.0.1:${parts.port ?? known.port}/${name}?${parameters.toString()}`;
  };
  return { name, user, password, url: urlWith({}), urlWith, query };
}

const queryOptions = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"] as const;

function tlsSettings(tls: TlsFiles): Record<string, string> {
  return { ssl: "on", ssl_ca_file: tls.authority, ssl_cert_file: tls.serverCertificate, ssl_key_file: tls.serverKey };
}

function accessRules(tls: PostgresOptions["tls"]): string {
  const kind = tls === "only" || tls === "client" ? "hostssl" : "host";
  const certificate = tls === "client" ? " clientcert=verify-ca" : "";
  return [
    "local all all trust",
    "local replication all trust",
    `${kind} all all 127.0.0.1/32 scram-sha-256${certificate}`,
    "host replication all 127.0.0.1/32 trust",
    "",
  ].join("\n");
}
