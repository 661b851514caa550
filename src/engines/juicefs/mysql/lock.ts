import { createHash } from "node:crypto";
import { CairnError } from "../../../model/errors.ts";
import type { MysqlConnection } from "../../../protocols/mysql/connection.ts";
import { MysqlServerError } from "../../../protocols/mysql/server-error.ts";
import type { EngineContext } from "./engine-error.ts";
import { literal } from "./session.ts";

const noSuchThread = 1094;

/**
 * The name of the lock that one restore into a place holds; at most 64 characters, and the server has one set of names for all databases. In lower
 * case, for names that differ in case only may be one place.
 */
function lockName(database: string, tablePrefix: string): string {
  return `cairn:${createHash("sha256").update(`${database}\0${tablePrefix}`.toLowerCase()).digest("hex").slice(0, 40)}`;
}

/** Names the connections of one restore, for as long as they live: the server itself tells which they are. */
function connectionLocks(restore: string): string[] {
  return [0, 1, 2].map((nth) => `cairn:${restore}:${nth}`);
}

/** Lets `endConnections` find these connections. */
export async function nameConnections(connections: readonly MysqlConnection[], restore: string): Promise<void> {
  const names = connectionLocks(restore);
  for (const [nth, connection] of connections.entries())
    await connection.query(`SELECT GET_LOCK(${literal(names[nth])}, 0)`);
}

/** Ends what connections of a restore still live: the server goes on with a statement, such as one that builds an index, when nobody waits for it. */
export async function endConnections(connection: MysqlConnection, restore: string): Promise<void> {
  for (const name of connectionLocks(restore)) {
    const [row] = await connection.query(`SELECT IS_USED_LOCK(${literal(name)})`);
    if (row[0] === null) continue;
    try {
      await connection.run(`KILL ${String(row[0])}`);
    } catch (error) {
      // It has ended by itself.
      if (!(error instanceof MysqlServerError) || error.number !== noSuchThread) throw error;
    }
  }
}

/** Takes the lock for as long as the connection lives. Throws `target-in-use`. */
export async function lockTarget(
  connection: MysqlConnection,
  context: EngineContext,
  tablePrefix: string,
  waitSeconds = 0,
): Promise<void> {
  const name = lockName(context.database, tablePrefix);
  const [row] = await connection.query(`SELECT GET_LOCK(${literal(name)}, ${waitSeconds})`);
  if (String(row[0]) === "1") return;
  throw new CairnError("target-in-use", `another restore into ${context.location} is under way`, {
    unharmed: "nothing was written",
    next: "wait until it has ended; the server ends a killed one's connection within moments",
    exit: "targetRefused",
  });
}
