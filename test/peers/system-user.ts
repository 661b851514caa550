import { readFileSync } from "node:fs";

/** A user of the machine, by numbers. */
export interface SystemUser {
  uid: number;
  gid: number;
}

/**
 * The user as which to run a server that refuses to be root: the first of the names that this machine knows, else `nobody`.
 * `undefined` when this process is an ordinary user already.
 */
export function serverUser(...names: string[]): SystemUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const lines = readFileSync("/etc/passwd", "utf8").split("\n");
  for (const name of [...names, "nobody"]) {
    const fields = lines.find((line) => line.startsWith(`${name}:`))?.split(":");
    if (fields !== undefined) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new Error(`this machine has none of the users ${names.join(", ")}, nobody: no server was started`);
}
