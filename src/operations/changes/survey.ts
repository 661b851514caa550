import type { Batch } from "../../model/batch.ts";
import { integersOf } from "../../model/batch.ts";
import { fileType, nodeColumn, trashInode } from "../../model/juicefs.ts";
import type { Snapshot } from "../../repository/snapshot.ts";
import { DirectorySums, sumColumn, sumSchema } from "./directory-sums.ts";
import { LinkCounts } from "./link-counts.ts";
import { valuesOf, visitNames } from "./names-by-inode.ts";
import type { JoinOptions, NamesVisitor } from "./names-by-inode.ts";
import type { QuotaUsage } from "./quota-usage.ts";
import { SortedRecords } from "./sorted-records.ts";
import { addWide, compareWide, spaceHigh, spaceLow, wideOf } from "./wide.ts";

const trashLow = Number(trashInode & 0xffffffffn);
const trashHigh = Number(trashInode >> 32n);

/** Negative below the trash, 0 for its root, positive for its directories. */
export function compareToTrash(low: number, high: number): number {
  return compareWide(low, high, trashLow, trashHigh);
}

/** What a pass over all nodes and names found out. The caller disposes the lists that it does not read to their end. */
export interface Survey {
  /** Σ align4K(length) and number of all nodes but the two roots: the counters usedSpace and totalInodes. */
  usedSpace: bigint;
  totalInodes: bigint;
  /** One record of `sumSchema` for each directory that exists, by inode. */
  directories: SortedRecords;
  /** Link counts to correct. */
  fileLinks: LinkCounts;
  directoryLinks: LinkCounts;
}

/**
 * Reads edges and nodes once and adds up what follows from them: usage, link counts, the direct entries of each directory. `quotas`
 * counts in by owner, and learns the tree of directories.
 */
export async function surveySnapshot(
  snapshot: Snapshot,
  quotas: QuotaUsage | undefined,
  options: JoinOptions,
): Promise<Survey> {
  const { temporaryFolder } = options;
  using sums = new DirectorySums(temporaryFolder, options.memoryBytes);
  using kept = new DisposableStack();
  const fileLinks = kept.use(new LinkCounts(temporaryFolder));
  const directoryLinks = kept.use(new LinkCounts(temporaryFolder));
  const directories = kept.use(new SortedRecords(sumSchema, temporaryFolder));
  const totals = new Uint32Array(4);
  // Both sorters work at the same time, so each has half.
  const half = { ...options, memoryBytes: options.memoryBytes / 2 };
  await visitNames(snapshot, new NodeCounter(sums, fileLinks, totals, quotas), half);
  sums.drain((batch) => directories.push(existing(batch, directoryLinks, quotas)));
  kept.move();
  return {
    usedSpace: wideOf(totals[0], totals[1]),
    totalInodes: wideOf(totals[2], totals[3]),
    directories,
    fileLinks,
    directoryLinks,
  };
}

class NodeCounter implements NamesVisitor {
  readonly #sums: DirectorySums;
  readonly #fileLinks: LinkCounts;
  readonly #totals: Uint32Array;
  readonly #quotas: QuotaUsage | undefined;
  #batch: Batch = { table: 0, count: 0, columns: [] };
  #inodes: Uint32Array = new Uint32Array(0);
  #types: Uint32Array | undefined;
  #nlinks: Uint32Array | undefined;
  #lengths: Uint32Array | undefined;

  constructor(sums: DirectorySums, fileLinks: LinkCounts, totals: Uint32Array, quotas: QuotaUsage | undefined) {
    this.#sums = sums;
    this.#fileLinks = fileLinks;
    this.#totals = totals;
    this.#quotas = quotas;
  }

  nodes(batch: Batch): void {
    this.#batch = batch;
    this.#inodes = integersOf(batch, nodeColumn.inode);
    this.#types = valuesOf(batch, nodeColumn.type);
    this.#nlinks = valuesOf(batch, nodeColumn.nlink);
    this.#lengths = valuesOf(batch, nodeColumn.length);
  }

  name(parentLow: number, parentHigh: number, type: number, lengthLow: number, lengthHigh: number): void {
    this.#sums.addEntry(parentLow, parentHigh, type, lengthLow, lengthHigh);
  }

  node(row: number, names: number, parentLow: number, parentHigh: number): void {
    const low = this.#inodes[2 * row];
    const high = this.#inodes[2 * row + 1];
    const nlink = this.#nlinks === undefined ? 0 : this.#nlinks[row];
    if (this.#types !== undefined && this.#types[row] === fileType.directory) {
      this.#sums.addDirectory(low, high, nlink, parentLow, parentHigh);
    } else if (names > 0 && nlink !== names) this.#fileLinks.add(low, high, nlink, names);
    const toTrash = compareToTrash(low, high);
    if ((low === 1 && high === 0) || toTrash === 0) return;
    const lengthLow = this.#lengths === undefined ? 0 : this.#lengths[2 * row];
    const lengthHigh = this.#lengths === undefined ? 0 : this.#lengths[2 * row + 1];
    addWide(this.#totals, 0, spaceLow(lengthLow, lengthHigh), spaceHigh(lengthLow, lengthHigh));
    addWide(this.#totals, 1, 1, 0);
    if (toTrash < 0) this.#quotas?.addOwned(this.#batch, row, lengthLow, lengthHigh);
  }
}

/** The records of directories that exist, out of all that have entries; notes wrong link counts and the tree on the way. */
function existing(batch: Batch, links: LinkCounts, quotas: QuotaUsage | undefined): Batch {
  const inodes = integersOf(batch, sumColumn.inode);
  const directories = integersOf(batch, sumColumn.directories);
  const exists = integersOf(batch, sumColumn.exists);
  const nlinks = integersOf(batch, sumColumn.nlink);
  const parents = integersOf(batch, sumColumn.parent);
  let kept = 0;
  for (let row = 0; row < batch.count; row += 1) {
    if (exists[row] === 0) continue;
    const low = inodes[2 * row];
    const high = inodes[2 * row + 1];
    const nlink = 2 + directories[row];
    // JuiceFS does not count the directories of the trash.
    if (nlinks[row] !== nlink && compareToTrash(low, high) < 0) links.add(low, high, nlinks[row], nlink);
    quotas?.tree?.add(low, high, parents[2 * row], parents[2 * row + 1]);
    if (kept < row) {
      sumSchema.columns.forEach(({ type }, index) => {
        const values = integersOf(batch, index);
        if (type === "u32") values[kept] = values[row];
        else values.copyWithin(2 * kept, 2 * row, 2 * row + 2);
      });
    }
    kept += 1;
  }
  return { ...batch, count: kept };
}
