import { CairnError } from "../../../model/errors.ts";
import type { Session } from "../../../protocols/postgres/session.ts";
import { quoteName, quoteText } from "../../../protocols/postgres/sql-text.ts";
import type { JuicefsLine } from "../lines.ts";
import { sqlTables, tablesOfLine } from "../sql/tables.ts";
import { markerTable, volumeTables } from "../sql/volume-schema.ts";
import type { Place } from "./catalogue.ts";
import { readTables } from "./catalogue.ts";
import type { Side } from "./errors.ts";
import { createTableSql, indexSql, placeOf } from "./schema.ts";

/** Where a restore goes. */
export interface Ground {
  readonly place: Place;
  readonly prefix: string;
  readonly side: Side;
}

/** A restore, as its marker names it. */
export interface MarkedRestore {
  readonly volumeId: string;
  readonly line: JuicefsLine;
  /** Its name, and that of its connections. */
  readonly restore: string;
}

/**
 * Marks the schema as one that a restore is filling, and makes the empty table `setting`: by it the tables of one prefix are told from those of
 * another that begins the same.
 */
export async function createMarker(
  session: Session,
  { place, prefix }: Ground,
  { volumeId, line, restore }: MarkedRestore,
): Promise<void> {
  const marker = placeOf(place.schema, prefix, markerTable);
  const setting = tablesOfLine(line).filter(({ name }) => name === "setting");
  const columns = ["volume text", "restore text", "started timestamptz"].map((column) => `${column} NOT NULL`);
  await session.query(
    [
      `CREATE TABLE ${marker} (${columns.join(", ")})`,
      `INSERT INTO ${marker} VALUES (${quoteText(volumeId)}, ${quoteText(restore)}, now())`,
      ...setting.flatMap((table) => [
        createTableSql(place.schema, prefix, table),
        ...indexSql(place.schema, prefix, table),
      ]),
    ].join("; "),
  );
}

/**
 * Takes the lock that only one restore into this schema and prefix holds; the server frees it when the connection ends. Throws `target-in-use`.
 */
export async function lockGround(session: Session, { place, prefix, side }: Ground): Promise<void> {
  const { rows } = await session.query(
    `SELECT pg_try_advisory_lock(hashtext('cairn restore'), hashtext(${quoteText(`${place.schema}.${prefix}`)}))`,
  );
  if (rows[0][0] === "t") return;
  throw new CairnError("target-in-use", `another restore is filling ${side.location}`, {
    unharmed: "nothing was written",
    next: "wait until it is done, or end it",
    exit: "targetRefused",
  });
}

/** What stands where a restore would write. */
export type GroundState = "free" | "unfinished" | "taken";

/** Looks whether the ground is free, holds what an unfinished restore of ours left, or anything else of JuiceFS'. */
export async function inspectGround(session: Session, { place, prefix }: Ground): Promise<GroundState> {
  const names = (await readTables(session, place.schema)).map((table) => table.name);
  const tables = volumeTables(names, prefix);
  if (!names.includes(prefix + markerTable)) return tables.length === 0 ? "free" : "taken";
  const isKnown = tables.every((name) => sqlTables.some((table) => name === prefix + table.name));
  if (!isKnown) return "taken";
  if (!tables.includes(`${prefix}setting`)) return "unfinished";
  const { rows } = await session.query(`SELECT count(*) FROM ${placeOf(place.schema, prefix, "setting")}`);
  return rows[0][0] === "0" ? "unfinished" : "taken";
}

/** Refuses ground that is not free, and what a dead restore left unless it may be discarded. Throws `target-not-empty`, `target-unfinished`. */
export async function requireFreeGround(session: Session, ground: Ground, mayDiscard: boolean): Promise<void> {
  const state = await inspectGround(session, ground);
  if (state === "free") return;
  const { place, prefix, side } = ground;
  if (state === "taken") {
    throw new CairnError(
      "target-not-empty",
      `${side.location} holds JuiceFS' tables already (${prefix}… in schema ${place.schema})`,
      {
        unharmed: "nothing was written",
        next: "restore into another database or schema (search_path), or with another table_prefix",
        exit: "targetRefused",
      },
    );
  }
  if (!mayDiscard) {
    throw new CairnError(
      "target-unfinished",
      `${side.location} holds what a restore left that did not finish (${prefix}… in schema ${place.schema})`,
      {
        unharmed: "nothing was written",
        next: "restore again with --discard-unfinished, which removes it first",
        exit: "targetRefused",
      },
    );
  }
  await discardUnfinished(session, ground);
}

const goneWithinMs = 10_000;

/** Removes what an unfinished restore left: ends its connections, then drops its tables and the marker. Only where `inspectGround` says so. */
export async function discardUnfinished(session: Session, ground: Ground): Promise<void> {
  const { place, prefix } = ground;
  const marker = placeOf(place.schema, prefix, markerTable);
  const { rows } = await session.query(`SELECT restore FROM ${marker}`);
  for (const [restore] of rows) if (restore !== null) await endConnections(session, restore);
  const names = (await readTables(session, place.schema)).map((table) => table.name);
  const doomed = [...volumeTables(names, prefix), prefix + markerTable];
  const places = doomed.map((name) => `${quoteName(place.schema)}.${quoteName(name)}`);
  await session.query(`DROP TABLE ${places.join(", ")}`, 0);
}

/** Ends the connections that a restore left behind: one that builds an index does not notice that its client is gone. */
export async function endConnections(session: Session, restore: string): Promise<void> {
  const theirs = `FROM pg_stat_activity WHERE application_name = ${quoteText(restore)} AND pid <> pg_backend_pid() AND usename = current_user`;
  await session.query(`SELECT pg_terminate_backend(pid) ${theirs}`);
  for (const began = performance.now(); performance.now() - began < goneWithinMs;) {
    const { rows } = await session.query(`SELECT count(*), pg_sleep(0.05) ${theirs}`);
    if (rows[0][0] === "0") return;
  }
}
