import { CairnError } from "../../../model/errors.ts";
import type { MysqlConnection } from "../../../protocols/mysql/connection.ts";
import { volumeTables } from "../sql/volume-schema.ts";
import type { EngineContext } from "./engine-error.ts";
import { dropUnfinished, readMarker } from "./marker.ts";
import { foldedTableName, quoted } from "./session.ts";

/**
 * Refuses a database that holds any table of a volume with this prefix. What a killed restore left is removed when the user asked for it. The
 * lock is held by then. Throws `target-not-empty`, `target-unfinished`.
 */
export async function requireEmptyTarget(
  connection: MysqlConnection,
  context: EngineContext,
  prefix: string,
  discardUnfinished: boolean,
): Promise<void> {
  const marker = await readMarker(connection, context, prefix);
  const names = await tableNames(connection);
  const found = volumeTables(names, prefix);
  const isPublished =
    marker !== undefined && found.includes(`${prefix}setting`) && (await hasSetting(connection, prefix));
  if (marker === undefined || isPublished) {
    if (found.length === 0) return;
    throw new CairnError(
      "target-not-empty",
      `${context.location} holds ${found.length} tables of a JuiceFS volume already: ${found.slice(0, 3).join(", ")}, …`,
      {
        unharmed: "nothing was written",
        next: "use an empty database, or another table_prefix in the URL",
        exit: "targetRefused",
      },
    );
  }
  const foreign = found.filter((name) => !marker.tables.includes(name));
  if (foreign.length > 0) {
    throw new CairnError(
      "target-not-empty",
      `${context.location} holds an unfinished restore, and tables that it did not make: ${foreign.slice(0, 3).join(", ")}`,
      {
        unharmed: "nothing was written",
        next: "look at these tables, and drop them or use another database",
        exit: "targetRefused",
      },
    );
  }
  if (!discardUnfinished) {
    throw new CairnError(
      "target-unfinished",
      `${context.location} holds what an unfinished restore left${marker.started === "" ? "" : `, begun ${marker.started}`}`,
      {
        unharmed: "nothing was written",
        next: "give --discard-unfinished to remove it and begin anew",
        exit: "targetRefused",
        details: { volume: marker.volumeId },
      },
    );
  }
  await dropUnfinished(connection, prefix, marker);
}

async function tableNames(connection: MysqlConnection): Promise<string[]> {
  const rows = await connection.query(
    `SELECT ${foldedTableName} FROM information_schema.tables WHERE table_schema = DATABASE()`,
  );
  return rows.map(([name]) => String(name));
}

/** Whether the setting is there: then it is a volume. */
export async function isSealedTarget(connection: MysqlConnection, prefix: string): Promise<boolean> {
  const names = await tableNames(connection);
  return names.includes(`${prefix}setting`) && (await hasSetting(connection, prefix));
}

async function hasSetting(connection: MysqlConnection, prefix: string): Promise<boolean> {
  const rows = await connection.query(`SELECT 1 FROM ${quoted(`${prefix}setting`)} LIMIT 1`);
  return rows.length > 0;
}
