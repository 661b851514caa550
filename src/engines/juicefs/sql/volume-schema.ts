import { CairnError } from "../../../model/errors.ts";
import { sqlTables } from "./tables.ts";

/** A volume's tables in a database: which of the known ones it has, and with which columns. */
export interface VolumeSchema {
  readonly prefix: string;
  hasTable(name: string): boolean;
  hasColumn(table: string, column: string): boolean;
  /** The release that first had this layout: `1.4`, `1.2 or 1.3`, … */
  readonly line: string;
}

/** A table whose presence says that a restore into this place was not finished; never JuiceFS' own. */
export const markerTable = "cairn_restore";

/** What a database has, as its own catalogue says. `place` stands in messages. */
export interface Catalogue {
  readonly place: string;
  /** All tables. */
  readonly names: readonly string[];
  readonly columnsOf: (table: string) => readonly string[];
}

/**
 * Finds the volume's tables, and refuses by name what it does not know: a table of a newer JuiceFS may hold what a backup must not miss.
 * Tables of other applications, and of other volumes (other prefixes), may stand in the same database. Throws `not-a-volume`, `unknown-schema`.
 */
export function readVolumeSchema({ place, names, columnsOf }: Catalogue, prefix: string): VolumeSchema {
  if (!names.includes(`${prefix}setting`)) throw notAVolume(place, prefix, names);
  const columns = new Map<string, Set<string>>();
  for (const name of volumeTables(names, prefix)) {
    const known = sqlTables.find((table) => table.name === name.slice(prefix.length));
    if (known === undefined) throw unknown(place, `table ${name}`);
    const stored = columnsOf(name);
    for (const column of stored) {
      if (!known.columns.some((candidate) => candidate.name === column))
        throw unknown(place, `column ${column} of table ${name}`);
    }
    // Who may not see a column would read it as 0; one that came with a later release is rightly missing in an older schema.
    const missing = known.columns.find(({ name: column, since }) => since === undefined && !stored.includes(column));
    if (missing !== undefined) throw incomplete(place, `column ${missing.name} of table ${name}`);
    columns.set(known.name, new Set(stored));
  }
  for (const required of ["counter", "node", "edge", "chunk"]) {
    if (!columns.has(required)) throw incomplete(place, `table ${prefix}${required}`);
  }
  const hasColumn = (table: string, column: string): boolean => columns.get(table)?.has(column) === true;
  return { prefix, hasTable: (name) => columns.has(name), hasColumn, line: lineOf(columns, hasColumn) };
}

/** The tables of the volume with this prefix, the marker of an unfinished restore left out. */
export function volumeTables(names: readonly string[], prefix: string): string[] {
  return names.filter(
    (name) => name.startsWith(prefix) && name !== prefix + markerTable && !isOfOtherVolume(name, prefix, names),
  );
}

/**
 * With `jfs_`, the tables of a volume with `table_prefix=abc` look like ours: they are not when that volume has a setting of its own. But
 * `jfs_dir_stats` is ours even beside a volume with `table_prefix=dir`, whose own is `jfs_dir_dir_stats`; and it is not the other's.
 */
function isOfOtherVolume(name: string, prefix: string, names: readonly string[]): boolean {
  if (isKnown(name, prefix)) return false;
  return (
    isOfShorterPrefix(name, prefix, names) ||
    names.some((candidate) => {
      if (!candidate.startsWith(prefix) || !candidate.endsWith("_setting")) return false;
      const other = candidate.slice(0, -"setting".length);
      return other.length > prefix.length && name.startsWith(other);
    })
  );
}

function isKnown(name: string, prefix: string): boolean {
  return sqlTables.some((table) => name === prefix + table.name);
}

/** With `jfs_dir_`: `jfs_dir_stats` belongs to the volume with `jfs_`. */
function isOfShorterPrefix(name: string, prefix: string, names: readonly string[]): boolean {
  return names.some((candidate) => {
    if (!candidate.endsWith("setting")) return false;
    const other = candidate.slice(0, -"setting".length);
    return other.length < prefix.length && prefix.startsWith(other) && isKnown(name, other);
  });
}

function lineOf(tables: ReadonlyMap<string, unknown>, hasColumn: (table: string, column: string) => boolean): string {
  if (hasColumn("node", "tier_id") || tables.has("user_group_quota")) return "1.4";
  if (hasColumn("node", "access_acl_id") || tables.has("acl")) return "1.2 or 1.3";
  if (tables.has("dir_stats") || hasColumn("node", "mtimensec")) return "1.1";
  return "1.0";
}

function notAVolume(place: string, prefix: string, names: readonly string[]): CairnError {
  const others = names
    .map((name) => /^jfs_(?:(.+)_)?setting$/.exec(name))
    .filter((match) => match !== null)
    .map((match) => (match[1] === undefined ? "none" : match[1]));
  return new CairnError("not-a-volume", `${place} holds no JuiceFS volume: it has no table ${prefix}setting`, {
    unharmed: "the database was only read",
    next:
      others.length > 0
        ? `set table_prefix in the URL; there are volumes with the prefix ${others.join(", ")}`
        : "check the path",
    exit: "sourceUnreachable",
  });
}

function incomplete(place: string, what: string): CairnError {
  return new CairnError(
    "not-a-volume",
    `${place} holds part of a JuiceFS volume only, or shows no more of it: there is no ${what}`,
    {
      unharmed: "the database was only read",
      next: "check the metadata URL, and that the user may read all of the volume's tables",
      exit: "sourceUnreachable",
    },
  );
}

function unknown(place: string, what: string): CairnError {
  return new CairnError(
    "unknown-schema",
    `${place}: ${what} is not known; a newer JuiceFS may have made it, and a backup without it may be incomplete`,
    {
      unharmed: "the database was only read",
      next: "use a version of Cairn that knows this JuiceFS, or drop it if it is not JuiceFS'",
      exit: "sourceUnreachable",
    },
  );
}
