import { readFile } from "node:fs/promises";
import { CairnError, messageOf } from "../model/errors.ts";

/**
 * A metadata URL with its password: where it names a user but no password, `META_PASSWORD` or the first line of the file
 * `META_PASSWORD_FILE` is put in, as juicefs does. File engines (sqlite3) have none. Throws `password-file`.
 */
export async function withPassword(url: string, env: NodeJS.ProcessEnv): Promise<string> {
  const match = /^([a-z][a-z0-9+.-]*:\/\/)([^/@:]+)(@.*)$/is.exec(url);
  if (match === null || match[1].toLowerCase() === "sqlite3://") return url;
  const password = env["META_PASSWORD"] ?? (await passwordFromFile(env["META_PASSWORD_FILE"]));
  return password === undefined ? url : `${match[1]}${match[2]}:${encodeURIComponent(password)}${match[3]}`;
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

/** A metadata URL for messages: without its password. */
export function withoutPassword(url: string): string {
  return url.replace(
    /^([a-z][a-z0-9+.-]*:\/\/)([^/?#]*)@/i,
    (_, scheme: string, user: string) =>
      `${scheme}${user.includes(":") ? `${user.slice(0, user.indexOf(":"))}:***` : user}@`,
  );
}
