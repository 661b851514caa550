import { CairnError } from "../../../model/errors.ts";
import type { SplitSetting } from "../secrets.ts";
import { splitSecrets } from "../secrets.ts";
import { parseSetting } from "../setting.ts";

/** Rows of tables `setting` and `counter` in a healthy database; more are a sign of another. */
export const settingRowsMax = 16;
export const counterRowsMax = 10_000;

/** Where rows come from, for messages: the database and the table with its prefix. */
export interface RowPlace {
  readonly location: string;
  readonly table: string;
  /** A restore into this place was begun and not finished. */
  readonly isUnfinished?: boolean;
}

/**
 * The setting, its secrets taken out, from the rows of its table (name, value). Throws `not-formatted`, `unknown-schema`,
 * `setting-invalid`, `secret-unreadable`.
 */
export function settingOfRows(
  { location, table, isUnfinished = false }: RowPlace,
  rows: readonly (readonly [name: string, value: string | null])[],
): SplitSetting {
  const other = rows.find(([name]) => name !== "format");
  if (other !== undefined) {
    throw new CairnError(
      "unknown-schema",
      `${location}: table ${table} has the unknown row ${JSON.stringify(other[0])}`,
      {
        unharmed: "the database was only read",
        next: "use a version of Cairn that knows this JuiceFS",
        exit: "sourceUnreachable",
      },
    );
  }
  const value = rows.at(0)?.[1] ?? null;
  if (value !== null) return splitSecrets(parseSetting(value));
  throw new CairnError("not-formatted", `${location} has JuiceFS' tables, but no setting: nobody can mount it`, {
    unharmed: "the database was only read",
    next: isUnfinished
      ? "a restore into it was not finished: wait for it, or begin it again with --discard-unfinished"
      : "format the volume with juicefs, or check the metadata URL; a restore that was not finished looks like this, too",
    exit: "sourceUnreachable",
  });
}

/** Counters by name, from the rows of their table. Throws `counter-invalid`. */
export function countersOfRows(
  { location, table }: RowPlace,
  rows: readonly (readonly [name: string | null, value: string | bigint | null])[],
): Map<string, bigint> {
  const counters = new Map<string, bigint>();
  for (const [name, value] of rows) {
    if (name === null || value === null || (typeof value === "string" && !/^-?[0-9]+$/.test(value))) {
      throw new CairnError("counter-invalid", `${location}: a row of table ${table} has no name or no whole number`, {
        unharmed: "the database was only read",
        exit: "sourceUnreachable",
      });
    }
    counters.set(name, BigInt(value));
  }
  return counters;
}
