import { CairnError, messageOf } from "../../../model/errors.ts";
import { isBusy } from "../../../protocols/sqlite/connection.ts";
import { parseSetting, settingText } from "../setting.ts";
import type { SyncDatabase } from "./sync-database.ts";
import { openSyncDatabase, prepare } from "./sync-database.ts";

/** A legacy session counts as live for as long after its last heartbeat. */
const legacySessionSeconds = 300;

/**
 * Makes sure that a database may be replaced: it holds the volume of that UUID and nothing else, no session of it is live, and no process has
 * it open. Afterwards its log is in the file, which then is the whole database. `whileLocked` runs before the lock is given up: nobody can read or
 * write the database until it is through, and it may rename the file. Throws `target-in-use`, `target-other-volume`, `target-shared`.
 * `now` in seconds.
 */
export function prepareReplacement(
  path: string,
  tablePrefix: string,
  uuid: string,
  now: number,
  whileLocked?: () => void,
): void {
  let database: SyncDatabase;
  try {
    database = openSyncDatabase(path);
  } catch (error) {
    throw refuse("target-other-volume", `${path} cannot be opened: ${messageOf(error)}`, error);
  }
  try {
    lockAndInspect(database, path, tablePrefix, uuid, now);
    whileLocked?.();
  } finally {
    // SQLite takes no log away from a file that was renamed meanwhile: it would be another one's.
    database.close();
  }
}

/** The lock lasts until the database is closed. */
function lockAndInspect(database: SyncDatabase, path: string, tablePrefix: string, uuid: string, now: number): void {
  try {
    // In WAL mode every open connection holds a shared lock, which keeps this from succeeding.
    database.exec("PRAGMA locking_mode = EXCLUSIVE");
    database.exec("BEGIN EXCLUSIVE");
    requireVolume(database, path, tablePrefix, uuid);
    requireNoSession(database, path, tablePrefix, now);
    database.exec("COMMIT");
    if (String(prepare(database, "PRAGMA journal_mode").get()?.["journal_mode"]) === "wal")
      database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch (error) {
    if (isBusy(error)) throw refuse("target-in-use", `${path} is open in another process`, error);
    if (error instanceof CairnError) throw error;
    throw refuse("target-other-volume", `${path} cannot be read as a volume's database: ${messageOf(error)}`, error);
  }
}

function requireVolume(database: SyncDatabase, path: string, prefix: string, uuid: string): void {
  const tables = prepare(
    database,
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
  )
    .all()
    .map((row) => String(row["name"]));
  if (!tables.includes(`${prefix}setting`))
    throw refuse("target-other-volume", `${path} holds no volume with the table prefix ${prefix}`);
  const foreign = tables.find(
    (name) => !name.startsWith(prefix) || (name.endsWith("_setting") && name !== `${prefix}setting`),
  );
  if (foreign !== undefined) {
    throw refuse(
      "target-shared",
      `${path} holds more than the volume, for example table ${foreign}, which would be lost with the file`,
    );
  }
  const value = prepare(database, `SELECT value FROM \`${prefix}setting\` WHERE name = 'format'`).get()?.["value"];
  const found = typeof value === "string" ? settingText(parseSetting(value), "UUID") : undefined;
  if (found !== uuid)
    throw refuse(
      "target-other-volume",
      `${path} holds ${found === undefined ? "no formatted volume" : `the volume ${found}`}, not ${uuid}`,
    );
}

function requireNoSession(database: SyncDatabase, path: string, prefix: string, now: number): void {
  const has = (table: string): boolean =>
    prepare(database, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?").get(prefix + table) !==
    undefined;
  const live: unknown[] = [];
  if (has("session2"))
    live.push(...prepare(database, `SELECT sid, info FROM \`${prefix}session2\` WHERE expire > ?`).all(now));
  if (has("session")) {
    live.push(
      ...prepare(database, `SELECT sid, info FROM \`${prefix}session\` WHERE heartbeat > ?`).all(
        now - legacySessionSeconds,
      ),
    );
  }
  if (live.length === 0) return;
  throw refuse(
    "target-in-use",
    `${path} has ${live.length} live session${live.length > 1 ? "s" : ""} of the volume, for example ${nameOf(live[0] as Record<string, unknown>)}`,
  );
}

function nameOf(session: Record<string, unknown>): string {
  let where = "";
  try {
    const info = JSON.parse(new TextDecoder().decode(session["info"] as Uint8Array)) as {
      HostName?: unknown;
      MountPoint?: unknown;
    };
    where = ` (${String(info.HostName)}, ${String(info.MountPoint)})`;
  } catch {
    // The number says enough.
  }
  return `number ${String(session["sid"])}${where}`;
}

function refuse(code: string, message: string, cause?: unknown): CairnError {
  return new CairnError(code, message, {
    unharmed: "it was left as it is",
    next:
      code === "target-in-use"
        ? "unmount the volume everywhere, wait a minute for its sessions to end, and run it again"
        : "check the URL and the UUID, or restore into a new file",
    exit: "targetRefused",
    cause,
  });
}
