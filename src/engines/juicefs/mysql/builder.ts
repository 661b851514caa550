import type { Batch } from "../../../model/batch.ts";
import { integersOf, unsignedAt } from "../../../model/batch.ts";
import { CairnError } from "../../../model/errors.ts";
import { juicefsTable } from "../../../model/juicefs.ts";
import type { Facts } from "../../../model/ports.ts";
import type { MysqlConnection } from "../../../protocols/mysql/connection.ts";
import type { JuicefsLine } from "../lines.ts";
import { restoredSession } from "../restored-session.ts";
import { SliceSet } from "../slice-set.ts";
import {
  chunkTable,
  delayedSliceTable,
  dirQuotaTable,
  edgeTable,
  nodeTable,
  ownerQuotaTable,
  plainTables,
  sliceRefTable,
} from "../sql/canonical-tables.ts";
import { counterRows, takeCounters } from "../sql/restored-rows.ts";
import { splitQuotas } from "../sql/split-quotas.ts";
import type { SqlTable } from "../sql/tables.ts";
import { tablesOfLine } from "../sql/tables.ts";
import { visitSlices } from "../volume-checks.ts";
import { addIndexesSql, createTableSql } from "./dialect.ts";
import type { MadeTables } from "./made-tables.ts";
import { literal, quoted } from "./session.ts";
import { eachSliceRefBatch } from "./slice-ref-batches.ts";
import type { LoadWay, TableLoader } from "./table-loader.ts";
import { openTableLoader } from "./table-loader.ts";
import { layouts } from "./table-rows.ts";

export interface BuilderOptions {
  readonly line: JuicefsLine;
  readonly tablePrefix: string;
  readonly facts: Facts;
  /** Records by canonical table. */
  readonly counts: Readonly<Record<string, number>>;
  readonly temporaryFolder: string;
  readonly memoryBytes: number;
  /** Seconds since 1970: restored sessions are made to have ended before. */
  readonly now: number;
}

/** Rows go over some connections, while another one builds the indexes of tables that are complete. */
export interface BuilderConnections {
  readonly rows: readonly [MysqlConnection, ...MysqlConnection[]];
  readonly indexes: MysqlConnection;
}

/** Fills the tables of a volume: everything but the setting. Tables come in the kind's order. */
export interface Builder extends Disposable {
  /** Makes the tables; those that get no records, with their indexes. */
  createTables(made: MadeTables): Promise<void>;
  write(batch: Batch): Promise<void>;
  /** Counters, reference counts, sessions, then the indexes that are left. `progress` gets finished and all indexes. */
  finish(progress: (done: number, total: number) => void): Promise<void>;
}

/** Tables whose rows are held back to the end, or made at the end. */
const tableOfCanonical = new Map(
  [nodeTable, edgeTable, chunkTable, delayedSliceTable, sliceRefTable, ...plainTables].map(
    ({ canonicalTable, table }) => [canonicalTable, table],
  ),
);

/** The names of all tables that a restore for this line makes. */
export function restoredTables(line: JuicefsLine, prefix: string): string[] {
  return tablesOfLine(line).map(({ name }) => prefix + name);
}

export function openBuilder(
  { rows: rowConnections, indexes }: BuilderConnections,
  way: LoadWay,
  options: BuilderOptions,
): Builder {
  const { line, tablePrefix: prefix, counts } = options;
  const tables = tablesOfLine(line);
  const [rows] = rowConnections;
  const slices = new SliceSet(options.temporaryFolder, options.memoryBytes / 4);
  const exceptions = new SliceSet(options.temporaryFolder, options.memoryBytes / 16);
  const counters = new Map<string, bigint>();
  const sessions = new Set<bigint>();
  const queued = new Set<string>();
  let current: { table: SqlTable; loader: TableLoader } | undefined;
  let indexing: Promise<void> = Promise.resolve();
  let indexed = 0;
  let report = (): void => {};

  /** Tables that get rows, and with them their indexes later. */
  const filled = new Set(tables.filter(({ name }) => isFilled(name, counts)).map(({ name }) => name));
  const indexesLater = tables.filter((table) => filled.has(table.name) && table.indexes.length > 0);

  async function openTable(name: string): Promise<TableLoader> {
    if (current?.table.name === name) return current.loader;
    await closeTable();
    const table = tables.find((candidate) => candidate.name === name);
    const layout = layouts.get(name);
    if (table === undefined || layout === undefined) {
      throw new CairnError(
        "does-not-fit",
        `JuiceFS ${line} has no table ${name}, and the snapshot has records for it`,
        {
          unharmed: "what was written is removed",
          next: "restore for a newer line of JuiceFS",
          exit: "targetRefused",
        },
      );
    }
    const columns = table.columns.map((column) => column.name);
    current = { table, loader: openTableLoader(rowConnections, way, prefix, layout, columns) };
    return current.loader;
  }

  async function closeTable(): Promise<void> {
    if (current === undefined) return;
    const { table, loader } = current;
    await loader.end();
    current = undefined;
    // Most of the reference counts follow at the end.
    if (table.name !== sliceRefTable.table && indexesLater.includes(table)) addIndexes(table);
  }

  function addIndexes(table: SqlTable): void {
    const sql = addIndexesSql(prefix, table);
    if (sql === undefined) return;
    queued.add(table.name);
    indexing = indexing.then(async () => {
      await indexes.run(sql);
      indexed++;
      report();
    });
    // Seen when it is waited for.
    indexing.catch(() => {});
  }

  async function write(batch: Batch): Promise<void> {
    if (batch.table === juicefsTable.counter) {
      takeCounters(batch, counters);
      return;
    }
    if (batch.table === juicefsTable.quota) {
      const { dirs, owners } = splitQuotas(batch);
      if (dirs !== undefined) await (await openTable(dirQuotaTable.table)).write(dirs);
      if (owners !== undefined) await (await openTable(ownerQuotaTable.table)).write(owners);
      return;
    }
    if (batch.table === juicefsTable.chunk || batch.table === juicefsTable.delayedSlice) {
      visitSlices(batch, { addMention: (low, high, size) => slices.add(low, high, size) });
    }
    if (batch.table === juicefsTable.sliceRef) {
      const ids = integersOf(batch, 0);
      const sizes = integersOf(batch, 1);
      for (let row = 0; row < batch.count; row++) exceptions.add(ids[2 * row], ids[2 * row + 1], sizes[row]);
    }
    if (batch.table === juicefsTable.sustained) {
      for (let row = 0; row < batch.count; row++) sessions.add(unsignedAt(integersOf(batch, 0), row));
    }
    const name = tableOfCanonical.get(batch.table);
    if (name === undefined) throw new RangeError(`table ${batch.table} cannot be written here`);
    await (await openTable(name)).write(batch);
  }

  async function finish(progress: (done: number, total: number) => void): Promise<void> {
    report = () => progress(indexed, indexesLater.length);
    report();
    await closeTable();
    const refs = await openTable(sliceRefTable.table);
    for (const batch of eachSliceRefBatch(slices, exceptions)) await refs.write(batch);
    await closeTable();
    const refTable = indexesLater.find(({ name }) => name === sliceRefTable.table);
    if (refTable !== undefined) addIndexes(refTable);
    await insertCounters();
    await insertSessions();
    for (const table of indexesLater) if (!queued.has(table.name)) addIndexes(table);
    await indexing;
    const names = tables.filter(({ name }) => filled.has(name)).map(({ name }) => quoted(prefix + name));
    if (names.length > 0) await rows.query(`ANALYZE LOCAL TABLE ${names.join(", ")}`);
  }

  async function insertCounters(): Promise<void> {
    const values = [...counterRows(counters, options.facts, sessions)]
      .map(([name, value]) => `(${literal(name)}, ${value})`)
      .join(", ");
    await rows.run(`INSERT INTO ${quoted(`${prefix}counter`)} (name, value) VALUES ${values}`);
  }

  /**
   * An ended session for every one that held deleted files open: the first client that cleans up finds it and frees them. Without it they would stay
   * for ever.
   */
  async function insertSessions(): Promise<void> {
    const { expire, info } = restoredSession(options.now);
    const all = [...sessions];
    for (let at = 0; at < all.length; at += 256) {
      const values = all.slice(at, at + 256).map((session) => `(${session}, ${expire}, ${literal(info)})`);
      await rows.run(`INSERT INTO ${quoted(`${prefix}session2`)} (sid, expire, info) VALUES ${values.join(", ")}`);
    }
  }

  return {
    async createTables(made) {
      for (const table of tables) {
        await made.create(table.name, () => rows.run(createTableSql(prefix, table)));
        const sql = addIndexesSql(prefix, table);
        if (sql !== undefined && !indexesLater.includes(table)) await rows.run(sql);
      }
    },
    write,
    finish,
    [Symbol.dispose]() {
      slices[Symbol.dispose]();
      exceptions[Symbol.dispose]();
    },
  };
}

/** Whether a SQL table gets rows from the snapshot. */
function isFilled(name: string, counts: Readonly<Record<string, number>>): boolean {
  const has = (canonical: string): boolean => (counts[canonical] ?? 0) > 0;
  switch (name) {
    case "chunk_ref":
      return has("chunk") || has("slice_ref") || has("delayed_slice");
    case "dir_stats":
      return has("dir_stat");
    case "dir_quota":
    case "user_group_quota":
      return has("quota");
    case "delfile":
      return has("deleted_file");
    case "delslices":
      return has("delayed_slice");
    default:
      return has(name);
  }
}
