/** Copies a volume from one SQLite database into a new one through source and target alone, with all records in memory. */
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JuicefsLine } from "../../src/engines/juicefs/lines.ts";
import { openSqliteSource } from "../../src/engines/juicefs/sqlite/source.ts";
import { openSqliteTarget } from "../../src/engines/juicefs/sqlite/target.ts";
import type { Row, Value } from "../../src/model/batch.ts";
import { batchFromRows, rowAt } from "../../src/model/batch.ts";
import { juicefs } from "../../src/model/juicefs.ts";
import type {
  Facts,
  SourceOptions,
  SourceSummary,
  SourceView,
  TargetPlan,
  TargetWriter,
} from "../../src/model/ports.ts";

/** Every record of a volume, sorted by key, by the table's position. */
export type Records = readonly (readonly Row[])[];

export interface ReadVolume {
  readonly volumeId: string;
  readonly records: Records;
  readonly summary: SourceSummary;
}

export function testFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `cairn-${name}-`));
}

export function portOptions(folder: string, memoryBytes = 32 << 20): SourceOptions {
  const temporaryFolder = join(folder, "temporary");
  mkdirSync(temporaryFolder, { recursive: true });
  const progress = { report(): void {}, warn(): void {} };
  return { signal: new AbortController().signal, temporaryFolder, memoryBytes, progress };
}

export async function readVolume(
  url: string,
  options: SourceOptions,
  more: { keepSecrets?: boolean } = {},
): Promise<ReadVolume> {
  await using view = await openSqliteSource(url, more).open(options);
  const records = await readRecords(view);
  return { volumeId: view.volumeId, records, summary: await view.summary() };
}

export async function readRecords(view: SourceView): Promise<Records> {
  const records: Row[][] = juicefs.tables.map(() => []);
  for await (const batch of view.batches()) {
    for (let row = 0; row < batch.count; row++)
      records[batch.table].push(rowAt(juicefs.tables[batch.table], batch, row));
  }
  return records.map((rows, table) =>
    rows.toSorted((first, second) => compareKeys(first, second, juicefs.tables[table].keyCount)),
  );
}

function compareKeys(first: Row, second: Row, keyCount: number): number {
  for (let column = 0; column < keyCount; column++) {
    const difference = compareValues(first[column], second[column]);
    if (difference !== 0) return difference;
  }
  return 0;
}

function compareValues(first: Value, second: Value): number {
  if (first instanceof Uint8Array) return Buffer.compare(first, second as Uint8Array);
  const difference = BigInt(first) - BigInt(second as number | bigint);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

export interface WriteOptions {
  line?: JuicefsLine;
  secrets?: Record<string, string>;
  replace?: string;
  facts?: Facts;
}

export function planOf(volume: ReadVolume, { secrets = {}, replace, facts }: WriteOptions): TargetPlan {
  return {
    kind: juicefs,
    volumeId: volume.volumeId,
    volumeName: "",
    facts: facts ?? volume.summary.facts,
    counts: Object.fromEntries(juicefs.tables.map((table, index) => [table.name, volume.records[index].length])),
    extremes: extremesOf(volume.records),
    secrets,
    ...(replace === undefined ? {} : { replace }),
    async *read(name) {
      const table = juicefs.tables.findIndex((candidate) => candidate.name === name);
      if (volume.records[table].length > 0) yield batchFromRows(juicefs.tables[table], table, volume.records[table]);
    },
  };
}

function extremesOf(records: Records): Record<string, string> {
  const extremes: Record<string, string> = {};
  juicefs.tables.forEach((table, index) => {
    table.columns.forEach((column, at) => {
      if (column.type === "bytes" || records[index].length === 0) return;
      const greatest = records[index].reduce(
        (most, row) => {
          const value = BigInt(row[at] as number | bigint);
          return value > most ? value : most;
        },
        -(2n ** 64n),
      );
      extremes[`${table.name}.${column.name}`] = greatest.toString();
    });
  });
  return extremes;
}

/** Begins a restore and writes all records, a few hundred at a time. */
export async function writeVolume(
  volume: ReadVolume,
  url: string,
  options: SourceOptions,
  more: WriteOptions = {},
): Promise<TargetWriter> {
  const target = openSqliteTarget(url, more.line === undefined ? {} : { line: more.line });
  const writer = await target.begin(planOf(volume, more), options);
  try {
    for (const [table, rows] of volume.records.entries()) {
      for (let from = 0; from < rows.length; from += 300) {
        await writer.write(batchFromRows(juicefs.tables[table], table, rows.slice(from, from + 300)));
      }
    }
    await writer.finish();
    return writer;
  } catch (error) {
    await writer[Symbol.asyncDispose]();
    throw error;
  }
}

/** Reads one volume, writes it to another place, and publishes it; the records as they were read. */
export async function copyVolume(
  from: string,
  to: string,
  options: SourceOptions,
  more: WriteOptions = {},
): Promise<ReadVolume> {
  const volume = await readVolume(from, options);
  await using writer = await writeVolume(volume, to, options, more);
  await writer.publish();
  return volume;
}
