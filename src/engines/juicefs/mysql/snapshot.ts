import { CairnError } from "../../../model/errors.ts";
import type { Consistency, Facts } from "../../../model/ports.ts";
import type { MysqlConnection } from "../../../protocols/mysql/connection.ts";
import { MysqlServerError } from "../../../protocols/mysql/server-error.ts";
import type { EngineContext } from "./engine-error.ts";
import { literal } from "./session.ts";

/** Where in the server's own log a snapshot stands, where it has one, and between which of its times it was taken. */
export interface SnapshotPosition {
  readonly position: Facts;
}

export const snapshotConsistency: Consistency = {
  level: "snapshot",
  method: "one transaction (REPEATABLE READ, WITH CONSISTENT SNAPSHOT) over InnoDB tables",
};

/**
 * Begins the transaction that all tables are read in. The isolation level is set first and read back: under another one the server ignores the
 * snapshot, with a mere warning. Never locks a table.
 */
export async function beginSnapshot(connection: MysqlConnection, context: EngineContext): Promise<SnapshotPosition> {
  await connection.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ");
  const isolation = await readIsolation(connection);
  if (isolation !== "REPEATABLE-READ") throw noSnapshot(context, `the isolation level stays at ${isolation}`);
  const takenAfter = await readClock(connection);
  const before = await readLogEnd(connection);
  const { warnings } = await connection.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY");
  if (warnings > 0) {
    const [warning] = await connection.query("SHOW WARNINGS");
    throw noSnapshot(context, String(warning?.[2] ?? "it was ignored"));
  }
  const exact = await readSnapshotPosition(connection);
  const inLog = exact ?? positionBetween(before, await readLogEnd(connection));
  return { position: { ...inLog, takenAfter, takenBefore: await readClock(connection) } };
}

/** The server's time, in UTC. */
async function readClock(connection: MysqlConnection): Promise<string> {
  const [row] = await connection.query("SELECT UTC_TIMESTAMP(6)");
  return `${String(row[0]).replace(" ", "T")}Z`;
}

async function readIsolation(connection: MysqlConnection): Promise<string> {
  const rows = await connection.query(
    "SHOW SESSION VARIABLES WHERE Variable_name IN ('transaction_isolation', 'tx_isolation')",
  );
  return String(rows[0]?.[1] ?? "unknown").toUpperCase();
}

/** MariaDB (and Percona's server) know where in the binary log the snapshot of this session stands. */
async function readSnapshotPosition(connection: MysqlConnection): Promise<Facts | undefined> {
  const rows = await connection.query("SHOW SESSION STATUS LIKE 'binlog_snapshot_%'");
  const values = new Map(rows.map(([name, value]) => [String(name).toLowerCase(), String(value ?? "")]));
  const file = values.get("binlog_snapshot_file") ?? "";
  const offset = values.get("binlog_snapshot_position") ?? "";
  if (file === "" || offset === "") return undefined;
  const position: Facts = { binlogFile: file, binlogPosition: offset };
  const gtid = values.get("binlog_snapshot_gtid_executed") ?? (await gtidOf(connection, file, offset));
  if (gtid !== undefined && gtid !== "" && gtid !== "not-in-consistent-snapshot") position["gtid"] = gtid;
  return position;
}

async function gtidOf(connection: MysqlConnection, file: string, offset: string): Promise<string | undefined> {
  if (!connection.isMariaDb || !/^\d+$/.test(offset)) return undefined;
  const [row] = await connection.query(`SELECT BINLOG_GTID_POS(${literal(file)}, ${offset})`);
  return row?.[0] === null || row === undefined ? undefined : String(row[0]);
}

interface LogEnd {
  readonly file?: string;
  readonly offset?: string;
  readonly gtid?: string;
}

/** The end of the server's binary log; empty where there is none, or where the account may not see it. */
async function readLogEnd(connection: MysqlConnection): Promise<LogEnd> {
  const variable = connection.isMariaDb ? "gtid_binlog_pos" : "gtid_executed";
  const rows = await connection.query(`SHOW GLOBAL VARIABLES LIKE '${variable}'`);
  const gtid = String(rows[0]?.[1] ?? "").replaceAll("\n", "");
  const [status] = await tryQuery(connection, ["SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"]);
  const known = gtid === "" ? {} : { gtid };
  if (status === undefined) return known;
  return { ...known, file: String(status[0]), offset: String(status[1]) };
}

/** The first statement that this server knows and allows. */
async function tryQuery(
  connection: MysqlConnection,
  statements: readonly string[],
): ReturnType<MysqlConnection["query"]> {
  for (const statement of statements) {
    try {
      return await connection.query(statement);
    } catch (error) {
      if (!(error instanceof MysqlServerError)) throw error;
    }
  }
  return [];
}

/** Exact where nothing was written between the two looks; else the range in which the snapshot stands. */
function positionBetween(before: LogEnd, after: LogEnd): Facts {
  const position: Facts = {};
  put("binlogFile", before.file, after.file);
  put("binlogPosition", before.offset, after.offset);
  put("gtid", before.gtid, after.gtid);
  return position;

  function put(name: string, least: string | undefined, most: string | undefined): void {
    if (least === undefined || most === undefined) return;
    const isExact = before.file === after.file && before.offset === after.offset && before.gtid === after.gtid;
    if (isExact) position[name] = least;
    else {
      position[`${name}After`] = least;
      position[`${name}Before`] = most;
    }
  }
}

function noSnapshot({ location }: EngineContext, why: string): CairnError {
  return new CairnError("no-snapshot", `${location} gives no consistent snapshot: ${why}`, {
    unharmed: "the database was only read",
    next: "connect to the server itself, not through a proxy that changes the isolation level",
    exit: "sourceUnreachable",
  });
}
