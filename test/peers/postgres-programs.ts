import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { findCommand, isExecutable } from "./find-command.ts";

/** `"system"` is the machine's own package. */
export type PostgresVersion = "system";

/** The folder with `postgres`, `initdb` and `pg_basebackup`; throws with the command that brings it when it is not there. */
export function postgresFolder(_version: PostgresVersion): string {
  const debian = "/usr/lib/postgresql";
  const versions = namesIn(debian).toSorted((a, b) => Number(b) - Number(a));
  for (const folder of versions.map((version) => join(debian, version, "bin"))) {
    if (isExecutable(join(folder, "initdb"))) return folder;
  }
  const onPath = findCommand("initdb");
  if (onPath === undefined) throw new Error('postgresql is not installed: no test was run; run "npm run setup"');
  return dirname(onPath);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
