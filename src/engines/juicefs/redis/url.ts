import { CairnError } from "../../../model/errors.ts";
import type { RedisAddress, RedisTls } from "../../../protocols/redis/dial.ts";
import { addressText } from "../../../protocols/redis/dial.ts";

/** How JuiceFS finds the server: the address itself, through sentinels, or through members of a cluster. */
export type RedisPlace =
  | { readonly kind: "server"; readonly address: RedisAddress }
  | { readonly kind: "sentinel"; readonly masterName: string; readonly sentinels: readonly RedisAddress[] }
  | { readonly kind: "cluster"; readonly members: readonly RedisAddress[] };

/**
 * A JuiceFS metadata URL of Redis, taken apart as JuiceFS does (`pkg/meta/redis.go`, `newRedisMeta`, and go-redis' `ParseURL`). A single
 * server may turn out to be a member of a cluster; only the server knows.
 */
export interface RedisUrl {
  readonly place: RedisPlace;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
  readonly tls: RedisTls | undefined;
  /** How long the server may say nothing while a reply is awaited; JuiceFS' default is 30 s. */
  readonly readTimeoutMs: number;
  /** For messages: without user, password and options. */
  readonly location: string;
}

/** Options of JuiceFS and of go-redis that matter to a client only, not to what a backup reads or a restore writes. */
const clientOptions = new Set([
  "min-retry-backoff",
  "min_retry_backoff",
  "max-retry-backoff",
  "max_retry_backoff",
  "write-timeout",
  "write_timeout",
  "route-read",
  "client-cache",
  "client-cache-size",
  "client_cache_size",
  "client-cache-expire",
  "client_cache_expire",
  "client-cache-preload",
  "client_cache_preload",
  "protocol",
  "client_name",
  // go-redis' own, which JuiceFS overwrites.
  "skip_verify",
  "max_retries",
  "dial_timeout",
  "pool_fifo",
  "pool_size",
  "pool_timeout",
  "min_idle_conns",
  "max_idle_conns",
  "max_active_conns",
  "max_concurrent_dials",
  "conn_max_idle_time",
  "idle_timeout",
  "conn_max_lifetime",
  "conn_max_lifetime_jitter",
  "max_conn_age",
]);

const usedOptions = new Set([
  "read-timeout",
  "read_timeout",
  "insecure-skip-verify",
  "tls-cert-file",
  "tls-key-file",
  "tls-ca-cert-file",
  "tls-server-name",
  "db",
]);

const defaultPort = 6379;
const defaultSentinelPort = 26379;
const defaultReadTimeoutMs = 30_000;

/**
 * Parses `redis[s]://[user:password@]host[:port]/db`, `…@master,sentinel1,sentinel2:26379/db`, `…@host1:port,host2:port/db`,
 * `unix://[user:password@]/path?db=1`, and the same without `redis://`. Throws `meta-url-invalid`, whose message holds no secret.
 */
export function parseRedisUrl(url: string): RedisUrl {
  if (!hasLateAt(url)) return parseParts(url);
  // In a fragment, which is cut off, it would go unnoticed.
  const isCut = /#.*@/s.test(url);
  try {
    if (!isCut) return parseParts(url);
  } catch {
    // Its message may hold a part of the password.
  }
  throw invalid("user and password have a /, ? or # that must be percent-encoded (%2F, %3F, %23)");
}

function parseParts(url: string): RedisUrl {
  const parts = splitUrl(url);
  const { scheme, authority, path, options } = parts;
  for (const name of options.keys()) {
    if (!clientOptions.has(name) && !usedOptions.has(name))
      throw invalid(`it has the unknown option ${JSON.stringify(name)}`);
  }
  const { user, password, hosts } = splitAuthority(authority);
  const login = { user, password, readTimeoutMs: readTimeoutOf(options) };
  const queryDatabase = databaseOf(options.get("db") ?? "");
  if (scheme === "unix") {
    if (hosts !== "") throw invalid("a unix URL has no host: the path of its socket begins with a third /");
    if (path.trim() === "" || path === "/") throw invalid("it names no socket");
    const database = queryDatabase ?? 0;
    const place: RedisPlace = { kind: "server", address: { path } };
    return { ...login, place, database, tls: undefined, location: `unix://${path}?db=${database}` };
  }
  const database = queryDatabase ?? databaseOf(pathDatabase(path)) ?? 0;
  const place = placeOf(hosts);
  const tls = scheme === "rediss" ? tlsOf(options) : undefined;
  return { ...login, place, database, tls, location: `${scheme}://${placeText(place)}/${database}` };
}

/**
 * Whether an @ stands behind the authority. It may be a password's with a raw `/`, `?` or `#`, which ends the authority: parts of the password would
 * then be taken for a host, a database or an option, which messages show.
 */
function hasLateAt(url: string): boolean {
  const rest = url.replace(/^[a-z][a-z0-9+.-]*:\/\//i, "");
  const end = rest.search(/[/?#]/);
  return end >= 0 && rest.lastIndexOf("@") > end;
}

interface UrlParts {
  readonly scheme: "redis" | "rediss" | "unix";
  readonly authority: string;
  readonly path: string;
  readonly options: URLSearchParams;
}

/** As Go's `url.Parse`: the fragment is cut off, then the query, then the authority ends at the first `/`. */
function splitUrl(url: string): UrlParts {
  const match = /^([a-z][a-z0-9+.-]*):\/\//i.exec(url);
  const scheme = match === null ? "redis" : match[1].toLowerCase();
  if (scheme !== "redis" && scheme !== "rediss" && scheme !== "unix") throw invalid(`it begins with ${scheme}://`);
  const [withoutFragment] = url.slice(match === null ? 0 : match[0].length).split("#", 1);
  const mark = withoutFragment.indexOf("?");
  const rest = mark < 0 ? withoutFragment : withoutFragment.slice(0, mark);
  const slash = rest.indexOf("/");
  return {
    scheme,
    authority: slash < 0 ? rest : rest.slice(0, slash),
    path: slash < 0 ? "" : decoded(rest.slice(slash), "its path"),
    options: new URLSearchParams(mark < 0 ? "" : withoutFragment.slice(mark + 1)),
  };
}

function splitAuthority(authority: string): {
  user: string | undefined;
  password: string | undefined;
  hosts: string;
} {
  const at = authority.lastIndexOf("@");
  if (at < 0) return { user: undefined, password: undefined, hosts: authority };
  const userInfo = authority.slice(0, at);
  const colon = userInfo.indexOf(":");
  const user = decoded(colon < 0 ? userInfo : userInfo.slice(0, colon), "its user name");
  const password = colon < 0 ? "" : decoded(userInfo.slice(colon + 1), "its password");
  return {
    user: user === "" ? undefined : user,
    password: password === "" ? undefined : password,
    hosts: authority.slice(at + 1),
  };
}

function decoded(text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(`${what} has a % that is no percent-encoding (write %25 for a percent sign)`);
  }
}

function placeOf(hosts: string): RedisPlace {
  const comma = hosts.indexOf(",");
  if (comma < 0) return { kind: "server", address: addressOf(hosts, defaultPort) };
  const items = hosts.split(",");
  // JuiceFS asks whether the first comma comes before the first colon; without any colon, it takes a cluster.
  if (comma >= hosts.indexOf(":")) {
    return { kind: "cluster", members: items.map((item) => addressOf(item, defaultPort)) };
  }
  const [masterName, ...sentinels] = items;
  if (masterName === "") throw invalid("it names no master before its sentinels");
  const port = portOf(sentinels.at(-1) ?? "") ?? defaultSentinelPort;
  return { kind: "sentinel", masterName, sentinels: sentinels.map((item) => addressOf(item, port)) };
}

const hostPattern = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d*))?$/;

/** `host`, `host:port`, `[::1]:port`, `:port`. */
function addressOf(text: string, port: number): { host: string; port: number } {
  const match = hostPattern.exec(text);
  if (match === null) throw invalid(`${JSON.stringify(text)} is no host with a port`);
  const own = portOf(text) ?? port;
  if (own > 65535) throw invalid(`${own} is no port`);
  const host = decoded(match[1] ?? match[2], "its host");
  return { host: host === "" ? "localhost" : host, port: own };
}

function portOf(text: string): number | undefined {
  const digits = hostPattern.exec(text)?.[3] ?? "";
  return digits === "" ? undefined : Number(digits);
}

function pathDatabase(path: string): string {
  const parts = path.split("/").filter((part) => part !== "");
  if (parts.length > 1) throw invalid("its path has more parts than the database number");
  return parts[0] ?? "";
}

function databaseOf(text: string): number | undefined {
  if (text === "") return undefined;
  if (!/^\d{1,9}$/.test(text)) throw invalid(`${JSON.stringify(text)} is no database number`);
  return Number(text);
}

function tlsOf(options: URLSearchParams): RedisTls {
  const text = (name: string): string | undefined => {
    const value = options.get(name);
    return value === null || value === "" ? undefined : value;
  };
  const caFile = text("tls-ca-cert-file");
  const certFile = text("tls-cert-file");
  const keyFile = text("tls-key-file");
  const serverName = text("tls-server-name");
  return {
    ...(caFile === undefined ? {} : { caFile }),
    ...(certFile === undefined ? {} : { certFile }),
    ...(certFile === undefined || keyFile === undefined ? {} : { keyFile }),
    ...(serverName === undefined ? {} : { serverName }),
    // JuiceFS takes any value for yes, `false` as well.
    insecure: text("insecure-skip-verify") !== undefined,
  };
}

/** A Go duration (`30s`, `1m30s`, `500ms`) or whole seconds; none, 0 or less means JuiceFS' default. */
function readTimeoutOf(options: URLSearchParams): number {
  const text = options.get("read-timeout") ?? options.get("read_timeout") ?? "";
  if (text === "") return defaultReadTimeoutMs;
  if (/^-?\d+$/.test(text)) return Number(text) > 0 ? Number(text) * 1000 : defaultReadTimeoutMs;
  const units: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 1e-3, µs: 1e-3, ns: 1e-6 };
  if (!/^(?:\d+(?:\.\d+)?(?:h|ms|m|s|us|µs|ns))+$/.test(text)) throw invalid("its read-timeout is no duration");
  let total = 0;
  for (const [, digits, unit] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)/g)) {
    total += Number(digits) * units[unit];
  }
  return total > 0 ? total : defaultReadTimeoutMs;
}

function placeText(place: RedisPlace): string {
  switch (place.kind) {
    case "server":
      return addressText(place.address);
    case "sentinel":
      return [place.masterName, ...place.sentinels.map(addressText)].join(",");
    case "cluster":
      return place.members.map(addressText).join(",");
  }
}

function invalid(what: string): CairnError {
  return new CairnError("meta-url-invalid", `the Redis metadata URL cannot be used: ${what}`, {
    next: "give it as redis://[user:password@]host:6379/1, rediss://…, unix:///path/to.sock?db=1, with sentinels as redis://master,host1,host2:26379/1, or with cluster members as redis://host1:6379,host2:6379/1",
    exit: "wrongUse",
  });
}
