import type { Batch } from "../../../model/batch.ts";
import { batchBytes } from "../../../model/batch.ts";

/** Batches between the connections that fill and the one that takes, in order of arrival. */
export interface BatchQueue {
  /** `onRoom` is called once there is room again when this batch filled the queue; returns whether it did. */
  push(batch: Batch, onRoom: () => void): boolean;
  /** The next batch; undefined after the last one. */
  next(): Promise<Batch | undefined>;
  /** No batch follows. */
  end(): void;
  /** The batches that are there may still be taken, then this is thrown. */
  fail(error: unknown): void;
}

/** A queue that asks its fillers to wait while it holds more than `bytesMax`. */
export function openBatchQueue(bytesMax: number): BatchQueue {
  const batches: { batch: Batch; bytes: number }[] = [];
  let bytes = 0;
  let isEnded = false;
  let failure: { error: unknown } | undefined;
  let taker: (() => void) | undefined;
  let waiting: (() => void)[] = [];

  function wake(): void {
    taker?.();
    taker = undefined;
  }

  return {
    push(batch, onRoom) {
      const size = batchBytes(batch);
      batches.push({ batch, bytes: size });
      bytes += size;
      wake();
      if (bytes <= bytesMax) return false;
      waiting.push(onRoom);
      return true;
    },
    async next() {
      while (batches.length === 0 && !isEnded && failure === undefined) {
        await new Promise<void>((resolve) => {
          taker = resolve;
        });
      }
      const first = batches.shift();
      if (first === undefined) {
        if (failure !== undefined) throw failure.error;
        return undefined;
      }
      bytes -= first.bytes;
      if (bytes <= bytesMax / 2) {
        const ready = waiting;
        waiting = [];
        for (const onRoom of ready) onRoom();
      }
      return first.batch;
    },
    end() {
      isEnded = true;
      wake();
    },
    fail(error) {
      failure ??= { error };
      wake();
    },
  };
}
