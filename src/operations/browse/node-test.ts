import type { Batch, IntegerColumn } from "../../model/batch.ts";
import { nodeColumn } from "../../model/juicefs.ts";

/** What attributes of an inode must be; all that are given must hold. */
export interface NodeConditions {
  sizes?: readonly { sign: "+" | "-" | ""; bytes: number }[];
  /** Milliseconds since 1970: modified after. */
  newer?: number;
  /** Modified before. */
  older?: number;
  uid?: number;
  gid?: number;
}

export function hasConditions(conditions: NodeConditions): boolean {
  const { sizes, newer, older, uid, gid } = conditions;
  return (
    (sizes?.length ?? 0) > 0 || newer !== undefined || older !== undefined || uid !== undefined || gid !== undefined
  );
}

/** Columns of `node` that conditions look at. */
export const testedColumns: readonly number[] = [
  nodeColumn.uid,
  nodeColumn.gid,
  nodeColumn.mtime,
  nodeColumn.mtimensec,
  nodeColumn.length,
];

/** The same for columns of a batch and columns that were gathered: undefined stands for all zero. */
export type ColumnOf = (index: number) => Uint32Array | undefined;

export function columnsOfBatch(batch: Batch): ColumnOf {
  return (index) => (batch.columns[index] as IntegerColumn | undefined)?.values;
}

/** Marks with 1 the rows that meet all conditions, column by column. */
export function testNodes(conditions: NodeConditions, count: number, columnOf: ColumnOf, marks: Uint8Array): void {
  marks.fill(1, 0, count);
  const { uid, gid, newer, older } = conditions;
  if (uid !== undefined) testEqual(columnOf(nodeColumn.uid), uid, count, marks);
  if (gid !== undefined) testEqual(columnOf(nodeColumn.gid), gid, count, marks);
  for (const size of conditions.sizes ?? []) testSize(columnOf(nodeColumn.length), size, count, marks);
  if (newer === undefined && older === undefined) return;
  const seconds = columnOf(nodeColumn.mtime);
  const nanoseconds = columnOf(nodeColumn.mtimensec);
  for (let row = 0; row < count; row += 1) {
    const whole = seconds === undefined ? 0 : (seconds[2 * row + 1] | 0) * 4294967296 + seconds[2 * row];
    const milliseconds = whole * 1000 + (nanoseconds === undefined ? 0 : nanoseconds[row] / 1e6);
    if (newer !== undefined && milliseconds <= newer) marks[row] = 0;
    if (older !== undefined && milliseconds >= older) marks[row] = 0;
  }
}

function testEqual(values: Uint32Array | undefined, wanted: number, count: number, marks: Uint8Array): void {
  for (let row = 0; row < count; row += 1) if ((values === undefined ? 0 : values[row]) !== wanted) marks[row] = 0;
}

function testSize(
  lengths: Uint32Array | undefined,
  { sign, bytes }: { sign: "+" | "-" | ""; bytes: number },
  count: number,
  marks: Uint8Array,
): void {
  for (let row = 0; row < count; row += 1) {
    const length = lengths === undefined ? 0 : lengths[2 * row + 1] * 4294967296 + lengths[2 * row];
    const holds = sign === "+" ? length > bytes : sign === "-" ? length < bytes : length === bytes;
    if (!holds) marks[row] = 0;
  }
}
