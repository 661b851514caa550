import type { Column } from "../../../model/batch.ts";
import { nodeColumn } from "../../../model/juicefs.ts";
import type { ColumnSink, Integer64Sink } from "../../../std/column-sink.ts";
import { integer64Sink } from "../../../std/column-sink.ts";
import { batchRecords } from "../take-columns.ts";
import { putTime } from "../times.ts";
import { nodeMoments } from "./canonical-tables.ts";

/** What a table needs beside plain columns. */
export interface ScanExtras {
  /** More columns to read, and what becomes of them once a batch is there. */
  readonly sinks?: Readonly<Record<string, ColumnSink>>;
  /** Adds canonical columns made from the extra sinks. */
  readonly add?: (columns: (Column | undefined)[], count: number) => void;
}

/** The three times of nodes: microseconds, and the nanoseconds' rest that schemas before 1.1 do not have. */
export function nodeTimes(hasColumn: (name: string) => boolean): Required<ScanExtras> {
  const sinks: Record<string, ColumnSink> = {};
  const times = nodeMoments.map((name) => {
    const micros = integer64Sink(batchRecords);
    sinks[name] = micros;
    let rests: Integer64Sink | undefined;
    if (hasColumn(`${name}nsec`)) {
      rests = integer64Sink(batchRecords);
      sinks[`${name}nsec`] = rests;
    }
    return { index: nodeColumn[name], micros, rests };
  });
  return {
    sinks,
    add(columns, count) {
      for (const { index, micros, rests } of times) putMoment(columns, index, count, micros, rests);
    },
  };
}

function putMoment(
  columns: (Column | undefined)[],
  index: number,
  count: number,
  micros: Integer64Sink,
  rests: Integer64Sink | undefined,
): void {
  const times = { seconds: new Uint32Array(2 * count), nanoseconds: new Uint32Array(count) };
  const { values } = micros;
  // The rest is an int16: its low half alone, sign and all.
  for (let row = 0; row < count; row++) {
    putTime(times, row, values[2 * row], values[2 * row + 1], rests === undefined ? 0 : rests.values[2 * row] | 0);
  }
  columns[index] = times.seconds.some((half) => half !== 0) ? { values: times.seconds } : undefined;
  columns[index + 1] = times.nanoseconds.some((value) => value !== 0) ? { values: times.nanoseconds } : undefined;
}
