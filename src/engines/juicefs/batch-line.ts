import type { Batch } from "../../model/batch.ts";
import { batchBytes } from "../../model/batch.ts";
import { juicefsTable } from "../../model/juicefs.ts";
import type { TargetOptions, TargetPlan } from "../../model/ports.ts";
import type { SettingField } from "./setting.ts";
import { settingFieldsOf } from "./setting.ts";

/** The way of the batches to the thread that keeps them; the setting stays here. */
export interface BatchLine {
  readonly setting: readonly SettingField[];
  write(batch: Batch): Promise<void>;
  /** Resolves when all batches have been taken, and what follows from them. */
  finish(): Promise<void>;
  /** Fails whatever is waiting and whatever comes. */
  fail(error: unknown): void;
}

/** The calls of the thread that takes the batches. `write` moves a batch's buffers. */
export interface BatchTaker {
  write(batch: Batch): Promise<void>;
  finish(): Promise<void>;
}

export function openBatchLine(
  taker: BatchTaker,
  plan: TargetPlan,
  { memoryBytes, progress }: TargetOptions,
): BatchLine {
  const setting: SettingField[] = [];
  const total = Object.values(plan.counts).reduce((sum, count) => sum + count, 0);
  const underWay = new Set<Promise<void>>();
  const failing = Promise.withResolvers<never>();
  failing.promise.catch(() => {});
  let bytesUnderWay = 0;
  let written = 0;
  let failed: { error: unknown } | undefined;
  function fail(error: unknown): void {
    failed ??= { error };
    failing.reject(failed.error);
  }
  function throwFailure(): void {
    if (failed !== undefined) throw failed.error;
  }
  function send(batch: Batch): void {
    const bytes = batchBytes(batch);
    const { count } = batch;
    bytesUnderWay += bytes;
    const call = taker.write(batch).then(() => {
      written += count;
      progress.report({ phase: "write", done: written, total, unit: "records" });
    }, fail);
    const done = call.finally(() => {
      bytesUnderWay -= bytes;
      underWay.delete(done);
    });
    underWay.add(done);
  }
  return {
    setting,
    async write(batch) {
      if (batch.table === juicefsTable.setting) {
        setting.push(...settingFieldsOf(batch));
        return;
      }
      throwFailure();
      // A share of the memory for what is on its way; the rest is the engine's.
      while (underWay.size > 0 && bytesUnderWay > memoryBytes / 4) {
        await Promise.race([failing.promise, ...underWay]);
        throwFailure();
      }
      send(batch);
    },
    async finish() {
      await Promise.race([failing.promise, Promise.all(underWay)]);
      throwFailure();
      await Promise.race([failing.promise, taker.finish()]);
    },
    fail,
  };
}
