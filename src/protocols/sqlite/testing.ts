import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import type { TestContext } from "node:test";

import { bytesSink, integer64Sink, unsigned32Sink } from "../../std/column-sink.ts";
import type { ColumnSink } from "../../std/column-sink.ts";
import type { Database } from "./database.ts";
import { openTableScan } from "./scan-table.ts";
import type { TableScanOptions } from "./scan-table.ts";

/** What the tests of this folder share: databases made by SQLite itself, in folders that go away. */
export function scratchFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "cairn-sqlite-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs statements on a database file through SQLite and closes it. */
export function runSql(path: string, ...statements: string[]): void {
  const connection = new DatabaseSync(path);
  try {
    for (const statement of statements) connection.exec(statement);
  } finally {
    connection.close();
  }
}

/** Rows of a query through SQLite: integers as bigints, bytes as hexadecimal text. */
export function queryRows(path: string, sql: string): unknown[][] {
  // Not read-only: a read-only connection, when it is the last, leaves the side files of a WAL database behind.
  const connection = new DatabaseSync(path);
  try {
    const statement = connection.prepare(sql);
    statement.setReadBigInts(true);
    statement.setReturnArrays(true);
    const rows = statement.all() as unknown as unknown[][];
    return rows.map((row) => row.map((value) => (value instanceof Uint8Array ? hex(value) : value)));
  } finally {
    connection.close();
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

export type SinkType = ColumnSink["type"];

export interface ScanAllOptions extends Omit<TableScanOptions, "columns"> {
  /** Rows that the sinks hold. */
  readonly sinkRows?: number;
}

/** Scans a table and gives rows as `queryRows` does: the wanted columns in their order. NULLs come as 0 and no bytes. */
export function scanAll(
  database: Database,
  table: string,
  columns: Readonly<Record<string, SinkType>>,
  options: ScanAllOptions = {},
): unknown[][] {
  const rowMax = options.sinkRows ?? 100;
  const sinks: Record<string, ColumnSink> = {};
  for (const [name, type] of Object.entries(columns)) {
    if (type === "bytes") sinks[name] = bytesSink(rowMax, 16);
    else sinks[name] = type === "u32" ? unsigned32Sink(rowMax) : integer64Sink(rowMax);
  }
  const scan = openTableScan(database, table, { ...options, columns: sinks });
  const rows: unknown[][] = [];
  for (let count = scan.next(); count > 0; count = scan.next()) {
    for (let row = 0; row < count; row++) rows.push(Object.values(sinks).map((sink) => valueAt(sink, row)));
  }
  return rows;
}

export function valueAt(sink: ColumnSink, row: number): unknown {
  if (sink.type === "bytes") return hex(sink.arena.subarray(sink.offsets[row], sink.offsets[row + 1]));
  if (sink.type === "u32") return BigInt(sink.values[row]);
  return BigInt.asIntN(64, (BigInt(sink.values[2 * row + 1]) << 32n) | BigInt(sink.values[2 * row]));
}

/** A client in a process of its own, since locks of one process do not keep it from anything. */
export interface Client {
  readonly pid: number;
  /** Runs statements; resolves when they are done, rejects with SQLite's message. */
  run(sql: string): Promise<void>;
  /** Runs the text of an async function with `db` and `sleep` until `stop` is called; then resolves with its result. */
  begin(body: string): void;
  /** Ends a `begin` by setting `stopped`; what the function returned, or an error's message. */
  stop(): Promise<unknown>;
  /** Closes the connection and ends the process, or kills it at once. */
  end(how?: "close" | "kill"): Promise<void>;
}

const clientScript = `
const { DatabaseSync } = require("node:sqlite");
const { createInterface } = require("node:readline");
const db = new DatabaseSync(process.argv[1], { timeout: 5000 });
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const state = { stopped: false };
let running = Promise.resolve(null);
const say = (answer) => process.stdout.write(JSON.stringify(answer) + "\\n");
createInterface({ input: process.stdin }).on("line", async (line) => {
  const { sql, body, stop, close } = JSON.parse(line);
  try {
    if (sql !== undefined) db.exec(sql);
    if (body !== undefined) running = new Function("db", "sleep", "state", "return (async () => {" + body + "})()")(db, sleep, state);
    if (stop) state.stopped = true;
    say({ result: stop ? await running : null });
    if (close) { db.close(); process.exit(0); }
  } catch (error) { say({ error: String(error.message) }); }
});
`;

export async function startClient(context: TestContext, path: string): Promise<Client> {
  const child = spawn(process.execPath, ["-e", clientScript, path], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "exit");
  context.after(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  const waiting: ((answer: { result?: unknown; error?: string }) => void)[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => waiting.shift()?.(JSON.parse(line) as object));
  async function ask(request: object): Promise<unknown> {
    const answer = new Promise<{ result?: unknown; error?: string }>((resolve) => waiting.push(resolve));
    child.stdin.write(`${JSON.stringify(request)}\n`);
    const { result, error } = await answer;
    if (error !== undefined) throw new Error(error);
    return result;
  }
  await ask({});
  return {
    pid: child.pid ?? 0,
    run: async (sql) => void (await ask({ sql })),
    begin: (body) => void ask({ body }),
    stop: async () => await ask({ stop: true }),
    async end(how = "close") {
      if (how === "kill") child.kill("SIGKILL");
      else await ask({ close: true });
      await ended;
    },
  };
}
