import { readFile } from "node:fs/promises";
import { CairnError, messageOf } from "../model/errors.ts";

/** The scheme of a metadata URL in lower case. JuiceFS takes a URL without one for Redis. */
export function schemeOf(url: string): string {
  return /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1].toLowerCase() ?? "redis";
}

const redisSchemes = new Set(["redis", "rediss", "unix"]);

/**
 * A metadata URL with its password, as juicefs finds it: what the URL says; else, for Redis, `REDIS_PASSWORD`; else `META_PASSWORD`; else the
 * first line of the file `META_PASSWORD_FILE`. The SQL engines take one only for a user that the URL names. File engines have none.
 * Throws `password-file`.
 */
export async function withPassword(url: string, env: NodeJS.ProcessEnv): Promise<string> {
  const scheme = schemeOf(url);
  if (scheme === "sqlite3" || scheme === "file") return url;
  const isRedis = redisSchemes.has(scheme);
  const match = /^([a-z][a-z0-9+.-]*:\/\/)?(?:([^/@:?]*)(:[^/]*)?@)?(.*)$/is.exec(url);
  if (match === null) return url;
  const [, start = "", user, password, rest] = match;
  if (password !== undefined && password !== ":") return url;
  if (!isRedis && (user === undefined || user === "")) return url;
  const found =
    (isRedis ? env["REDIS_PASSWORD"] : undefined) ??
    env["META_PASSWORD"] ??
    (await passwordFromFile(env["META_PASSWORD_FILE"]));
  return found === undefined ? url : `${start}${user ?? ""}:${encodeURIComponent(found)}@${rest}`;
}

async function passwordFromFile(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  return firstLine(path, "META_PASSWORD_FILE");
}

/** The first line of a file that holds a secret. */
export async function firstLine(path: string, what: string): Promise<string> {
  try {
    return (await readFile(path, "utf8")).split(/\r?\n/, 1)[0];
  } catch (error) {
    throw new CairnError("password-file", `cannot read the file that ${what} names: ${messageOf(error)}`, {
      exit: "wrongUse",
      cause: error,
    });
  }
}

/**
 * A metadata URL for messages: without its password, which stands before the last `@` (where it holds a `/`, `?` or `#` that should have been
 * escaped, too), or in an option.
 */
export function withoutPassword(url: string): string {
  const scheme = schemeOf(url);
  if (scheme === "sqlite3" || scheme === "file") return url;
  const shown = url.replaceAll(/([?&](?:ssl)?password=)[^&#]*/gi, "$1***");
  const match = /^((?:[a-z][a-z0-9+.-]*:\/\/)?)(.*)$/is.exec(shown);
  if (match === null) return shown;
  const [, start, rest] = match;
  const at = rest.lastIndexOf("@");
  const colon = rest.indexOf(":");
  if (at < 0 || colon < 0 || colon > at) return shown;
  return `${start}${rest.slice(0, colon)}:***${rest.slice(at)}`;
}
