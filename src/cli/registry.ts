import { resolve } from "node:path";
import type { JuicefsLine } from "../engines/juicefs/lines.ts";
import { CairnError } from "../model/errors.ts";
import { juicefs } from "../model/juicefs.ts";
import type { ObjectStore } from "../model/object-store.ts";
import type { Source, Target } from "../model/ports.ts";
import type { Kind } from "../model/schema.ts";
import { schemeOf } from "./meta-url.ts";

/*
 * The only place that names concrete engines and stores. Each is loaded when it is asked for, so that one engine's driver costs
 * the others nothing.
 */

/** Data models that this Cairn can read. */
export const kinds: readonly Kind[] = [juicefs];

export interface SourceChoices {
  keepSecrets: boolean;
  allowBlock: boolean;
  /** Redis: read this saved file in place of the server. */
  fromRdb?: string | undefined;
  /** Redis: read key by key, which is no snapshot. */
  scan?: boolean;
  /** Redis: `host:port` or the URL of the replica to read. */
  replica?: string | undefined;
  /** Redis: for the sentinels. */
  sentinelPassword?: string | undefined;
}

/** The engine behind a metadata URL, for reading. Throws `engine-unknown`, or `meta-url-invalid` from the engine. */
export async function openSource(url: string, choices: SourceChoices): Promise<Source> {
  const { keepSecrets, allowBlock, fromRdb, scan = false, replica, sentinelPassword } = choices;
  const scheme = schemeOf(url);
  if (!redisSchemes.has(scheme)) {
    requireNot(fromRdb !== undefined, "--from-rdb", "Redis");
    requireNot(scan, "--scan", "Redis");
    requireNot(replica !== undefined, "--replica", "Redis");
  }
  if (redisSchemes.has(scheme)) {
    const { openRedisSource } = await import("../engines/juicefs/redis/source.ts");
    return openRedisSource(url, {
      keepSecrets,
      scan,
      ...(fromRdb === undefined ? {} : { fromRdb }),
      ...(replica === undefined ? {} : { replica }),
      ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
    });
  }
  if (scheme === "sqlite3") {
    const { openSqliteSource } = await import("../engines/juicefs/sqlite/source.ts");
    return openSqliteSource(url, { keepSecrets, allowBlock });
  }
  if (postgresSchemes.has(scheme)) {
    const { openPostgresSource } = await import("../engines/juicefs/postgres/source.ts");
    return openPostgresSource(url, { keepSecrets });
  }
  if (scheme === "mysql") {
    const { openMysqlSource } = await import("../engines/juicefs/mysql/source.ts");
    return openMysqlSource(url, { keepSecrets });
  }
  throw engineUnknown(url);
}

export interface TargetChoices {
  /** JuiceFS' line, `1.2` … ; the newest when undefined. */
  line: string | undefined;
  /** Redis: the instance is for this volume alone and may be filled the fast way. */
  dedicated?: boolean;
  /** An `.rdb` file: the number of the database in it. */
  database?: number | undefined;
  sentinelPassword?: string | undefined;
}

/** The engine behind a metadata URL, or an `.rdb` file, for one restore. */
export async function openTarget(url: string, choices: TargetChoices): Promise<Target> {
  const { dedicated = false, database, sentinelPassword } = choices;
  const isRdbFile = isRdbPath(url);
  const scheme = schemeOf(url);
  if (isRdbFile || !redisSchemes.has(scheme)) requireNot(dedicated, "--dedicated", "Redis");
  if (!isRdbFile) requireNot(database !== undefined, "--database", "an .rdb file");
  const line = await lineGiven(choices.line);
  const options = line === undefined ? {} : { line };
  if (isRdbFile) {
    const { openRdbFileTarget } = await import("../engines/juicefs/redis/rdb-target.ts");
    return openRdbFileTarget(resolve(url), { ...options, ...(database === undefined ? {} : { database }) });
  }
  if (redisSchemes.has(scheme)) {
    const { openRedisTarget } = await import("../engines/juicefs/redis/target.ts");
    return openRedisTarget(url, {
      ...options,
      dedicated,
      ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
    });
  }
  if (scheme === "sqlite3") {
    const { openSqliteTarget } = await import("../engines/juicefs/sqlite/target.ts");
    return openSqliteTarget(url, options);
  }
  if (postgresSchemes.has(scheme)) {
    const { openPostgresTarget } = await import("../engines/juicefs/postgres/target.ts");
    return openPostgresTarget(url, options);
  }
  if (scheme === "mysql") {
    const { openMysqlTarget } = await import("../engines/juicefs/mysql/target.ts");
    return openMysqlTarget(url, options);
  }
  throw engineUnknown(url);
}

const redisSchemes = new Set(["redis", "rediss", "unix"]);
const postgresSchemes = new Set(["postgres", "postgresql"]);

/** A path without a scheme that ends in `.rdb`: no Redis server has such a name. */
export function isRdbPath(url: string): boolean {
  return !url.includes("://") && url.endsWith(".rdb");
}

async function lineGiven(line: string | undefined): Promise<JuicefsLine | undefined> {
  if (line === undefined) return undefined;
  const { juicefsLines } = await import("../engines/juicefs/lines.ts");
  const known = juicefsLines.find((candidate) => candidate === line);
  if (known !== undefined) return known;
  throw new CairnError("usage", `--line ${line} is not a line of JuiceFS that Cairn knows`, {
    exit: "wrongUse",
    next: `give one of ${juicefsLines.join(", ")}`,
  });
}

function requireNot(isGiven: boolean, option: string, engine: string): void {
  if (!isGiven) return;
  throw new CairnError("usage", `${option} is for ${engine} alone`, {
    exit: "wrongUse",
    unharmed: "nothing was read or written",
    next: `leave out ${option}`,
  });
}

function engineUnknown(url: string): CairnError {
  return new CairnError("engine-unknown", `no engine for ${schemeOf(url)}:// in this version of Cairn`, {
    exit: "wrongUse",
    unharmed: "nothing was read or written",
    next: "give a redis://, rediss://, unix://, postgres://, mysql:// or sqlite3:// URL",
  });
}

/** The store of a repository. Throws `store-unknown` for a URL whose scheme has no store yet. */
export async function openStore(location: string): Promise<ObjectStore & AsyncDisposable> {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(location)?.[1].toLowerCase();
  if (scheme !== undefined && scheme !== "file") {
    throw new CairnError("store-unknown", `no store for ${scheme}:// in this version of Cairn`, {
      exit: "wrongUse",
      next: "name a folder",
    });
  }
  const { FolderStore } = await import("../repository/stores/folder.ts");
  const store = new FolderStore(
    resolve(scheme === undefined ? location : decodeURIComponent(new URL(location).pathname)),
  );
  return Object.assign(store, { [Symbol.asyncDispose]: () => store.close() });
}
