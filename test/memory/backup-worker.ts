/**
 * `backup-worker.ts RECORDS MEMORY-MIB FOLDER` backs up that many generated records, in an order that has to be sorted, into a new
 * repository, and prints what the process needed as JSON.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../src/std/clock.ts";
import type { Batch } from "../../src/model/batch.ts";
import { juicefs, juicefsTable, nodeColumn } from "../../src/model/juicefs.ts";
import type { Source } from "../../src/model/ports.ts";
import { backup } from "../../src/operations/backup.ts";
import { initRepository } from "../../src/repository/repository.ts";
import { FolderStore } from "../../src/repository/stores/folder.ts";
import { quietProgress } from "../support/quiet-progress.ts";

const batchRows = 4096;

/** A number below 2^32 that no other row gets: rows come in no order. */
function scattered(row: number): number {
  return Math.imul(row + 1, 0x9e3779b1) >>> 0;
}

function nodes(from: number, count: number): Batch {
  const { columns } = juicefs.tables[juicefsTable.node];
  const batch = {
    table: juicefsTable.node,
    count,
    columns: columns.map(({ type }) => ({ values: new Uint32Array(type === "u32" ? count : 2 * count) })),
  };
  for (let at = 0; at < count; at += 1) {
    const inode = scattered(from + at);
    batch.columns[nodeColumn.inode].values[2 * at] = inode;
    batch.columns[nodeColumn.mtime].values[2 * at] = 1_700_000_000 + (inode % 9_999_991);
    batch.columns[nodeColumn.mtimensec].values[at] = Math.imul(inode, 2654435761) % 1_000_000_000;
    batch.columns[nodeColumn.length].values[2 * at] = Math.imul(inode, 40503) >>> 4;
    batch.columns[nodeColumn.mode].values[at] = 0o644;
    batch.columns[nodeColumn.nlink].values[at] = 1;
    batch.columns[nodeColumn.parent].values[2 * at] = inode % 5003;
  }
  return batch;
}

function edges(from: number, count: number): Batch {
  const parents = new Uint32Array(2 * count);
  const inodes = new Uint32Array(2 * count);
  const types = new Uint32Array(count).fill(1);
  const offsets = new Uint32Array(count + 1);
  const arena = new Uint8Array(24 * count);
  for (let at = 0; at < count; at += 1) {
    const inode = scattered(from + at);
    parents[2 * at] = inode % 5003;
    inodes[2 * at] = inode;
    const name = Buffer.from(`report-${inode.toString(36)}.json`, "latin1");
    arena.set(name, offsets[at]);
    offsets[at + 1] = offsets[at] + name.length;
  }
  return {
    table: juicefsTable.edge,
    count,
    columns: [{ values: parents }, { offsets, arena }, { values: inodes }, { values: types }],
  };
}

function generatedSource(records: number): Source {
  const consistency = { level: "snapshot", method: "generated" } as const;
  const volume = { volumeName: "generated", volumeId: "99999999-8888-7777-6666-555555555555" };
  return {
    describe: async () => ({
      kind: "juicefs",
      system: "generated",
      engine: "memory",
      engineVersion: "1",
      ...volume,
      estimates: {},
      estimatedBytes: 0,
      consistency,
      problems: [],
      facts: {},
    }),
    open: async () => ({
      kind: juicefs,
      ...volume,
      sortedTables: [],
      async *batches() {
        for (let from = 0; from < records / 2; from += batchRows) {
          const count = Math.min(batchRows, records / 2 - from);
          yield nodes(from, count);
          yield edges(from, count);
        }
      },
      summary: async () => ({ consistency, position: {}, facts: {}, findings: [], omitted: {}, secrets: {} }),
      [Symbol.asyncDispose]: async () => undefined,
    }),
  };
}

const [records, memoryMib, folder] = process.argv.slice(2);
const temporaryFolder = join(folder, "temporary");
await mkdir(temporaryFolder);
const store = new FolderStore(join(folder, "repository"));
const began = performance.now();
const { manifest } = await backup({
  repository: await initRepository(store),
  source: generatedSource(Number(records)),
  note: "",
  tags: {},
  keepSecrets: false,
  memoryBytes: Number(memoryMib) << 20,
  temporaryFolder,
  progress: quietProgress(),
  signal: new AbortController().signal,
  clock: systemClock,
  tool: { name: "cairn", version: "test" },
});
await store.close();
console.log(
  JSON.stringify({
    peakMib: process.resourceUsage().maxRSS / 1024,
    seconds: (performance.now() - began) / 1000,
    storedMib: manifest.storedBytes / (1 << 20),
    records: manifest.tables.reduce((sum, table) => sum + table.records, 0),
  }),
);
