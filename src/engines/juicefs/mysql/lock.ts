import { createHash } from "node:crypto";
import { CairnError } from "../../../model/errors.ts";
import type { MysqlConnection } from "../../../protocols/mysql/connection.ts";
import type { EngineContext } from "./engine-error.ts";
import { literal } from "./session.ts";

/** The name of the lock that one restore into a place holds; at most 64 characters, and the server has one set of names for all databases. */
function lockName(database: string, tablePrefix: string): string {
  return `cairn:${createHash("sha256").update(`${database}\0${tablePrefix}`).digest("hex").slice(0, 40)}`;
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
