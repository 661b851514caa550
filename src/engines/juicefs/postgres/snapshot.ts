import { CairnError } from "../../../model/errors.ts";
import type { Facts, Progress } from "../../../model/ports.ts";
import type { Session } from "../../../protocols/postgres/session.ts";
import { isServerError } from "../../../protocols/postgres/session.ts";
import { quoteName, quoteText } from "../../../protocols/postgres/sql-text.ts";
import { volumeTables } from "../sql/volume-schema.ts";
import type { Place, StoredTable, VolumeTables } from "./catalogue.ts";
import { readTables } from "./catalogue.ts";
import type { Server } from "./connect.ts";

/** One state of the database, seen by several connections. */
export interface Snapshot extends AsyncDisposable {
  /** Each in a transaction that sees the snapshot; the first one holds it. */
  readonly sessions: readonly Session[];
  /** Where in the server's log the snapshot lies. */
  readonly position: Facts;
}

/**
 * Sessions of backups have no time limits of their own: an administrator's for a role would end them. A table that somebody holds locked is waited for half a minute.
 */
function transactionSettings({ versionNumber }: Place): string {
  const settings = [
    "statement_timeout = 0",
    "idle_in_transaction_session_timeout = 0",
    "lock_timeout = '30s'",
    "client_encoding = 'UTF8'",
    // Rows come as they lie, from the first one on; rows that a policy hides are an error, not missing.
    "synchronize_seqscans = off",
    "row_security = off",
    ...(versionNumber >= 170000 ? ["transaction_timeout = 0"] : []),
  ];
  return settings.map((setting) => `SET LOCAL ${setting}`).join("; ");
}

const beginReading = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/**
 * Takes a snapshot and opens up to `connections` transactions that see it. All tables are locked against DDL before: TRUNCATE and
 * ALTER TABLE would show through. Throws `source-changed` when the tables changed since they were looked at.
 */
export async function openSnapshot(
  first: Session,
  server: Server,
  options: { place: Place; volume: VolumeTables; connections: number; progress: Progress },
): Promise<Snapshot> {
  const { place, volume, connections, progress } = options;
  const sessions = [first];
  try {
    const before = await readPosition(first, place, "pg_current_wal_lsn()");
    const tables = volume.tables.map(({ name }) => `${quoteName(place.schema)}.${quoteName(name)}`);
    await first.query(
      `${beginReading}; ${transactionSettings(place)}; LOCK TABLE ${tables.join(", ")} IN ACCESS SHARE MODE`,
    );
    const { rows } = await first.query("SELECT pg_export_snapshot()");
    const snapshotId = rows[0][0] ?? "";
    // The log's end now: the snapshot's own changes are all before it.
    const after = await readPosition(first, place, "pg_current_wal_insert_lsn()");
    const identity = await readIdentity(first);
    const origin = await readOrigin(first, identity);
    requireSameTables(volume, await readTables(first, place.schema), place);
    // One after the other: of two that come at once, a server that has room for one may refuse both.
    for (let more = connections - 1; more > 0; more--) {
      const session = await joinSnapshot(server, place, { snapshotId, origin }, progress);
      if (session === undefined) break;
      sessions.push(session);
    }
    return {
      sessions,
      position: {
        ...(before === after ? { lsn: after } : { lsnBefore: before, lsnAfter: after }),
        ...identity,
        snapshot: snapshotId,
        standby: place.isStandby,
      },
      async [Symbol.asyncDispose]() {
        await Promise.all(sessions.map((session) => session[Symbol.asyncDispose]()));
      },
    };
  } catch (error) {
    await Promise.all(sessions.map((session) => session[Symbol.asyncDispose]()));
    throw error;
  }
}

async function joinSnapshot(
  server: Server,
  place: Place,
  { snapshotId, origin }: { snapshotId: string; origin: string },
  progress: Progress,
): Promise<Session | undefined> {
  let session: Session | undefined;
  try {
    session = await server.connect();
    await session.query(
      `${beginReading}; SET TRANSACTION SNAPSHOT ${quoteText(snapshotId)}; ${transactionSettings(place)}`,
    );
    if ((await readOrigin(session, await readIdentity(session))) === origin) return session;
    // Names of snapshots are counted up on every server: another one may have one of this name.
    await session[Symbol.asyncDispose]();
    progress.warn("fewer-connections", "reading with fewer connections: a further one led to another server");
    return undefined;
  } catch (error) {
    await session?.[Symbol.asyncDispose]();
    // One connection is enough; a server that has no more, or a proxy that leads to another server, costs time only.
    if (!isServerError(error) && !(error instanceof CairnError && error.code === "engine-busy")) throw error;
    progress.warn("fewer-connections", `reading with fewer connections: ${error.message}`);
    return undefined;
  }
}

async function readPosition(session: Session, { isStandby }: Place, current: string): Promise<string> {
  const { rows } = await session.query(`SELECT ${isStandby ? "pg_last_wal_replay_lsn()" : current}`);
  return rows[0][0] ?? "";
}

/** The cluster's number and its timeline, where the role may see them. */
async function readIdentity(session: Session): Promise<Facts> {
  const { rows } = await session.query(
    `SELECT has_function_privilege('pg_control_system()', 'EXECUTE') AND has_function_privilege('pg_control_checkpoint()', 'EXECUTE')`,
  );
  if (rows[0][0] !== "t") return {};
  const control = await session.query(
    "SELECT s.system_identifier, c.timeline_id FROM pg_control_system() s, pg_control_checkpoint() c",
  );
  const [system, timeline] = control.rows[0];
  return { systemIdentifier: system ?? "", timeline: Number(timeline) };
}

/** What tells one running server from every other: when it started, and the cluster's number where the role may see it. */
async function readOrigin(session: Session, identity: Facts): Promise<string> {
  const { rows } = await session.query("SELECT extract(epoch FROM pg_postmaster_start_time())");
  return `${rows[0][0]} ${identity["systemIdentifier"] ?? ""}`;
}

function requireSameTables({ tables, schema }: VolumeTables, now: readonly StoredTable[], place: Place): void {
  const layoutOf = (list: readonly StoredTable[]): string =>
    JSON.stringify(list.map(({ name, kind, columns }) => [name, kind, columns]));
  const names = new Set(
    volumeTables(
      now.map(({ name }) => name),
      schema.prefix,
    ),
  );
  // Tables that came meanwhile are among them.
  const own = now.filter(({ name }) => names.has(name));
  if (layoutOf(own) === layoutOf(tables)) return;
  throw new CairnError("source-changed", `the volume's tables in schema ${place.schema} changed while it was opened`, {
    unharmed: "the database was only read",
    next: "try again",
    exit: "sourceUnreachable",
  });
}
