/**
 * Servers of other versions than the machine's own, taken from other Debian releases. They lie in the cache with the C library and
 * all shared libraries of their release, and run without being installed.
 */
import { createHash } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheFolder } from "./peers.ts";

export interface DebianSuite {
  packages: readonly string[];
  /** Programs that a test or another program runs, as paths below the release's folder. */
  programs: readonly string[];
}

/** Debian's `sid` has the only MySQL, of whatever version is newest on the day when the cache is filled. */
export const debianSuites = {
  bullseye: {
    packages: ["redis-server", "postgresql-13"],
    programs: ["usr/bin/redis-server", "usr/lib/postgresql/13/bin/{postgres,initdb,pg_basebackup}"],
  },
  trixie: {
    packages: ["redis-server", "valkey-server", "postgresql-17", "mariadb-server-core", "mariadb-client-core"],
    programs: [
      "usr/bin/redis-server",
      "usr/bin/valkey-server",
      "usr/lib/postgresql/17/bin/{postgres,initdb,pg_basebackup}",
      "usr/sbin/mariadbd",
      "usr/bin/my_print_defaults",
      "usr/bin/resolveip",
    ],
  },
  sid: { packages: ["mysql-server-core", "mysql-client-core"], programs: ["usr/sbin/mysqld", "usr/bin/mysql"] },
} as const satisfies Record<string, DebianSuite>;

export type SuiteName = keyof typeof debianSuites;
export const suiteNames = Object.keys(debianSuites) as SuiteName[];

/** Part of the folders' names: another way of unpacking is another folder. */
const edition = "1";

/** Where the release's programs are or will be, whether or not they are there yet. */
export function suiteFolder(name: SuiteName): string {
  const key = JSON.stringify([edition, debianSuites[name], process.arch]);
  const hash = createHash("sha256").update(key).digest("hex").slice(0, 16);
  return join(reachableCacheFolder(), "debian", `${name}-${hash}`);
}

/** The path of a file of the release; throws with the command that fetches it when it is not there. */
export function suiteFile(name: SuiteName, path: string): string {
  const folder = suiteFolder(name);
  if (!existsSync(folder)) {
    throw new Error(`the servers of Debian ${name} are not there: no test was run; run "npm run setup" and try again`);
  }
  return join(folder, path);
}

/** The cache, or one that any user may look into: root's own is usually closed to the users as which root runs servers. */
function reachableCacheFolder(): string {
  const usual = cacheFolder();
  if (process.getuid?.() !== 0) return usual;
  for (let folder = usual; folder !== "/"; folder = dirname(folder)) {
    if (existsSync(folder) && (statSync(folder).mode & 0o001) === 0) return "/var/cache/cairn";
  }
  return usual;
}
