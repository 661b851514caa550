import type { Batch } from "../../../model/batch.ts";
import { batchFromRows } from "../../../model/batch.ts";
import { juicefs, juicefsTable } from "../../../model/juicefs.ts";
import type { Facts, Finding } from "../../../model/ports.ts";
import type { MysqlConnection } from "../../../protocols/mysql/connection.ts";
import { canonicalCounters } from "../counters.ts";
import type { SplitSetting } from "../secrets.ts";
import type { SettingField } from "../setting.ts";
import { settingRows, settingText } from "../setting.ts";
import { sliceBucketOf, sliceBuckets, SliceRefCheck } from "../slice-ref-check.ts";
import { findSliceRefDifferences } from "../slice-ref-differences.ts";
import { openSliceSpool } from "../slice-spool.ts";
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
import { markerTable, readVolumeSchema, volumeTables } from "../sql/volume-schema.ts";
import { endOfTable, seeStoredRefs, visitSlices, VolumeChecks } from "../volume-checks.ts";
import type { CatalogueTable } from "./catalogue.ts";
import { readCatalogue, requireInnoDb } from "./catalogue.ts";
import type { EngineContext } from "./engine-error.ts";
import { quoted } from "./session.ts";
import type { ReadBatch } from "./table-batches.ts";
import { tableBatches } from "./table-batches.ts";

export interface VolumeReaderOptions {
  readonly tablePrefix: string;
  /** Hand the secrets on in the summary. */
  readonly keepSecrets: boolean;
  /** The setting's canonical fields, for a database that a restore has filled, and whose own is held back. */
  readonly heldSetting?: readonly SettingField[];
  /** For the search of differing reference counts, where there are any. */
  readonly memoryBytes: number;
  readonly temporaryFolder: string;
}

/** What is known after the last batch. */
export interface VolumeSummary {
  readonly facts: Facts;
  readonly findings: Finding[];
  readonly omitted: Record<string, number>;
  readonly secrets: Record<string, string>;
}

/** A JuiceFS volume in one state of a database, through a transaction that has begun. */
export interface VolumeReader {
  readonly volumeId: string;
  readonly volumeName: string;
  readonly schema: VolumeSchema;
  /** The volume's tables as the server's catalogue has them. */
  readonly tables: readonly CatalogueTable[];
  /** The setting's canonical fields. */
  readonly setting: readonly SettingField[];
  readonly counters: ReadonlyMap<string, bigint>;
  /** Every record once, table after table, the largest tables first. */
  batches(): AsyncGenerator<ReadBatch, void>;
  /** After the last batch. */
  summary(): Promise<VolumeSummary>;
}

/** The primary keys in whose order rows are wanted: then they need not be sorted. */
const keysInOrder: Readonly<Record<string, readonly string[]>> = {
  node: ["inode"],
  chunk_ref: ["chunkid"],
  delslices: ["chunkid"],
  symlink: ["inode"],
  acl: ["id"],
  dir_stats: ["inode"],
  delfile: ["inode"],
  detached_node: ["inode"],
  dir_quota: ["inode"],
  user_group_quota: ["qtype", "qkey"],
};

/** Tables whose rows a restore numbers in key order. */
const numberedTables = new Set(["edge", "chunk", "xattr", "sustained"]);

/** Canonical tables that `batches` gives in key order, therefore or because they are made here. */
export const sortedTables = [
  "setting",
  "counter",
  "node",
  "slice_ref",
  "symlink",
  "acl",
  "dir_stat",
  "quota",
  "deleted_file",
  "delayed_slice",
  "detached_node",
];

/**
 * Opens the volume: checks that every table and column is known, that all are InnoDB's, and reads setting and counters. Throws `not-a-volume`,
 * `not-formatted`, `unknown-schema`, `engine-not-transactional`, `setting-invalid`, `secret-unreadable`.
 */
export async function openVolumeReader(
  connection: MysqlConnection,
  context: EngineContext,
  options: VolumeReaderOptions,
): Promise<VolumeReader> {
  const prefix = options.tablePrefix;
  const catalogue = await readCatalogue(connection);
  const names = catalogue.map((table) => table.name);
  const schema = readVolumeSchema(
    {
      place: context.location,
      names,
      columnsOf: (name) => catalogue.find((table) => table.name === name)?.columns ?? [],
    },
    prefix,
  );
  const own = new Set(volumeTables(names, prefix));
  const tables = catalogue.filter((table) => own.has(table.name));
  requireInnoDb(context, tables);
  const setting =
    options.heldSetting === undefined
      ? await readSetting(connection, context, prefix, names)
      : { fields: [...options.heldSetting], secrets: {}, removed: "" };
  const canonical = canonicalCounters(await readCounters(connection, context, prefix));
  const counters = new Map(
    canonical.rows.map(([name, value]) => [Buffer.from(name as Uint8Array).toString(), value as bigint]),
  );
  const isRestored = options.heldSetting !== undefined;
  const refs = new SliceRefCheck();
  const checks = new VolumeChecks(refs);

  async function* scan(canonicalTable: CanonicalTable, extras?: ScanExtras): AsyncGenerator<ReadBatch, void> {
    const { table, canonicalTable: canonical, columns } = canonicalTable;
    if (!schema.hasTable(table)) return;
    // Going back to a point before the table was read gives its metadata lock up: a client may change its definition again.
    await connection.run("SAVEPOINT cairn");
    yield* tableBatches(connection, {
      table: prefix + table,
      canonical,
      columns: columns.filter(([name]) => schema.hasColumn(table, name)),
      ...(extras === undefined ? {} : { extras }),
      orderBy: isRestored && numberedTables.has(table) ? ["id"] : (keysInOrder[table] ?? []),
    });
    await connection.run("ROLLBACK TO SAVEPOINT cairn");
  }

  async function* checked(table: CanonicalTable, extras?: ScanExtras): AsyncGenerator<ReadBatch, void> {
    for await (const { batch, bytes } of scan(table, extras)) {
      const seen = checks.see(batch);
      if (seen !== undefined) yield { batch: seen, bytes };
    }
  }

  async function* sliceRefs(): AsyncGenerator<ReadBatch, void> {
    for await (const { batch, bytes } of scan(sliceRefTable)) {
      const exceptions = seeStoredRefs(batch, refs);
      // Counted even where nothing is left: it was read.
      yield { batch: exceptions ?? { table: juicefsTable.sliceRef, count: 0, columns: [] }, bytes };
    }
  }

  async function* batches(): AsyncGenerator<ReadBatch, void> {
    yield* checked(
      nodeTable,
      nodeTimes((name) => schema.hasColumn("node", name)),
    );
    yield unread(endOfTable(juicefsTable.node));
    yield* checked(edgeTable);
    yield unread(endOfTable(juicefsTable.edge));
    yield* checked(chunkTable);
    yield unread(endOfTable(juicefsTable.chunk));
    yield* sliceRefs();
    yield* checked(delayedSliceTable);
    for (const table of plainTables) yield* checked(table);
    yield unread(batchFromRows(juicefs.tables[juicefsTable.counter], juicefsTable.counter, canonical.rows));
    yield unread(
      batchFromRows(juicefs.tables[juicefsTable.setting], juicefsTable.setting, settingRows(setting.fields)),
    );
  }

  /** A second pass over the slices, only where the sums of reference counts differ: those of the buckets in question are kept in a file. */
  async function findDifferences(): Promise<Finding[]> {
    const unequal = refs.unequalBuckets();
    if (unequal.length === 0) return [];
    const isWanted = new Uint8Array(sliceBuckets);
    for (const bucket of unequal) isWanted[bucket] = 1;
    using spool = openSliceSpool(options.temporaryFolder, (low, high) => isWanted[sliceBucketOf(low, high)] === 1);
    for (const table of [chunkTable, delayedSliceTable])
      for await (const { batch } of scan(table)) visitSlices(batch, spool);
    for await (const { batch } of scan(sliceRefTable)) seeStoredRefs(batch, spool);
    return findSliceRefDifferences((visitor) => spool.visit(visitor), unequal, options.memoryBytes);
  }

  return {
    volumeId: settingText(setting.fields, "UUID") ?? "",
    volumeName: settingText(setting.fields, "Name") ?? "",
    schema,
    tables,
    setting: setting.fields,
    counters,
    batches,
    async summary() {
      const facts: Facts = {
        schemaLine: schema.line,
        ...canonical.facts,
        ...(await changelogPosition(connection, schema)),
      };
      if (setting.removed !== "") facts["secretsRemoved"] = setting.removed;
      return {
        facts,
        findings: [...checks.findings(counters, refs.maxId), ...(await findDifferences())],
        omitted: await countOmitted(connection, schema),
        secrets: options.keepSecrets ? setting.secrets : {},
      };
    },
  };
}

/** A batch that was not read from a table of its own. */
function unread(batch: Batch): ReadBatch {
  return { batch, bytes: 0 };
}

async function readSetting(
  connection: MysqlConnection,
  { location }: EngineContext,
  prefix: string,
  names: readonly string[],
): Promise<SplitSetting> {
  const table = `${prefix}setting`;
  const rows = await connection.query(`SELECT name, value FROM ${quoted(table)} LIMIT ${settingRowsMax}`);
  return settingOfRows(
    { location, table, isUnfinished: names.includes(prefix + markerTable) },
    rows.map(([name, value]) => [String(name), value === null ? null : value.toString()]),
  );
}

async function readCounters(
  connection: MysqlConnection,
  { location }: EngineContext,
  prefix: string,
): Promise<Map<string, bigint>> {
  const table = `${prefix}counter`;
  const rows = await connection.query(`SELECT name, value FROM ${quoted(table)} LIMIT ${counterRowsMax}`);
  return countersOfRows(
    { location, table },
    rows.map(([name, value]) => [name === null ? null : name.toString(), value === null ? null : value.toString()]),
  );
}

async function countOmitted(connection: MysqlConnection, schema: VolumeSchema): Promise<Record<string, number>> {
  const omitted: Record<string, number> = {};
  for (const { name, omitted: isOmitted } of sqlTables) {
    if (isOmitted !== true || !schema.hasTable(name)) continue;
    const [row] = await connection.query(`SELECT COUNT(*) FROM ${quoted(schema.prefix + name)}`);
    const count = Number(String(row[0]));
    if (count > 0) omitted[name] = count;
  }
  return omitted;
}

/** Up to where the volume's log reached: a later incremental copy begins there. */
async function changelogPosition(connection: MysqlConnection, schema: VolumeSchema): Promise<Facts> {
  if (!schema.hasTable("change_log")) return {};
  const [row] = await connection.query(`SELECT MAX(id) FROM ${quoted(`${schema.prefix}change_log`)}`);
  return row[0] === null ? {} : { lastChangelog: String(row[0]) };
}
