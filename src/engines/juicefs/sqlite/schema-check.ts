import { CairnError } from "../../../model/errors.ts";
import type { Database } from "../../../protocols/sqlite/database.ts";
import { sqlTables } from "./schema.ts";

/** A volume's tables in a database: which of the known ones it has, and with which columns. */
export interface VolumeSchema {
  readonly prefix: string;
  hasTable(name: string): boolean;
  hasColumn(table: string, column: string): boolean;
  /** The release that first had this layout: `1.4`, `1.3 or 1.2`, … */
  readonly line: string;
}

/**
 * Finds the volume's tables, and refuses by name what it does not know: a table of a newer JuiceFS may hold what a backup must not miss.
 * Tables of other applications, and of other volumes (other prefixes), may stand in the same database. Throws `not-a-volume`, `unknown-schema`.
 */
export function readVolumeSchema(database: Database, prefix: string): VolumeSchema {
  const names = database.tableNames.filter((name) => !name.startsWith("sqlite_"));
  if (!names.includes(`${prefix}setting`)) throw notAVolume(database.path, prefix, names);
  const columns = new Map<string, Set<string>>();
  for (const name of names) {
    if (!name.startsWith(prefix) || isOfOtherVolume(name, prefix, names)) continue;
    const known = sqlTables.find((table) => table.name === name.slice(prefix.length));
    if (known === undefined) throw unknown(database.path, `table ${name}`);
    const stored = database.table(name).columns.map((column) => column.name);
    for (const column of stored) {
      if (!known.columns.some((candidate) => candidate.name === column))
        throw unknown(database.path, `column ${column} of table ${name}`);
    }
    columns.set(known.name, new Set(stored));
  }
  for (const required of ["counter", "node", "edge", "chunk"]) {
    if (!columns.has(required)) throw incomplete(database.path, prefix + required);
  }
  const hasColumn = (table: string, column: string): boolean => columns.get(table)?.has(column) === true;
  return { prefix, hasTable: (name) => columns.has(name), hasColumn, line: lineOf(columns, hasColumn) };
}

/** With `jfs_`, the tables of a volume with `table_prefix=abc` look like ours: they are not when that volume has a setting of its own. */
function isOfOtherVolume(name: string, prefix: string, names: readonly string[]): boolean {
  return names.some((candidate) => {
    if (!candidate.startsWith(prefix) || !candidate.endsWith("_setting")) return false;
    const other = candidate.slice(0, -"setting".length);
    return other.length > prefix.length && name.startsWith(other);
  });
}

function lineOf(tables: ReadonlyMap<string, unknown>, hasColumn: (table: string, column: string) => boolean): string {
  if (hasColumn("node", "tier_id") || tables.has("user_group_quota")) return "1.4";
  if (hasColumn("node", "access_acl_id") || tables.has("acl")) return "1.2 or 1.3";
  if (tables.has("dir_stats") || hasColumn("node", "mtimensec")) return "1.1";
  return "1.0";
}

function notAVolume(path: string, prefix: string, names: readonly string[]): CairnError {
  const others = names
    .map((name) => /^jfs_(?:(.+)_)?setting$/.exec(name))
    .filter((match) => match !== null)
    .map((match) => (match[1] === undefined ? "none" : match[1]));
  return new CairnError("not-a-volume", `${path} holds no JuiceFS volume: it has no table ${prefix}setting`, {
    unharmed: "the database was only read",
    next:
      others.length > 0
        ? `set table_prefix in the URL; there are volumes with the prefix ${others.join(", ")}`
        : "check the path",
    exit: "sourceUnreachable",
  });
}

function incomplete(path: string, table: string): CairnError {
  return new CairnError("not-a-volume", `${path} holds part of a JuiceFS volume only: it has no table ${table}`, {
    unharmed: "the database was only read",
    next: "check the path",
    exit: "sourceUnreachable",
    details: { table },
  });
}

function unknown(path: string, what: string): CairnError {
  return new CairnError(
    "unknown-schema",
    `${path}: ${what} is not known; a newer JuiceFS may have made it, and a backup without it may be incomplete`,
    {
      unharmed: "the database was only read",
      next: "use a version of Cairn that knows this JuiceFS, or drop it if it is not JuiceFS'",
      exit: "sourceUnreachable",
    },
  );
}
