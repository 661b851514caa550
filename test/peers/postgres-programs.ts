import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { suiteFile } from "./debian-suites.ts";
import { findCommand, isExecutable } from "./find-command.ts";

/** `"system"` is the machine's own package. */
export const postgresVersions = ["system", "13", "17"] as const;
export type PostgresVersion = (typeof postgresVersions)[number];

/** The folder with `postgres`, `initdb` and `pg_basebackup`; throws with the command that brings it when it is not there. */
export function postgresFolder(version: PostgresVersion): string {
  if (version === "13") return suiteFile("bullseye", "usr/lib/postgresql/13/bin");
  if (version === "17") return suiteFile("trixie", "usr/lib/postgresql/17/bin");
  const debian = "/usr/lib/postgresql";
  const versions = namesIn(debian).toSorted((a, b) => Number(b) - Number(a));
  for (const folder of versions.map((each) => join(debian, each, "bin"))) {
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
