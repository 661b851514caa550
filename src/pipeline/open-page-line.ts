import { Worker } from "node:worker_threads";
import type { Batch } from "../model/batch.ts";
import { transferablesOf } from "../model/batch.ts";
import { CairnError } from "../model/errors.ts";
import type { PageLineOptions } from "./page-line.ts";
import type { PageEvent, PageWorkerData, PageWorkerInput, PageWorkerOutput } from "./page-line-worker.ts";

/** A page line on its own thread. */
export interface OpenPageLine extends AsyncDisposable {
  /** Hands a batch over (its buffers are moved); waits while the line is behind. Throws what the line failed with. */
  push(batch: Batch): Promise<void>;
  /** No more batches follow. */
  finish(): void;
  /** Pages and table ends in the order in which the line makes them; ends after `finish`. */
  events(): AsyncIterable<PageEvent>;
}

/** Batches that may be on their way to the line: one being worked on and a few waiting. */
const batchesUnderWayMax = 4;

export interface OpenPageLineOptions extends PageLineOptions {
  /** Pages will be stored: the line makes their frames where it would have to wait otherwise. */
  frames: boolean;
}

export function openPageLine(options: OpenPageLineOptions, signal: AbortSignal): OpenPageLine {
  const underWay = new SharedArrayBuffer(4);
  const counter = new Int32Array(underWay);
  const { kind, sortedTables, memoryBytes, temporaryFolder, pathIndex, frames } = options;
  const data: PageWorkerData = { kind, sortedTables, memoryBytes, temporaryFolder, pathIndex, frames, underWay };
  const worker = new Worker(new URL("./page-line-worker.ts", import.meta.url), {
    workerData: data,
    // Batches and pages are buffers outside the heap; what is on it is small and short-lived.
    resourceLimits: { maxYoungGenerationSizeMb: 8 },
  });
  const groups: PageEvent[][] = [];
  let untaken = 0;
  let finished = false;
  let failure: { reason: unknown } | undefined;
  let waiting: (() => void)[] = [];

  const wake = (): void => {
    const all = waiting;
    waiting = [];
    for (const resolve of all) resolve();
  };
  const sleep = (): Promise<void> => new Promise((resolve) => waiting.push(resolve));
  const fail = (reason: unknown): void => {
    failure ??= { reason };
    wake();
  };
  worker.on("message", (output: PageWorkerOutput) => {
    if ("taken" in output) untaken -= 1;
    else if ("events" in output) groups.push(output.events);
    else if ("finished" in output) finished = true;
    else {
      const { code, message, unharmed, next } = output.error;
      fail(
        new CairnError(code, message, {
          ...(unharmed === undefined ? {} : { unharmed }),
          ...(next === undefined ? {} : { next }),
        }),
      );
    }
    wake();
  });
  worker.on("error", fail);
  worker.on("exit", () => {
    if (!finished) fail(new CairnError("internal", "the page line's thread ended early"));
  });
  const onAbort = (): void => fail(signal.reason);
  // A signal that was aborted before says so only here: its event never comes.
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });

  const post = (input: PageWorkerInput, transfers: ArrayBuffer[] = []): void => worker.postMessage(input, transfers);
  return {
    async push(batch) {
      while (untaken >= batchesUnderWayMax && failure === undefined) await sleep();
      if (failure !== undefined) throw failure.reason;
      untaken += 1;
      post({ batch }, transferablesOf(batch));
    },
    finish() {
      post({ finish: true });
    },
    async *events() {
      for (;;) {
        if (failure !== undefined) throw failure.reason;
        const group = groups.shift();
        if (group !== undefined) {
          const bytes = group.reduce((sum, event) => sum + contentBytes(event), 0);
          Atomics.sub(counter, 0, Math.ceil(bytes / 1024));
          Atomics.notify(counter, 0);
          yield* group;
        } else if (finished) return;
        else await sleep();
      }
    },
    async [Symbol.asyncDispose]() {
      signal.removeEventListener("abort", onAbort);
      fail(new CairnError("internal", "the page line was closed"));
      await worker.terminate();
      // Who still waits to push must not wait for ever.
      fail(new CairnError("internal", "the page line was closed"));
    },
  };
}

function contentBytes(event: PageEvent): number {
  if (event.type === "page") return event.page.raw.length + (event.frame?.length ?? 0);
  return event.type === "large" ? event.value.length : 0;
}
