import type { MysqlConnection } from "../../../protocols/mysql/connection.ts";
import { logIn } from "../../../protocols/mysql/log-in.ts";
import type { EngineContext } from "./engine-error.ts";
import type { MysqlUrl } from "./url.ts";

/** Longest that the server waits for us: pauses of the pipeline are no reason to end the connection. */
const patienceSeconds = 86_400;

/** What stands in an error: filled in as it becomes known. */
export function contextOf(url: MysqlUrl, role: EngineContext["role"]): EngineContext {
  return { location: url.location, role, database: url.address.database };
}

/**
 * Logs in and sets what a long read or write needs: no time-outs of ours, text in UTF-8, strict. Fills in the context's account. Throws errors of
 * `protocols/mysql`.
 */
export async function openSession(
  url: MysqlUrl,
  context: EngineContext,
  options: { localData?: boolean } = {},
): Promise<MysqlConnection> {
  const connection = await logIn(url.address, options);
  try {
    await connection.run("SET NAMES utf8mb4");
    await connection.run(
      `SET SESSION net_write_timeout = ${patienceSeconds}, net_read_timeout = ${patienceSeconds}, wait_timeout = ${patienceSeconds}, ` +
        "time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO'",
    );
    // Kills a statement that runs for long; each of the two servers has its own.
    await connection.run(
      connection.isMariaDb ? "SET SESSION max_statement_time = 0" : "SET SESSION max_execution_time = 0",
    );
    const [row] = await connection.query("SELECT CURRENT_USER()");
    context.account = quotedAccount(String(row[0]));
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** `jfs@%` as GRANT wants it. */
function quotedAccount(account: string): string {
  const at = account.lastIndexOf("@");
  return `'${account.slice(0, at)}'@'${account.slice(at + 1)}'`;
}

/** A name in back quotes. */
export function quoted(name: string): string {
  return `\`${name.replaceAll("`", "``")}\``;
}

/** A text literal; for names of our own and of the catalogue. */
export function literal(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}
