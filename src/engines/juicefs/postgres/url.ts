import { existsSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import { join } from "node:path";
import { CairnError } from "../../../model/errors.ts";

/** How a connection is protected, in the words of PostgreSQL's own clients. */
export const tlsModes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;
export type TlsMode = (typeof tlsModes)[number];

/** Which of several hosts will do. */
export const sessionKinds = ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"] as const;
export type SessionKind = (typeof sessionKinds)[number];

export interface PostgresHost {
  /** A name, an address, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
}

/** A JuiceFS metadata URL of PostgreSQL, taken apart as JuiceFS and its driver (pgx) do. May be sent to a thread; holds secrets. */
export interface PostgresUrl {
  /** Tried one after the other. */
  readonly hosts: readonly PostgresHost[];
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
  readonly tlsMode: TlsMode;
  /** Paths of PEM files. */
  readonly rootCertificate: string | undefined;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  readonly keyPassword: string | undefined;
  readonly sessionKind: SessionKind;
  readonly connectTimeoutMs: number;
  /** The schema that the URL names with `search_path`; else the server decides. */
  readonly searchPath: string | undefined;
  /** `jfs_`, or `jfs_abc_` with `table_prefix=abc`. */
  readonly tablePrefix: string;
  /** For messages, without secrets. */
  readonly location: string;
}

/** Options of JuiceFS, of its driver and of sessions that change nothing in what a backup reads or a restore writes. */
const ignoredOptions = new Set([
  "max_open_conns",
  "max_idle_conns",
  "max_idle_time",
  "max_life_time",
  "application_name",
  "fallback_application_name",
  "client_encoding",
  "timezone",
  "TimeZone",
  "datestyle",
  "statement_timeout",
  "lock_timeout",
  "idle_in_transaction_session_timeout",
  "default_query_exec_mode",
  "statement_cache_capacity",
  "description_cache_capacity",
  "min_read_buffer_size",
  "channel_binding",
  "gssencmode",
  "krbsrvname",
  "krbspn",
  "sslsni",
  "sslnegotiation",
  "keepalives",
  "keepalives_idle",
]);

/** Options that stand for a part of the URL, or that are used. */
const usedOptions = new Set([
  "host",
  "port",
  "user",
  "password",
  "dbname",
  "database",
  "sslmode",
  "sslrootcert",
  "sslcert",
  "sslkey",
  "sslpassword",
  "target_session_attrs",
  "connect_timeout",
  "search_path",
  "table_prefix",
]);

const connectTimeoutMs = 15_000;

/** Parses `postgres://user:password@host:5432/database?sslmode=…&search_path=…&table_prefix=…`. Throws `meta-url-invalid`. */
export function parsePostgresUrl(url: string): PostgresUrl {
  const match = /^postgres(?:ql)?:\/\/(?:([^/?#]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/is.exec(url);
  if (match === null) throw invalid("it is not of the form postgres://user@host:port/database");
  const [, userInfoText = "", hostText, databaseText = "", queryText = ""] = match;
  // What stands before an `@` further on is the rest of a password that was cut at its / or ?.
  if (databaseText.includes("@")) throw invalid("an @ follows the first /");
  const options = new URLSearchParams(queryText);
  for (const name of options.keys()) {
    if (!usedOptions.has(name) && !ignoredOptions.has(name))
      throw invalid(`it has ${shown(name, queryText) ? `the unknown option "${name}"` : "an unknown option"}`);
    if (options.getAll(name).length > 1) throw invalid(`it has the option ${name} twice`);
  }
  const colon = userInfoText.indexOf(":");
  const user = options.get("user") ?? decode(colon < 0 ? userInfoText : userInfoText.slice(0, colon), "user", invalid);
  const givenPassword =
    options.get("password") ?? (colon < 0 ? "" : decode(userInfoText.slice(colon + 1), "password", invalid));
  const password = givenPassword === "" ? process.env["PGPASSWORD"] : givenPassword;
  const hosts = hostsOf(options.get("host"), options.get("port"), hostText);
  const namedUser = user === "" ? (process.env["PGUSER"] ?? userInfo().username) : user;
  const namedDatabase = options.get("dbname") ?? options.get("database") ?? decode(databaseText, "database", invalid);
  const database = namedDatabase === "" ? namedUser : namedDatabase;
  const prefix = options.get("table_prefix") ?? "";
  if (!/^[\w.-]*$/.test(prefix))
    throw invalid("its table_prefix has characters other than letters, digits, `_`, `.`, `-`");
  const searchPath = options.get("search_path") ?? "";
  if (searchPath.includes(",")) throw invalid("its search_path names more than one schema");
  return {
    hosts,
    user: namedUser,
    password: password === "" ? undefined : password,
    database,
    ...tlsOf(options),
    sessionKind: oneOf(sessionKinds, options.get("target_session_attrs") ?? "any", "target_session_attrs"),
    connectTimeoutMs: timeoutOf(options.get("connect_timeout")),
    searchPath: searchPath === "" ? undefined : searchPath,
    tablePrefix: prefix === "" ? "jfs_" : `jfs_${prefix}_`,
    location: locationOf(hosts, database, searchPath, prefix),
  };
}

function decode(text: string, what: string, fail: (what: string) => CairnError): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw fail(`its ${what} has a % that begins no %XX`);
  }
}

const defaultPort = 5432;

function hostsOf(hostOption: string | null, portOption: string | null, authority: string): PostgresHost[] {
  const given = hostOption ?? "";
  const entries = (given === "" ? authority : given).split(",");
  const ports = portOption === null || portOption === "" ? [] : portOption.split(",");
  return entries.map((entry, at) => {
    // A bare IPv6 address stands in the option only; in the authority it has brackets.
    const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d*))?$/.exec(entry);
    const isBare = match === null && given !== "";
    if (match === null && !isBare) throw invalid("it has an unreadable host or port");
    const host = match === null ? entry : decode(match[1] ?? match[2] ?? "", "host", invalid);
    const portText = match?.[3] ?? ports[at] ?? ports[0] ?? "";
    const port = portText === "" ? defaultPort : Number(portText);
    if (!Number.isInteger(port) || port < 1 || port > 65535) throw invalid("its port is no number from 1 to 65535");
    return { host: host === "" ? "127.0.0.1" : host, port };
  });
}

function tlsOf(
  options: URLSearchParams,
): Pick<PostgresUrl, "tlsMode" | "rootCertificate" | "certificate" | "key" | "keyPassword"> {
  const mode = oneOf(tlsModes, options.get("sslmode") ?? process.env["PGSSLMODE"] ?? "prefer", "sslmode");
  // What PostgreSQL's clients take when nothing is said.
  const folder = join(homedir(), ".postgresql");
  const standard = (name: string): string | undefined =>
    existsSync(join(folder, name)) ? join(folder, name) : undefined;
  const certificate = options.get("sslcert") ?? standard("postgresql.crt");
  const key = options.get("sslkey") ?? standard("postgresql.key");
  if (certificate === undefined ? options.has("sslkey") : key === undefined)
    throw invalid("it has one of sslcert and sslkey without the other");
  const rootCertificate = options.get("sslrootcert") ?? standard("root.crt");
  return {
    // A named authority is there to be checked: so say libpq and pgx.
    tlsMode: mode === "require" && rootCertificate !== undefined ? "verify-ca" : mode,
    rootCertificate,
    certificate,
    key: certificate === undefined ? undefined : key,
    keyPassword: options.get("sslpassword") ?? undefined,
  };
}

function oneOf<Word extends string>(words: readonly Word[], text: string, option: string): Word {
  const word = words.find((candidate) => candidate === text);
  if (word === undefined) {
    const given = shown(text, "") ? `its ${option} is "${text}"` : `its ${option} is not known`;
    throw invalid(`${given}, and may be ${words.join(", ")}`);
  }
  return word;
}

function timeoutOf(text: string | null): number {
  if (text === null || text === "" || text === "0") return connectTimeoutMs;
  if (!/^\d{1,6}$/.test(text)) throw invalid("its connect_timeout is no number of seconds");
  return Number(text) * 1000;
}

function locationOf(hosts: readonly PostgresHost[], database: string, searchPath: string, prefix: string): string {
  const isSocket = hosts[0].host.startsWith("/");
  const place = hosts.map(({ host, port }) => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`)).join(",");
  const options = [
    ...(isSocket ? [`host=${hosts[0].host}`] : []),
    ...(searchPath === "" ? [] : [`search_path=${searchPath}`]),
    ...(prefix === "" ? [] : [`table_prefix=${prefix}`]),
  ];
  const query = options.length === 0 ? "" : `?${options.join("&")}`;
  return `postgres://${isSocket ? "" : place}/${encodeURIComponent(database)}${query}`;
}

/** Whether a word of the URL can be no part of a password that was cut at its `?`: then an `@` follows. */
function shown(word: string, query: string): boolean {
  return /^[\w-]+$/.test(word) && !query.includes("@");
}

/** The URL itself is not shown: it may hold a password anywhere. */
function invalid(what: string): CairnError {
  return new CairnError("meta-url-invalid", `the PostgreSQL metadata URL cannot be used: ${what}`, {
    next: "give it as postgres://user@host:5432/database?sslmode=…&search_path=…&table_prefix=…; in a password write / as %2F, ? as %3F, # as %23 (or give it in META_PASSWORD)",
    exit: "wrongUse",
  });
}
