import type { Batch, BytesColumn } from "../../../model/batch.ts";
import { integersOf, unsignedAt } from "../../../model/batch.ts";
import { CairnError } from "../../../model/errors.ts";
import { juicefsTable } from "../../../model/juicefs.ts";
import type { Facts } from "../../../model/ports.ts";
import type { JuicefsLine } from "../lines.ts";
import { restoredSession } from "../restored-session.ts";
import { counterRows, takeCounters } from "../sql/restored-rows.ts";
import { splitQuotas } from "../sql/split-quotas.ts";
import { SliceSet } from "../slice-set.ts";
import { eachChunkSlice, eachDelayedSlice } from "../slices.ts";
import type { Inserter } from "./inserter.ts";
import { openInserter } from "./inserter.ts";
import type { TableBinder } from "./row-binders.ts";
import { dirQuotaBinder, ownerQuotaBinder, tableBinders } from "./row-binders.ts";
import { tablesOfLine } from "../sql/tables.ts";
import { createIndexSql, createTableSql } from "./schema.ts";
import type { SyncDatabase } from "./sync-database.ts";
import { openSyncDatabase, prepare, scalar } from "./sync-database.ts";

export interface BuilderOptions {
  readonly path: string;
  readonly line: JuicefsLine;
  readonly tablePrefix: string;
  readonly facts: Facts;
  readonly temporaryFolder: string;
  readonly memoryBytes: number;
  /** Seconds since 1970: restored sessions are made to have ended before. */
  readonly now: number;
}

/** Builds a database file at a temporary path: everything but the setting. Synchronous; runs in a thread of its own. */
export interface Builder extends Disposable {
  write(batch: Batch): void;
  /** Counters, reference counts, sessions, then the indexes; commits and closes the file. `progress` gets finished and all indexes. */
  finish(progress: (done: number, total: number) => void): void;
}

export function openBuilder(options: BuilderOptions): Builder {
  const { path, line, tablePrefix: prefix } = options;
  const database = openSyncDatabase(path);
  // No journal and no flushes: whatever goes wrong, the file is thrown away; it is flushed before it gets its name.
  database.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE");
  // Half for SQLite's pages and sorter, a quarter for slices; the rest is batches under way.
  database.exec(
    `PRAGMA cache_size = -${Math.max(2000, Math.floor(options.memoryBytes / 2048))}; PRAGMA temp_store = FILE`,
  );
  setTemporaryFolder(database, options.temporaryFolder);
  const tables = tablesOfLine(line);
  for (const table of tables) database.exec(createTableSql(prefix, table));
  database.exec("BEGIN");

  const slices = new SliceSet(options.temporaryFolder, options.memoryBytes / 4);
  const addSlice = (idLow: number, idHigh: number, size: number): void => {
    if (idLow !== 0 || idHigh !== 0) slices.add(idLow, idHigh, size);
  };
  const inserters = new Map<TableBinder, Inserter>();
  const counters = new Map<string, bigint>();
  const sessions = new Set<bigint>();

  function insert(binder: TableBinder, batch: Batch): void {
    let inserter = inserters.get(binder);
    if (inserter === undefined) {
      const table = tables.find((candidate) => candidate.name === binder.table);
      if (table === undefined) {
        throw new CairnError("does-not-fit", `JuiceFS ${line} has no table for ${binder.table} records`, {
          unharmed: "the unfinished file was removed; nothing else was touched",
          next: "restore for a newer line of JuiceFS",
          exit: "targetRefused",
        });
      }
      inserter = openInserter(database, prefix, table, binder);
      inserters.set(binder, inserter);
    }
    inserter.insert(batch);
  }

  function write(batch: Batch): void {
    if (batch.table === juicefsTable.counter) {
      takeCounters(batch, counters);
      return;
    }
    if (batch.table === juicefsTable.quota) {
      const { dirs, owners } = splitQuotas(batch);
      if (dirs !== undefined) insert(dirQuotaBinder, dirs);
      if (owners !== undefined) insert(ownerQuotaBinder, owners);
      return;
    }
    if (batch.table === juicefsTable.chunk)
      eachBlob(batch, 2, (bytes, start, end) => eachChunkSlice(bytes, start, end, addSlice));
    if (batch.table === juicefsTable.delayedSlice) {
      eachBlob(batch, 2, (bytes, start, end) => eachDelayedSlice(bytes, start, end, addSlice));
    }
    if (batch.table === juicefsTable.sustained) {
      for (let row = 0; row < batch.count; row++) sessions.add(unsignedAt(integersOf(batch, 0), row));
    }
    const binder = tableBinders[batch.table];
    if (binder === undefined) throw new RangeError(`table ${batch.table} cannot be written here`);
    insert(binder, batch);
  }

  function finish(progress: (done: number, total: number) => void): void {
    insertSliceRefs(database, prefix, slices);
    insertCounters(database, prefix, counterRows(counters, options.facts, sessions));
    insertSessions(database, prefix, sessions, options.now);
    const statements = tables.flatMap((table) => createIndexSql(prefix, table));
    progress(0, statements.length);
    statements.forEach((statement, at) => {
      database.exec(statement);
      progress(at + 1, statements.length);
    });
    database.exec("COMMIT");
    database.close();
  }

  return {
    write,
    finish,
    [Symbol.dispose]() {
      slices[Symbol.dispose]();
      if (database.isOpen) database.close();
    },
  };
}

/**
 * Where indexes are sorted; by itself SQLite takes the system's folder, which may be small or in memory. One setting for the process, which is
 * not to be changed while it is used: so only once.
 */
function setTemporaryFolder(database: SyncDatabase, folder: string): void {
  const set = scalar(database, "PRAGMA temp_store_directory");
  if (set === undefined || set === "") database.exec(`PRAGMA temp_store_directory = '${folder.replaceAll("'", "''")}'`);
}

function eachBlob(batch: Batch, index: number, visit: (bytes: Uint8Array, start: number, end: number) => void): void {
  const column = batch.columns[index] as BytesColumn | undefined;
  if (column === undefined) return;
  for (let row = 0; row < batch.count; row++) visit(column.arena, column.offsets[row], column.offsets[row + 1]);
}

/**
 * A `chunk_ref` row with one reference for every slice in use that has no stored exception: those were inserted before, and stay. In the
 * order of the ids, which is the order of the table.
 */
function insertSliceRefs(database: SyncDatabase, prefix: string, slices: SliceSet): void {
  const rowsPerStatement = 128;
  const statementOf = (rows: number): ReturnType<typeof prepare> =>
    prepare(
      database,
      `INSERT OR IGNORE INTO \`${prefix}chunk_ref\` (chunkid, size, refs) VALUES ${Array.from({ length: rows }, () => "(?,?,1)").join(",")}`,
    );
  const many = statementOf(rowsPerStatement);
  const one = statementOf(1);
  let values: (number | bigint)[] = [];
  for (const run of slices.sorted()) {
    for (let at = 0; at < run.count; at++) {
      const high = run.idsHigh[at];
      const low = run.idsLow[at];
      values.push(high < 0x200000 ? high * 4294967296 + low : (BigInt(high) << 32n) | BigInt(low), run.sizes[at]);
      if (values.length === 2 * rowsPerStatement) {
        many.run(...values);
        values = [];
      }
    }
  }
  for (let at = 0; at < values.length; at += 2) one.run(values[at], values[at + 1]);
}

function insertCounters(database: SyncDatabase, prefix: string, rows: ReadonlyMap<string, bigint>): void {
  const statement = prepare(database, `INSERT INTO \`${prefix}counter\` (name, value) VALUES (?, ?)`);
  for (const [name, value] of rows) statement.run(name, value);
}

function insertSessions(database: SyncDatabase, prefix: string, sessions: ReadonlySet<bigint>, now: number): void {
  if (sessions.size === 0) return;
  const { expire, info } = restoredSession(now);
  const statement = prepare(database, `INSERT INTO \`${prefix}session2\` (sid, expire, info) VALUES (?, ?, ?)`);
  for (const session of sessions) statement.run(session, expire, Buffer.from(info));
}
