import type { Batch } from "../../../model/batch.ts";
import { batchFromRows, signedAt } from "../../../model/batch.ts";
import { juicefs, juicefsTable } from "../../../model/juicefs.ts";
import type { Facts, Finding } from "../../../model/ports.ts";
import { integer64Sink } from "../../../std/column-sink.ts";
import type { Database } from "../../../protocols/sqlite/database.ts";
import { readRows } from "../../../protocols/sqlite/read-rows.ts";
import type { SqlValue } from "../../../protocols/sqlite/record.ts";
import { openTableScan } from "../../../protocols/sqlite/scan-table.ts";
import { canonicalCounters } from "../counters.ts";
import type { SplitSetting } from "../secrets.ts";
import type { SettingField } from "../setting.ts";
import { settingRows, settingText } from "../setting.ts";
import { SliceRefCheck } from "../slice-ref-check.ts";
import type { SliceRefVisitor } from "../slice-ref-differences.ts";
import { findSliceRefDifferences } from "../slice-ref-differences.ts";
import {
  chunkTable,
  delayedSliceTable,
  edgeTable,
  nodeTable,
  plainTables,
  sliceRefTable,
} from "../sql/canonical-tables.ts";
import type { CanonicalTable } from "../sql/canonical-tables.ts";
import type { ScanExtras } from "../sql/node-times.ts";
import { nodeTimes } from "../sql/node-times.ts";
import { counterRowsMax, countersOfRows, settingOfRows, settingRowsMax } from "../sql/read-rows.ts";
import { sqlTables } from "../sql/tables.ts";
import type { VolumeSchema } from "../sql/volume-schema.ts";
import { readVolumeSchema } from "../sql/volume-schema.ts";
import { batchRecords } from "../take-columns.ts";
import { endOfTable, seeStoredRefs, visitSlices, VolumeChecks } from "../volume-checks.ts";
import { tableBatches } from "./table-batches.ts";

export interface VolumeReaderOptions {
  readonly tablePrefix: string;
  /** Hand the secrets on in the summary. */
  readonly keepSecrets: boolean;
  /** The setting's canonical fields, for a database whose own is held back. */
  readonly heldSetting?: readonly SettingField[];
  /** For the search of differing reference counts, where there are any. */
  readonly memoryBytes: number;
}

/** What is known after the last batch. */
export interface VolumeSummary {
  readonly facts: Facts;
  readonly findings: Finding[];
  readonly omitted: Record<string, number>;
  readonly secrets: Record<string, string>;
}

/** A JuiceFS volume in one state of a database. Synchronous; runs in a thread of its own. */
export interface VolumeReader {
  readonly volumeId: string;
  readonly volumeName: string;
  readonly schema: VolumeSchema;
  /** The setting's canonical fields. */
  readonly setting: readonly SettingField[];
  readonly counters: ReadonlyMap<string, bigint>;
  /** Every record once, table after table, the largest tables first. */
  batches(): Generator<Batch, void>;
  /** After the last batch. */
  summary(): VolumeSummary;
}

/**
 * Opens the volume: checks that every table and column is known, and reads setting and counters. Throws `not-a-volume`,
 * `not-formatted`, `unknown-schema`, `setting-invalid`, `secret-unreadable`.
 */
export function openVolumeReader(database: Database, options: VolumeReaderOptions): VolumeReader {
  const prefix = options.tablePrefix;
  const schema = readVolumeSchema(
    {
      place: database.path,
      names: database.tableNames.filter((name) => !name.startsWith("sqlite_")),
      columnsOf: (table) => database.table(table).columns.map((column) => column.name),
    },
    prefix,
  );
  const setting = options.heldSetting === undefined ? readSetting(database, prefix) : heldAsSplit(options.heldSetting);
  const storedCounters = readCounters(database, prefix);
  const canonical = canonicalCounters(storedCounters);
  const counters = new Map(
    canonical.rows.map(([name, value]) => [Buffer.from(name as Uint8Array).toString(), value as bigint]),
  );
  const refs = new SliceRefCheck();
  const checks = new VolumeChecks(refs);

  function* scan({ table, canonicalTable, columns }: CanonicalTable, extras?: ScanExtras): Generator<Batch, void> {
    if (!schema.hasTable(table)) return;
    const present = columns.filter(([name]) => schema.hasColumn(table, name));
    yield* tableBatches(database, prefix + table, canonicalTable, present, extras);
  }

  function* checked(table: CanonicalTable, extras?: ScanExtras): Generator<Batch, void> {
    for (const batch of scan(table, extras)) {
      const seen = checks.see(batch);
      if (seen !== undefined) yield seen;
    }
  }

  function* sliceRefs(): Generator<Batch, void> {
    for (const batch of scan(sliceRefTable)) {
      const exceptions = seeStoredRefs(batch, refs);
      if (exceptions !== undefined) yield exceptions;
    }
  }

  function* batches(): Generator<Batch, void> {
    yield* checked(
      nodeTable,
      nodeTimes((name) => schema.hasColumn("node", name)),
    );
    yield endOfTable(juicefsTable.node);
    yield* checked(edgeTable);
    yield endOfTable(juicefsTable.edge);
    yield* checked(chunkTable);
    yield endOfTable(juicefsTable.chunk);
    yield* sliceRefs();
    yield* checked(delayedSliceTable);
    for (const table of plainTables) yield* checked(table);
    yield batchFromRows(juicefs.tables[juicefsTable.counter], juicefsTable.counter, canonical.rows);
    yield batchFromRows(juicefs.tables[juicefsTable.setting], juicefsTable.setting, settingRows(setting.fields));
  }

  function visitAll(visitor: SliceRefVisitor): void {
    const sink = { addMention: visitor.mention.bind(visitor), addStored: visitor.stored.bind(visitor) };
    for (const table of [chunkTable, delayedSliceTable]) for (const batch of scan(table)) visitSlices(batch, sink);
    for (const batch of scan(sliceRefTable)) seeStoredRefs(batch, sink);
  }

  return {
    volumeId: settingText(setting.fields, "UUID") ?? "",
    volumeName: settingText(setting.fields, "Name") ?? "",
    schema,
    setting: setting.fields,
    counters,
    batches,
    summary() {
      const facts: Facts = { schemaLine: schema.line, ...canonical.facts, ...changelogPosition(database, schema) };
      if (setting.removed !== "") facts["secretsRemoved"] = setting.removed;
      return {
        facts,
        findings: [
          ...checks.findings(counters, refs.maxId),
          ...findSliceRefDifferences(visitAll, refs.unequalBuckets(), options.memoryBytes),
        ],
        omitted: countOmitted(database, schema),
        secrets: options.keepSecrets ? setting.secrets : {},
      };
    },
  };
}

function heldAsSplit(fields: readonly SettingField[]): SplitSetting {
  return { fields: [...fields], secrets: {}, removed: "" };
}

/** Rows of a small table by column name. */
function namedRows(database: Database, table: string, rowCountMax: number): Map<string, SqlValue>[] {
  const { rootPage, columns } = database.table(table);
  return readRows(database.pages, { table, rootPage, rowCountMax }).map(
    ({ values }) => new Map(columns.map((column, index) => [column.name, values[index] ?? null])),
  );
}

function readSetting(database: Database, prefix: string): SplitSetting {
  const table = `${prefix}setting`;
  const rows = namedRows(database, table, settingRowsMax);
  return settingOfRows(
    { location: database.path, table },
    rows.map((row) => [textOf(row.get("name")) ?? "", textOf(row.get("value"))]),
  );
}

function readCounters(database: Database, prefix: string): Map<string, bigint> {
  const table = `${prefix}counter`;
  const rows = namedRows(database, table, counterRowsMax);
  return countersOfRows(
    { location: database.path, table },
    rows.map((row) => {
      const value = row.get("value");
      return [textOf(row.get("name")), typeof value === "bigint" ? value : null];
    }),
  );
}

/** TEXT, and a BLOB in its place, as text. */
function textOf(value: SqlValue | undefined): string | null {
  if (typeof value === "string") return value;
  return value instanceof Uint8Array ? Buffer.from(value).toString() : null;
}

function countOmitted(database: Database, schema: VolumeSchema): Record<string, number> {
  const omitted: Record<string, number> = {};
  for (const { name, omitted: isOmitted } of sqlTables) {
    if (isOmitted !== true || !schema.hasTable(name)) continue;
    const scan = openTableScan(database, schema.prefix + name, { columns: {}, rowCountMax: batchRecords });
    let count = 0;
    for (let rows = scan.next(); rows > 0; rows = scan.next()) count += rows;
    if (count > 0) omitted[name] = count;
  }
  return omitted;
}

/** Up to where the volume's log reached: a later incremental copy begins there. */
function changelogPosition(database: Database, schema: VolumeSchema): Facts {
  if (!schema.hasTable("change_log")) return {};
  const rowid = integer64Sink(batchRecords);
  const scan = openTableScan(database, `${schema.prefix}change_log`, { columns: {}, rowid, rowCountMax: batchRecords });
  let last: bigint | undefined;
  for (let rows = scan.next(); rows > 0; rows = scan.next()) last = signedAt(rowid.values, rows - 1);
  return last === undefined ? {} : { lastChangelog: last.toString() };
}
