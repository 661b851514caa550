import type { Batch } from "../../model/batch.ts";
import { integersOf } from "../../model/batch.ts";
import { juicefsTable, nodeColumn, trashInode } from "../../model/juicefs.ts";
import type { Finding } from "../../model/ports.ts";
import { singleFinding } from "./finding.ts";

const trashHigh = Number(trashInode >> 32n);
const trashLow = Number(trashInode & 0xffffffffn);

/** Tables and columns that refer to an inode: a next inode at or below any of them would be handed out twice. */
const inodeColumns: Readonly<Record<number, readonly number[]>> = {
  [juicefsTable.node]: [nodeColumn.inode],
  [juicefsTable.edge]: [0, 2],
  [juicefsTable.chunk]: [0],
  [juicefsTable.deletedFile]: [0],
  [juicefsTable.detachedNode]: [0],
  [juicefsTable.sustained]: [1],
};

/**
 * What would make a restored volume dangerous, gathered from canonical batches as they stream by: maxima and sums over columns, no record is
 * kept. A reused inode or slice number destroys data of new files (the clean-up of the old ones deletes it).
 */
export class Hazards {
  #maxInode = 0n;
  #maxTrash = 0n;
  #inodes = 0;
  /** Used space in units of 4 KiB, in two parts so that it stays exact: sparse files reach 2^51 units each. */
  #unitsLow = 0;
  #unitsHigh = 0;

  /** Looks at a batch; tables that say nothing are passed over. Before the batch is handed on. */
  see(batch: Batch): void {
    for (const column of inodeColumns[batch.table] ?? []) this.#seeInodes(integersOf(batch, column), batch.count);
    if (batch.table === juicefsTable.node) this.#seeUsage(batch);
  }

  #seeInodes(values: Uint32Array, count: number): void {
    let high = 0;
    let low = 0;
    let trashDirectory = -1;
    for (let at = 0; at < 2 * count; at += 2) {
      const top = values[at + 1];
      if (top < high) continue;
      if (top >= trashHigh && (top > trashHigh || values[at] >= trashLow)) {
        const number = (top - trashHigh) * 4294967296 + values[at] - trashLow;
        if (number > trashDirectory) trashDirectory = number;
      } else if (top > high || values[at] > low) {
        high = top;
        low = values[at];
      }
    }
    const inode = (BigInt(high) << 32n) | BigInt(low);
    if (inode > this.#maxInode) this.#maxInode = inode;
    if (trashDirectory > 0 && BigInt(trashDirectory) > this.#maxTrash) this.#maxTrash = BigInt(trashDirectory);
  }

  #seeUsage(batch: Batch): void {
    const inodes = integersOf(batch, nodeColumn.inode);
    const lengths = batch.columns[nodeColumn.length] === undefined ? undefined : integersOf(batch, nodeColumn.length);
    for (let row = 0; row < batch.count; row++) {
      const low = inodes[2 * row];
      const high = inodes[2 * row + 1];
      if ((high === 0 && low === 1) || (high === trashHigh && low === trashLow)) continue;
      this.#inodes++;
      const lengthLow = lengths === undefined ? 0 : lengths[2 * row];
      const lengthHigh = lengths === undefined ? 0 : lengths[2 * row + 1];
      const units = Math.max(1, lengthHigh * 0x100000 + Math.ceil(lengthLow / 4096));
      this.#unitsLow += units % 0x4000000;
      this.#unitsHigh += Math.floor(units / 0x4000000);
    }
  }

  /** `maxSlice` is the highest slice id in chunks, delayed slices and stored counts. `counters` are canonical. */
  findings(counters: ReadonlyMap<string, bigint>, maxSlice: bigint): Finding[] {
    const found: Finding[] = [];
    const nextInode = counters.get("nextInode") ?? 2n;
    if (nextInode <= this.#maxInode) {
      found.push(
        singleFinding(
          "next-inode-too-low",
          "warning",
          `the next inode is ${nextInode}, but inode ${this.#maxInode} is still referred to: new files would share its data and lose it`,
        ),
      );
    }
    const nextChunk = counters.get("nextChunk") ?? 1n;
    if (nextChunk <= maxSlice) {
      found.push(
        singleFinding(
          "next-chunk-too-low",
          "warning",
          `the next slice id is ${nextChunk}, but slice ${maxSlice} is in use: new data would overwrite its blocks`,
        ),
      );
    }
    const nextTrash = counters.get("nextTrash") ?? 0n;
    if (nextTrash < this.#maxTrash) {
      found.push(
        singleFinding(
          "next-trash-too-low",
          "warning",
          `the last trash directory is number ${this.#maxTrash}, but the counter says ${nextTrash}: new trash directories would fail`,
        ),
      );
    }
    return [...found, ...this.#usageFindings(counters)];
  }

  #usageFindings(counters: ReadonlyMap<string, bigint>): Finding[] {
    const space = (BigInt(this.#unitsHigh) * 0x4000000n + BigInt(this.#unitsLow)) * 4096n;
    const inodes = BigInt(this.#inodes);
    const usedSpace = counters.get("usedSpace") ?? 0n;
    const totalInodes = counters.get("totalInodes") ?? 0n;
    if (usedSpace === space && totalInodes === inodes) return [];
    return [
      singleFinding(
        "usage-lags",
        "info",
        "the usage counters differ from the sum over all inodes; clients write them late, and a statfs shows it until they do",
        [
          `usedSpace: counter ${usedSpace}, sum ${space}, difference ${usedSpace - space}`,
          `totalInodes: counter ${totalInodes}, sum ${inodes}, difference ${totalInodes - inodes}`,
        ],
      ),
    ];
  }
}
