import { batchFromRows } from "../../src/model/batch.ts";
import type { Batch, Row } from "../../src/model/batch.ts";
import { juicefs } from "../../src/model/juicefs.ts";
import type { Source } from "../../src/model/ports.ts";
import { seededRandom } from "../volumes/seeded-random.ts";
import type { SeededRandom } from "../volumes/seeded-random.ts";
import type { TableRows } from "./volume-rows.ts";

const syntheticVolume = "11111111-2222-3333-4444-555555555555";

export interface RowsSourceOptions {
  volume?: string;
  /** How records are shuffled and cut into batches; the same seed gives the same batches. */
  seed?: number;
  /** At most so many records in a batch. */
  batchRows?: number;
  /** Tables that come in key order and say so. */
  sortedTables?: readonly string[];
  /** Called before each batch: a test hooks its fault in here. */
  onBatch?: (number: number) => void | Promise<void>;
}

/** The batches of a volume in a random order, except for the sorted tables. */
export function batchesOf(rows: TableRows, options: RowsSourceOptions = {}): Batch[] {
  const random = seededRandom(options.seed ?? 1);
  const most = options.batchRows ?? 1000;
  const queues: Batch[][] = [];
  for (const [table, schema] of juicefs.tables.entries()) {
    const own = [...rows[schema.name]];
    if (options.sortedTables?.includes(schema.name) !== true) shuffle(own, random);
    const queue: Batch[] = [];
    for (let at = 0; at < own.length;) {
      const count = 1 + random.below(most);
      queue.push(
        withoutDefaults(
          batchFromRows(schema, table, own.slice(at, at + count)),
          random.below(2) === 0,
          schema.keyCount,
        ),
      );
      at += count;
    }
    const end = queue.at(-1);
    if (end !== undefined && random.below(2) === 0) queue[queue.length - 1] = { ...end, last: true };
    queues.push(queue);
  }
  const mixed: Batch[] = [];
  for (;;) {
    const rest = queues.filter((queue) => queue.length > 0);
    if (rest.length === 0) return mixed;
    mixed.push(random.pick(rest).shift() as Batch);
  }
}

function shuffle(rows: Row[], random: SeededRandom): void {
  for (let at = rows.length - 1; at > 0; at -= 1) {
    const other = random.below(at + 1);
    [rows[at], rows[other]] = [rows[other], rows[at]];
  }
}

/** Sources may leave a value column out where all its values are the default: half of these do. */
function withoutDefaults(batch: Batch, leaveOut: boolean, keyCount: number): Batch {
  if (!leaveOut) return batch;
  const columns = batch.columns.map((column, index) => {
    if (column === undefined || index < keyCount) return column;
    const isDefault =
      "values" in column
        ? column.values.every((value) => value === 0)
        : column.offsets[batch.count] === column.offsets[0];
    return isDefault ? undefined : column;
  });
  return { ...batch, columns };
}

/** A source that gives the records of a volume. */
export function rowsSource(rows: TableRows, options: RowsSourceOptions = {}): Source {
  const consistency = { level: "snapshot", method: "a list in memory" } as const;
  return {
    describe: () =>
      Promise.resolve({
        kind: "juicefs",
        system: "synthetic",
        engine: "memory",
        engineVersion: "1",
        volumeName: "synthetic",
        volumeId: options.volume ?? syntheticVolume,
        estimates: Object.fromEntries(Object.entries(rows).map(([name, own]) => [name, own.length])),
        estimatedBytes: 0,
        consistency,
        problems: [],
        facts: {},
      }),
    open: () =>
      Promise.resolve({
        kind: juicefs,
        volumeId: options.volume ?? syntheticVolume,
        volumeName: "synthetic",
        sortedTables: options.sortedTables ?? [],
        async *batches() {
          for (const [number, batch] of batchesOf(rows, options).entries()) {
            await options.onBatch?.(number);
            yield batch;
          }
        },
        summary: () =>
          Promise.resolve({
            consistency,
            position: { at: "1" },
            facts: { nextSession: "5" },
            findings: [],
            omitted: {},
            secrets: {},
          }),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
  };
}
