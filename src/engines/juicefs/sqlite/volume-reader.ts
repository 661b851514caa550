import type { Batch, BytesColumn, Row } from "../../../model/batch.ts";
import { batchFromRows, integersOf, signedAt, unsignedAt } from "../../../model/batch.ts";
import { CairnError } from "../../../model/errors.ts";
import { juicefs, juicefsTable } from "../../../model/juicefs.ts";
import type { Facts, Finding } from "../../../model/ports.ts";
import { integer64Sink } from "../../../protocols/sqlite/column-sink.ts";
import type { Database } from "../../../protocols/sqlite/database.ts";
import { readRows } from "../../../protocols/sqlite/read-rows.ts";
import type { SqlValue } from "../../../protocols/sqlite/record.ts";
import { openTableScan } from "../../../protocols/sqlite/scan-table.ts";
import { canonicalCounters } from "../counters.ts";
import { FindingCount } from "../finding.ts";
import { Hazards } from "../hazards.ts";
import type { SplitSetting } from "../secrets.ts";
import { splitSecrets } from "../secrets.ts";
import type { SettingField } from "../setting.ts";
import { parseSetting, settingRows, settingText } from "../setting.ts";
import { SliceRefCheck } from "../slice-ref-check.ts";
import type { SliceRefVisitor } from "../slice-ref-differences.ts";
import { findSliceRefDifferences } from "../slice-ref-differences.ts";
import { eachChunkSlice, eachDelayedSlice } from "../slices.ts";
import { nodeTimes } from "./node-times.ts";
import type { VolumeSchema } from "./schema-check.ts";
import { readVolumeSchema } from "./schema-check.ts";
import { sqlTables } from "./schema.ts";
import type { ColumnMap, ScanExtras } from "./table-batches.ts";
import { batchRecords, tableBatches } from "./table-batches.ts";

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

/** Tables of few records in a healthy database; more are a sign of another. */
const settingRowsMax = 16;
const counterRowsMax = 10_000;

/**
 * Opens the volume: checks that every table and column is known, and reads setting and counters. Throws `not-a-volume`,
 * `not-formatted`, `unknown-schema`, `setting-invalid`, `secret-unreadable`.
 */
export function openVolumeReader(database: Database, options: VolumeReaderOptions): VolumeReader {
  const prefix = options.tablePrefix;
  const schema = readVolumeSchema(database, prefix);
  const setting = options.heldSetting === undefined ? readSetting(database, prefix) : heldAsSplit(options.heldSetting);
  const storedCounters = readCounters(database, prefix);
  const canonical = canonicalCounters(storedCounters);
  const counters = new Map(
    canonical.rows.map(([name, value]) => [Buffer.from(name as Uint8Array).toString(), value as bigint]),
  );
  const hazards = new Hazards();
  const refs = new SliceRefCheck();
  const emptyChunks = new FindingCount(
    "empty-chunk",
    "info",
    (count) => `${count} chunks have no slices; they are equal to no chunk`,
  );
  const oddSlices = new FindingCount(
    "slices-odd",
    "warning",
    (count) => `${count} slice lists are cut off in the middle of a record; they are kept as they are`,
  );

  const mapOf = (table: string, columns: ColumnMap): ColumnMap =>
    columns.filter(([name]) => schema.hasColumn(table, name));

  function* scan(
    table: string,
    canonicalTable: number,
    columns: ColumnMap,
    extras?: ScanExtras,
  ): Generator<Batch, void> {
    if (!schema.hasTable(table)) return;
    for (const batch of tableBatches(database, prefix + table, canonicalTable, mapOf(table, columns), extras)) {
      hazards.see(batch);
      yield batch;
    }
  }

  function* chunks(): Generator<Batch, void> {
    for (const batch of scan("chunk", juicefsTable.chunk, chunkColumns)) {
      const empty = seeSlices(
        batch,
        eachChunkSlice,
        oddSlices,
        refs,
        (row) => `inode ${unsignedAt(integersOf(batch, 0), row)}, chunk ${integersOf(batch, 1)[row]}`,
      );
      if (empty === 0) yield batch;
      else yield* withoutEmpty(batch, emptyChunks);
    }
  }

  function* sliceRefs(): Generator<Batch, void> {
    for (const batch of scan("chunk_ref", juicefsTable.sliceRef, sliceRefColumns)) {
      const exceptions = seeRefs(batch, refs);
      if (exceptions.length > 0)
        yield batchFromRows(juicefs.tables[juicefsTable.sliceRef], juicefsTable.sliceRef, exceptions);
    }
  }

  function* delayedSlices(): Generator<Batch, void> {
    for (const batch of scan("delslices", juicefsTable.delayedSlice, delayedColumns)) {
      seeSlices(
        batch,
        eachDelayedSlice,
        oddSlices,
        refs,
        (row) => `delayed slice ${unsignedAt(integersOf(batch, 0), row)}`,
      );
      yield batch;
    }
  }

  function* batches(): Generator<Batch, void> {
    yield* scan(
      "node",
      juicefsTable.node,
      nodeColumns,
      nodeTimes((name) => schema.hasColumn("node", name)),
    );
    yield endOf(juicefsTable.node);
    yield* scan("edge", juicefsTable.edge, edgeColumns);
    yield endOf(juicefsTable.edge);
    yield* chunks();
    yield endOf(juicefsTable.chunk);
    yield* sliceRefs();
    yield* delayedSlices();
    for (const { table, canonicalTable, columns } of plainTables) yield* scan(table, canonicalTable, columns);
    yield batchFromRows(juicefs.tables[juicefsTable.counter], juicefsTable.counter, canonical.rows);
    yield batchFromRows(juicefs.tables[juicefsTable.setting], juicefsTable.setting, settingRows(setting.fields));
  }

  function visitSlices(visitor: SliceRefVisitor): void {
    const mention = visitor.mention.bind(visitor);
    const ignore = new FindingCount("", "info", () => "");
    const silent = { addMention: mention, addStored: visitor.stored.bind(visitor) };
    const each = (table: string, canonicalTable: number, columns: ColumnMap): Iterable<Batch> =>
      schema.hasTable(table) ? tableBatches(database, prefix + table, canonicalTable, columns) : [];
    for (const batch of each("chunk", juicefsTable.chunk, chunkColumns))
      seeSlices(batch, eachChunkSlice, ignore, silent, () => "");
    for (const batch of each("delslices", juicefsTable.delayedSlice, delayedColumns))
      seeSlices(batch, eachDelayedSlice, ignore, silent, () => "");
    for (const batch of each("chunk_ref", juicefsTable.sliceRef, sliceRefColumns)) seeRefs(batch, silent);
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
          ...hazards.findings(counters, refs.maxId),
          ...emptyChunks.toFindings(),
          ...oddSlices.toFindings(),
          ...findSliceRefDifferences(visitSlices, refs.unequalBuckets(), options.memoryBytes),
        ],
        omitted: countOmitted(database, schema),
        secrets: options.keepSecrets ? setting.secrets : {},
      };
    },
  };
}

/** Says that a large table is complete: it is sorted and stored while the next one is read. */
function endOf(table: number): Batch {
  return { table, count: 0, columns: [], last: true };
}

const nodeColumns: ColumnMap = [
  ["inode", 0],
  ["type", 1],
  ["flags", 2],
  ["mode", 3],
  ["uid", 4],
  ["gid", 5],
  ["nlink", 12],
  ["length", 13],
  ["rdev", 14],
  ["parent", 15],
  ["access_acl_id", 16],
  ["default_acl_id", 17],
  ["tier_id", 18],
];
const edgeColumns: ColumnMap = [
  ["parent", 0],
  ["name", 1],
  ["inode", 2],
  ["type", 3],
];
const chunkColumns: ColumnMap = [
  ["inode", 0],
  ["indx", 1],
  ["slices", 2],
];
const sliceRefColumns: ColumnMap = [
  ["chunkid", 0],
  ["size", 1],
  ["refs", 2],
];
const delayedColumns: ColumnMap = [
  ["chunkid", 0],
  ["deleted", 1],
  ["slices", 2],
];

/** The tables that are read as they stand. */
const plainTables: readonly { table: string; canonicalTable: number; columns: ColumnMap }[] = [
  {
    table: "symlink",
    canonicalTable: juicefsTable.symlink,
    columns: [
      ["inode", 0],
      ["target", 1],
    ],
  },
  {
    table: "xattr",
    canonicalTable: juicefsTable.xattr,
    columns: [
      ["inode", 0],
      ["name", 1],
      ["value", 2],
    ],
  },
  {
    table: "acl",
    canonicalTable: juicefsTable.acl,
    columns: [
      ["id", 0],
      ["owner", 1],
      ["group", 2],
      ["mask", 3],
      ["other", 4],
      ["named_users", 5],
      ["named_groups", 6],
    ],
  },
  {
    table: "dir_stats",
    canonicalTable: juicefsTable.dirStat,
    columns: [
      ["inode", 0],
      ["data_length", 1],
      ["used_space", 2],
      ["used_inodes", 3],
    ],
  },
  {
    table: "dir_quota",
    canonicalTable: juicefsTable.quota,
    columns: [
      ["inode", 1],
      ["max_space", 2],
      ["max_inodes", 3],
      ["used_space", 4],
      ["used_inodes", 5],
    ],
  },
  {
    table: "user_group_quota",
    canonicalTable: juicefsTable.quota,
    columns: [
      ["qtype", 0],
      ["qkey", 1],
      ["max_space", 2],
      ["max_inodes", 3],
      ["used_space", 4],
      ["used_inodes", 5],
    ],
  },
  {
    table: "delfile",
    canonicalTable: juicefsTable.deletedFile,
    columns: [
      ["inode", 0],
      ["length", 1],
      ["expire", 2],
    ],
  },
  {
    table: "detached_node",
    canonicalTable: juicefsTable.detachedNode,
    columns: [
      ["inode", 0],
      ["added", 1],
    ],
  },
  {
    table: "sustained",
    canonicalTable: juicefsTable.sustained,
    columns: [
      ["sid", 0],
      ["inode", 1],
    ],
  },
];

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
  const other = rows.find((row) => row.get("name") !== "format");
  if (other !== undefined) {
    throw new CairnError(
      "unknown-schema",
      `${database.path}: table ${table} has the unknown row ${JSON.stringify(String(other.get("name")))}`,
      {
        unharmed: "the database was only read",
        next: "use a version of Cairn that knows this JuiceFS",
        exit: "sourceUnreachable",
      },
    );
  }
  const value = rows[0]?.get("value");
  if (typeof value !== "string" && !(value instanceof Uint8Array)) {
    throw new CairnError("not-formatted", `${database.path} has JuiceFS' tables, but no setting: nobody can mount it`, {
      unharmed: "the database was only read",
      next: "format the volume with juicefs, or check the path; a restore that was not finished looks like this, too",
      exit: "sourceUnreachable",
    });
  }
  return splitSecrets(parseSetting(typeof value === "string" ? value : Buffer.from(value).toString()));
}

function readCounters(database: Database, prefix: string): Map<string, bigint> {
  const counters = new Map<string, bigint>();
  for (const row of namedRows(database, `${prefix}counter`, counterRowsMax)) {
    const name = row.get("name");
    const value = row.get("value");
    if ((typeof name !== "string" && !(name instanceof Uint8Array)) || typeof value !== "bigint") {
      throw new CairnError(
        "counter-invalid",
        `${database.path}: a row of table ${prefix}counter has no name or no whole number`,
        {
          unharmed: "the database was only read",
          exit: "sourceUnreachable",
        },
      );
    }
    counters.set(Buffer.from(name).toString(), value);
  }
  return counters;
}

interface SliceSink {
  addMention(idLow: number, idHigh: number, size: number): void;
  addStored(idLow: number, idHigh: number, size: number, refs: number): void;
}

/** Counts the slices of a batch in; returns how many lists are empty. */
function seeSlices(
  batch: Batch,
  each: typeof eachChunkSlice,
  odd: FindingCount,
  refs: SliceSink,
  name: (row: number) => string,
): number {
  const column = batch.columns[2] as BytesColumn | undefined;
  if (column === undefined) return batch.count;
  const { offsets, arena } = column;
  const visit = (idLow: number, idHigh: number, size: number): void => {
    if (idLow !== 0 || idHigh !== 0) refs.addMention(idLow, idHigh, size);
  };
  let empty = 0;
  for (let row = 0; row < batch.count; row++) {
    const start = offsets[row];
    const end = offsets[row + 1];
    if (start === end) empty++;
    else if (!each(arena, start, end, visit)) odd.add(() => `${name(row)}: ${end - start} bytes`);
  }
  return empty;
}

/** Counts the stored reference counts of a batch in; returns the records whose count is not 1. */
function seeRefs(batch: Batch, refs: SliceSink): Row[] {
  const ids = integersOf(batch, 0);
  const sizes = integersOf(batch, 1);
  const counts = batch.columns[2] === undefined ? new Uint32Array(2 * batch.count) : integersOf(batch, 2);
  const exceptions: Row[] = [];
  for (let row = 0; row < batch.count; row++) {
    const low = counts[2 * row];
    const isOne = low === 1 && counts[2 * row + 1] === 0;
    if (ids[2 * row] !== 0 || ids[2 * row + 1] !== 0) {
      refs.addStored(ids[2 * row], ids[2 * row + 1], sizes[row], isOne ? 1 : Number(signedAt(counts, row)));
    }
    if (!isOne) exceptions.push([unsignedAt(ids, row), sizes[row], signedAt(counts, row)]);
  }
  return exceptions;
}

function* withoutEmpty(batch: Batch, emptyChunks: FindingCount): Generator<Batch, void> {
  const inodes = integersOf(batch, 0);
  const indexes = integersOf(batch, 1);
  const column = batch.columns[2] as BytesColumn | undefined;
  const rows: Row[] = [];
  for (let row = 0; row < batch.count; row++) {
    const start = column === undefined ? 0 : column.offsets[row];
    const end = column === undefined ? 0 : column.offsets[row + 1];
    if (column === undefined || start === end)
      emptyChunks.add(() => `inode ${unsignedAt(inodes, row)}, chunk ${indexes[row]}`);
    else rows.push([unsignedAt(inodes, row), indexes[row], column.arena.subarray(start, end)]);
  }
  if (rows.length > 0) yield batchFromRows(juicefs.tables[juicefsTable.chunk], juicefsTable.chunk, rows);
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
