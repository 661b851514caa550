import { CairnError } from "../../model/errors.ts";

/** The highest value that an engine can hold in a column, by `table.column`. */
export type ColumnLimits = Readonly<Record<string, bigint>>;

/**
 * Refuses, before anything is written, records that the engine cannot hold. `extremes` are the snapshot's highest values by `table.column`,
 * as decimal strings; a column that it does not name is not checked here.
 */
export function requireFits(engine: string, limits: ColumnLimits, extremes: Readonly<Record<string, string>>): void {
  for (const [column, limit] of Object.entries(limits)) {
    const extreme = extremes[column];
    if (extreme === undefined || !/^-?[0-9]+$/.test(extreme) || BigInt(extreme) <= limit) continue;
    throw new CairnError(
      "does-not-fit",
      `the snapshot does not fit into ${engine}: ${column} reaches ${extreme}, and the engine holds up to ${limit}`,
      {
        unharmed: "nothing was written",
        next: "restore into another engine (docs/engines/limits.md)",
        exit: "targetRefused",
        details: { column, value: extreme, limit: limit.toString() },
      },
    );
  }
}
