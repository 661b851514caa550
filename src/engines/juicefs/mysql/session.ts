import type { MysqlConnection } from "../../../protocols/mysql/connection.ts";
import { logIn } from "../../../protocols/mysql/log-in.ts";
import type { EngineContext } from "./engine-error.ts";
import type { MysqlUrl } from "./url.ts";

/** Longest that the server waits for us: pauses of the pipeline are no reason to end the connection. */
const patienceSeconds = 86_400;

/** Nothing that an administrator may have set for all clients shall cut a result off, leave a statement open, or end it for taking long. */
const commonVariables: Readonly<Record<string, string>> = {
  autocommit: "1",
  completion_type: "'NO_CHAIN'",
  default_storage_engine: "InnoDB",
  net_read_timeout: `${patienceSeconds}`,
  net_write_timeout: `${patienceSeconds}`,
  sql_big_selects: "1",
  sql_mode: "'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO'",
  sql_select_limit: "18446744073709551615",
  time_zone: "'+00:00'",
  wait_timeout: `${patienceSeconds}`,
};
const mysqlVariables = { max_execution_time: "0" };
const mariadbVariables = {
  idle_readonly_transaction_timeout: "0",
  idle_transaction_timeout: "0",
  idle_write_transaction_timeout: "0",
  max_statement_time: "0",
};

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
    const variables = { ...commonVariables, ...(connection.isMariaDb ? mariadbVariables : mysqlVariables) };
    const assignments = Object.entries(variables).map(([name, value]) => `${name} = ${value}`);
    await connection.run(`SET SESSION ${assignments.join(", ")}`);
    const [row] = await connection.query("SELECT CURRENT_USER()");
    context.account = quotedAccount(String(row[0]));
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/**
 * The URL as the server takes its names: with lower_case_table_names other than 0, names that differ in case only are one table, and `ABC` is `abc`.
 */
export async function foldedUrl(connection: MysqlConnection, url: MysqlUrl): Promise<MysqlUrl> {
  const [row] = await connection.query("SELECT @@lower_case_table_names");
  return String(row[0]) === "0" ? url : { ...url, tablePrefix: url.tablePrefix.toLowerCase() };
}

/** The name of a table in the catalogue, in the letters that `foldedUrl` gives. */
export const foldedTableName = "IF(@@lower_case_table_names = 0, table_name, LOWER(table_name))";

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
