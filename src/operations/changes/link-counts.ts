import type { Batch } from "../../model/batch.ts";
import { integersOf } from "../../model/batch.ts";
import { nodeColumn } from "../../model/juicefs.ts";
import type { TableSchema } from "../../model/schema.ts";
import type { RestoreChange } from "../restore-change.ts";
import { IntegerRows } from "./integer-rows.ts";
import { SortedRecords } from "./sorted-records.ts";
import { compareWide, wideOf } from "./wide.ts";

const linkSchema: TableSchema = {
  name: "link-count",
  keyCount: 1,
  columns: [
    { name: "inode", type: "u64", encoding: "plain" },
    { name: "nlink", type: "u32", encoding: "plain" },
  ],
};

const samplesMax = 3;

/** Link counts to correct, in rising order of inodes, and a few of them in words. */
export class LinkCounts implements Disposable {
  readonly #rows = new IntegerRows(linkSchema);
  readonly #sorted: SortedRecords;
  readonly samples: string[] = [];
  count = 0;

  constructor(temporaryFolder: string) {
    this.#sorted = new SortedRecords(linkSchema, temporaryFolder);
  }

  add(low: number, high: number, before: number, after: number): void {
    if (this.samples.length < samplesMax) this.samples.push(`inode ${wideOf(low, high)}: ${before} becomes ${after}`);
    this.#rows.columns[0][2 * this.#rows.count] = low;
    this.#rows.columns[0][2 * this.#rows.count + 1] = high;
    this.#rows.columns[1][this.#rows.count] = after;
    this.#rows.count += 1;
    this.count += 1;
    if (this.#rows.isFull) this.#sorted.push(this.#rows.take());
  }

  /** All of them in batches, once. */
  finish(): SortedRecords {
    this.#sorted.push(this.#rows.take());
    return this.#sorted;
  }

  [Symbol.dispose](): void {
    this.#sorted[Symbol.dispose]();
  }
}

/** `--repair=nlink`: the corrected link counts of files and directories, put into the nodes as they pass. Undefined when all are right. */
export function repairLinkCounts(files: LinkCounts, directories: LinkCounts): RestoreChange | undefined {
  const parts = [
    { ...plural(directories.count, "directory", "directories"), samples: directories.samples },
    { ...plural(files.count, "file", "files"), samples: files.samples },
  ].filter(({ count }) => count > 0);
  if (parts.length === 0) return undefined;
  const named = parts.flatMap((part) => part.samples).slice(0, samplesMax);
  const more = files.count + directories.count > named.length ? ", …" : "";
  let changed = 0;
  const lists = [files.finish(), directories.finish()];
  return {
    name: "repair-nlink",
    description: `link counts of ${parts.map(({ text }) => text).join(" and ")} (${named.join(", ")}${more})`,
    table: "node",
    async *apply(batches) {
      const patches = lists.map((list) => new LinkReader(list));
      for await (const batch of batches) {
        let patched = batch;
        for (const patch of patches) patched = patch.applyTo(patched);
        changed = patches.reduce((sum, patch) => sum + patch.applied, 0);
        yield patched;
      }
    },
    changedRecords: () => changed,
    [Symbol.dispose]() {
      for (const list of lists) list[Symbol.dispose]();
    },
  };
}

function plural(count: number, one: string, many: string): { count: number; text: string } {
  return { count, text: `${count} ${count === 1 ? one : many}` };
}

class LinkReader {
  readonly #list: SortedRecords;
  #block: Batch | undefined;
  #row = 0;
  applied = 0;

  constructor(list: SortedRecords) {
    this.#list = list;
    this.#block = list.read();
  }

  /** The batch with the link counts of its nodes corrected; the same one where nothing is to be done. */
  applyTo(batch: Batch): Batch {
    const inodes = integersOf(batch, nodeColumn.inode);
    const last = batch.count - 1;
    if (this.#block === undefined || this.#compare(inodes, last) > 0) return batch;
    const before = batch.columns[nodeColumn.nlink];
    const nlinks = before === undefined ? new Uint32Array(batch.count) : integersOf(batch, nodeColumn.nlink);
    for (let row = 0; row < batch.count && this.#block !== undefined; row += 1) {
      if (this.#compare(inodes, row) !== 0) continue;
      nlinks[row] = integersOf(this.#block, 1)[this.#row];
      this.applied += 1;
      this.#row += 1;
      if (this.#row < this.#block.count) continue;
      this.#block = this.#list.read();
      this.#row = 0;
    }
    if (before !== undefined) return batch;
    return {
      ...batch,
      columns: batch.columns.map((column, index) => (index === nodeColumn.nlink ? { values: nlinks } : column)),
    };
  }

  #compare(inodes: Uint32Array, row: number): number {
    if (this.#block === undefined) return 1;
    const own = integersOf(this.#block, 0);
    return compareWide(own[2 * this.#row], own[2 * this.#row + 1], inodes[2 * row], inodes[2 * row + 1]);
  }
}
