import { CairnError } from "../../../model/errors.ts";
import type { MysqlAddress, TlsMode } from "../../../protocols/mysql/log-in.ts";

/** A JuiceFS metadata URL of MySQL or MariaDB, taken apart as JuiceFS does (`pkg/meta/sql.go`, `sql_mysql.go`; go-sql-driver's `dsn.go`). */
export interface MysqlUrl {
  readonly address: MysqlAddress;
  /** `jfs_`, or `jfs_abc_` with `table_prefix=abc`. */
  readonly tablePrefix: string;
  /** For messages: without the password. */
  readonly location: string;
}

const scheme = "mysql://";
const defaultPort = 3306;
const defaultSocket = "/tmp/mysql.sock";
const defaultConnectMs = 10_000;
const defaultSilenceMs = 120_000;

/** Options of JuiceFS and its driver that matter to a client only, and variables of the session that are ours to set. */
const clientOptions = new Set([
  "max_open_conns",
  "max_idle_conns",
  "max_idle_time",
  "max_life_time",
  "allowAllFiles",
  "allowFallbackToPlaintext",
  "allowNativePasswords",
  "allowOldPasswords",
  "checkConnLiveness",
  "clientFoundRows",
  "columnsWithAlias",
  "compress",
  "connectionAttributes",
  "interpolateParams",
  "loc",
  "maxAllowedPacket",
  "multiStatements",
  "parseTime",
  "rejectReadOnly",
  "timeTruncate",
  "writeTimeout",
  "autocommit",
  "transaction_isolation",
  "tx_isolation",
  "time_zone",
  "sql_mode",
  "wait_timeout",
  "interactive_timeout",
  "net_read_timeout",
  "net_write_timeout",
  "lock_wait_timeout",
  "innodb_lock_wait_timeout",
  "max_execution_time",
  "max_statement_time",
]);

const ownOptions = new Set([
  "table_prefix",
  "tls",
  "timeout",
  "readTimeout",
  "charset",
  "collation",
  "allowCleartextPasswords",
]);

/**
 * Parses `mysql://user:password@(host:3306)/db?table_prefix=abc&tls=true`, `…@tcp(host:port)/db`, `…@unix(/path)/db`. Throws
 * `meta-url-invalid`; no message holds the password, or text that may be a part of it: `/`, `@` and `?` in it move the borders.
 */
export function parseMysqlUrl(url: string): MysqlUrl {
  if (!url.startsWith(scheme)) throw invalid(`it does not begin with ${scheme}`);
  const rest = url.slice(scheme.length);
  const mark = rest.indexOf("?");
  const name = mark < 0 ? rest : rest.slice(0, mark);
  const options = new URLSearchParams(mark < 0 ? "" : rest.slice(mark + 1));
  const slash = name.lastIndexOf("/");
  if (slash < 0) throw invalid("it names no database: a slash and the name are missing after the address");
  const database = unescaped(name.slice(slash + 1));
  if (database === "") throw invalid("it names no database");
  const before = name.slice(0, slash);
  const at = before.lastIndexOf("@");
  const login = at < 0 ? "" : before.slice(0, at);
  const colon = login.indexOf(":");
  const user = colon < 0 ? login : login.slice(0, colon);
  if (user === "") throw invalid("it names no user");
  const password = colon < 0 ? "" : passwordOf(login.slice(colon + 1));
  const endpoint = endpointOf(before.slice(at + 1));
  for (const option of options.keys()) {
    if (!ownOptions.has(option) && !clientOptions.has(option))
      throw invalid(
        `it has ${/^\w+$/.test(option) ? `the unknown option ${option}` : "an option without a proper name"}`,
      );
  }
  requireUtf8(options);
  const prefix = options.get("table_prefix") ?? "";
  if (!/^[\w.-]*$/.test(prefix))
    throw invalid("its table_prefix has characters other than letters, digits, `_`, `.`, `-`");
  return {
    address: {
      ...endpoint,
      user,
      password,
      database,
      tls: tlsOf(options.get("tls")),
      allowCleartext: /^(?:1|t|true)$/i.test(options.get("allowCleartextPasswords") ?? ""),
      connectTimeoutMs: milliseconds("timeout", options.get("timeout")) ?? defaultConnectMs,
      silenceMs: milliseconds("readTimeout", options.get("readTimeout")) ?? defaultSilenceMs,
    },
    tablePrefix: prefix === "" ? "jfs_" : `jfs_${prefix}_`,
    location: `${scheme}${user}@${before.slice(at + 1)}/${database}${prefix === "" ? "" : `?table_prefix=${prefix}`}`,
  };
}

/**
 * JuiceFS decodes a password as the password of a URL where it could be one, and takes it as it stands otherwise
 * (`recoveryMysqlPwd`).
 */
function passwordOf(written: string): string {
  if (!/^[\w\-.:~!$&'()*+,;=%@]*$/.test(written)) return written;
  try {
    return decodeURIComponent(written);
  } catch {
    return written;
  }
}

function unescaped(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    throw invalid("its database name has an invalid %-escape");
  }
}

/** `net(address)`: TCP when `net` is not given; a Unix socket with `unix`. */
function endpointOf(written: string): Pick<MysqlAddress, "host" | "port" | "socketPath"> {
  const match = /^([^()]*)(?:\((.*)\))?$/.exec(written);
  if (match === null) throw invalid("its address is not in parentheses");
  const [, net, address = ""] = match;
  if (net === "unix")
    return { host: "localhost", port: defaultPort, socketPath: address === "" ? defaultSocket : address };
  if (net !== "" && net !== "tcp") {
    throw invalid("its address has an unknown network; a host stands in parentheses: @(host:3306)/");
  }
  if (address === "") return { host: "127.0.0.1", port: defaultPort };
  const parts = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$/.exec(address);
  if (parts === null) throw invalid("its address is not host:port");
  const port = parts[3] === undefined ? defaultPort : Number(parts[3]);
  if (port < 1 || port > 65535) throw invalid("its port is not one of 1 to 65535");
  const host = parts[1] ?? parts[2] ?? "";
  return { host: host === "" ? "127.0.0.1" : host, port };
}

function tlsOf(value: string | null): TlsMode {
  if (value === null || value === "" || /^(?:0|f|false)$/i.test(value)) return "off";
  if (/^(?:1|t|true)$/i.test(value)) return "verify";
  const mode = value.toLowerCase();
  if (mode === "skip-verify" || mode === "preferred") return mode;
  throw invalid("its option tls is none of true, false, skip-verify, preferred");
}

/** Another charset of the connection would show names otherwise than the clients that wrote them see them. */
function requireUtf8(options: URLSearchParams): void {
  for (const option of ["charset", "collation"]) {
    const value = options.get(option) ?? "";
    if (value !== "" && !/^utf8/i.test(value))
      throw invalid(`its option ${option} has another value than utf8…; only utf8mb4 is supported`);
  }
}

const unitMs = new Map([
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
]);

/** A duration as Go writes it: `30s`, `1m30s`, `500ms`; `0` means without limit, and is left to us. */
function milliseconds(option: string, value: string | null): number | undefined {
  if (value === null || value === "" || value === "0") return undefined;
  let total = 0;
  const rest = value.replace(/(\d+(?:\.\d+)?)(ms|s|m|h)/g, (_all, number: string, unit: string) => {
    total += Number(number) * (unitMs.get(unit) ?? 0);
    return "";
  });
  if (rest !== "") throw invalid(`its option ${option} is no duration like 30s`);
  return total === 0 ? undefined : Math.ceil(total);
}

function invalid(what: string): CairnError {
  return new CairnError("meta-url-invalid", `the URL is no MySQL metadata URL: ${what}`, {
    next: "give it as mysql://user:password@(host:3306)/database, or mysql://user:password@unix(/path/to.sock)/database",
    exit: "wrongUse",
  });
}
