import type { Batch } from "../../model/batch.ts";
import { integersOf } from "../../model/batch.ts";
import { tableNamed } from "../../model/schema.ts";
import { readTable } from "../../repository/snapshot.ts";
import type { Snapshot } from "../../repository/snapshot.ts";
import type { RestoreChange } from "../restore-change.ts";
import { changeRecords, patchSchema } from "./change-records.ts";
import { changeCounters, counterOf } from "./counters.ts";
import { sumColumn } from "./directory-sums.ts";
import { IntegerRows } from "./integer-rows.ts";
import { valuesOf } from "./names-by-inode.ts";
import type { QuotaUsage } from "./quota-usage.ts";
import { isOn } from "./read-small-table.ts";
import type { SettingValue } from "./read-small-table.ts";
import { SortedRecords } from "./sorted-records.ts";
import type { Survey } from "./survey.ts";
import { compareToTrash } from "./survey.ts";
import { compareWide, wideOf } from "./wide.ts";

export interface UsageRepair {
  snapshot: Snapshot;
  counters: Map<string, bigint>;
  setting: ReadonlyMap<string, SettingValue>;
  quotas: QuotaUsage;
  temporaryFolder: string;
}

/** `--repair=usage`: the usage counters, directory statistics and quota usage that follow from nodes and names. One change for each table. */
export async function repairUsage(survey: Survey, repair: UsageRepair): Promise<RestoreChange[]> {
  const { snapshot, counters } = repair;
  const sums = [
    { name: "usedSpace", value: BigInt.asIntN(64, survey.usedSpace), reason: "" },
    { name: "totalInodes", value: survey.totalInodes, reason: "" },
  ];
  const wrong = sums.filter(({ name, value }) => counterOf(counters, name) !== value);
  const changes = [
    changeCounters(snapshot.kind, "repair-usage", counters, wrong),
    await repairDirectoryStatistics(survey, repair),
    repair.quotas.finish(),
  ];
  return changes.filter((change) => change !== undefined);
}

/** Columns of `dir_stat` after its key, with those of the sums that they must be equal to. */
const compared = [
  [1, sumColumn.length],
  [2, sumColumn.space],
  [3, sumColumn.entries],
] as const;

async function repairDirectoryStatistics(survey: Survey, repair: UsageRepair): Promise<RestoreChange | undefined> {
  const { snapshot, quotas } = repair;
  // Without them JuiceFS neither reads nor writes statistics, and drops the old ones when they are turned on.
  const isKept = isOn(repair.setting, "DirStats");
  const patches = new StatisticPatches(snapshot, repair.temporaryFolder);
  const directories = new DirectoryReader(survey.directories, (batch, row) => {
    const inodes = integersOf(batch, sumColumn.inode);
    const space = integersOf(batch, sumColumn.space);
    const entries = integersOf(batch, sumColumn.entries);
    quotas.addDirect(inodes[2 * row], inodes[2 * row + 1], space[2 * row], space[2 * row + 1], entries[2 * row]);
  });
  const missing = (): void => {
    // Trash directories get a row when something is counted in, and need none.
    if (isKept && directories.isBelowTrash) patches.put(directories, "added");
    directories.next();
  };
  for await (const batch of readTable(snapshot, "dir_stat")) {
    const inodes = integersOf(batch, 0);
    for (let row = 0; row < batch.count; row += 1) {
      const low = inodes[2 * row];
      const high = inodes[2 * row + 1];
      while (directories.compare(low, high) < 0) missing();
      if (directories.compare(low, high) > 0) patches.drop(low, high);
      else {
        if (!directories.agrees(batch, row)) patches.put(directories, "corrected");
        directories.next();
      }
    }
  }
  while (!directories.ended) missing();
  return patches.finish();
}

class DirectoryReader {
  readonly #source: SortedRecords;
  readonly #onDirectory: (batch: Batch, row: number) => void;
  #block: Batch | undefined;
  #row = 0;

  constructor(source: SortedRecords, onDirectory: (batch: Batch, row: number) => void) {
    this.#source = source;
    this.#onDirectory = onDirectory;
    this.#load();
  }

  #load(): void {
    this.#block = this.#source.read();
    this.#row = 0;
    if (this.#block !== undefined) this.#onDirectory(this.#block, 0);
  }

  get ended(): boolean {
    return this.#block === undefined;
  }

  next(): void {
    if (this.#block === undefined) return;
    this.#row += 1;
    if (this.#row === this.#block.count) this.#load();
    else this.#onDirectory(this.#block, this.#row);
  }

  low(column: number): number {
    return this.#block === undefined ? 0 : integersOf(this.#block, column)[2 * this.#row];
  }

  high(column: number): number {
    return this.#block === undefined ? 0 : integersOf(this.#block, column)[2 * this.#row + 1];
  }

  compare(low: number, high: number): number {
    if (this.#block === undefined) return 1;
    return compareWide(this.low(sumColumn.inode), this.high(sumColumn.inode), low, high);
  }

  get isBelowTrash(): boolean {
    return compareToTrash(this.low(sumColumn.inode), this.high(sumColumn.inode)) < 0;
  }

  /** Whether a row of `dir_stat` says what the entries are. */
  agrees(batch: Batch, row: number): boolean {
    return compared.every(([column, sum]) => {
      const values = valuesOf(batch, column);
      const low = values === undefined ? 0 : values[2 * row];
      const high = values === undefined ? 0 : values[2 * row + 1];
      return low === this.low(sum) && high === this.high(sum);
    });
  }
}

type PatchSort = "corrected" | "added" | "removed";

class StatisticPatches {
  readonly #snapshot: Snapshot;
  readonly #rows: IntegerRows;
  readonly #sorted: SortedRecords;
  readonly #counts: Record<PatchSort, number> = { corrected: 0, added: 0, removed: 0 };
  readonly #samples: string[] = [];

  constructor(snapshot: Snapshot, temporaryFolder: string) {
    this.#snapshot = snapshot;
    const schema = patchSchema(tableNamed(snapshot.kind, "dir_stat"));
    this.#rows = new IntegerRows(schema);
    this.#sorted = new SortedRecords(schema, temporaryFolder);
  }

  put(directory: DirectoryReader, how: PatchSort): void {
    const rows = this.#rows;
    const at = rows.count;
    for (const [column, sum] of [[0, sumColumn.inode], ...compared] as const) {
      rows.columns[column][2 * at] = directory.low(sum);
      rows.columns[column][2 * at + 1] = directory.high(sum);
    }
    this.#next(how, directory.low(sumColumn.inode), directory.high(sumColumn.inode));
  }

  drop(low: number, high: number): void {
    const rows = this.#rows;
    rows.columns[0][2 * rows.count] = low;
    rows.columns[0][2 * rows.count + 1] = high;
    rows.columns[4][rows.count] = 1;
    this.#next("removed", low, high);
  }

  #next(how: PatchSort, low: number, high: number): void {
    this.#counts[how] += 1;
    if (this.#samples.length < 3) this.#samples.push(`${wideOf(low, high)} ${how}`);
    this.#rows.count += 1;
    if (this.#rows.isFull) this.#sorted.push(this.#rows.take());
  }

  finish(): RestoreChange | undefined {
    this.#sorted.push(this.#rows.take());
    if (this.#sorted.count === 0) return undefined;
    const counts = Object.entries(this.#counts).filter(([, count]) => count > 0);
    const more = this.#sorted.count > this.#samples.length ? ", …" : "";
    const description =
      `directory statistics: ${counts.map(([how, count]) => `${count} ${how}`).join(", ")} ` +
      `(directory ${this.#samples.join(", ")}${more})`;
    const change = { name: "repair-usage", description, kind: this.#snapshot.kind, table: "dir_stat" };
    return changeRecords(change, this.#sorted);
  }
}
