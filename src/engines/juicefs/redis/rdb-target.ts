import { transferablesOf } from "../../../model/batch.ts";
import { randomBytes } from "node:crypto";
import { closeSync, existsSync, fsyncSync, linkSync, openSync, rmSync, statSync, unlinkSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { CairnError, messageOf } from "../../../model/errors.ts";
import type { Target, TargetOptions, TargetPlan, TargetWriter } from "../../../model/ports.ts";
import { systemClock } from "../../../std/clock.ts";
import type { JuicefsLine } from "../lines.ts";
import { newestLine } from "../lines.ts";
import { startThread } from "../thread-calls.ts";
import { openBatchLine } from "../batch-line.ts";
import { settingJson } from "../held-setting.ts";
import { openPrivateRedisView } from "./private-view.ts";
import { estimatedKeys, requirePlanFits } from "./target-plan.ts";
import type { TargetCalls } from "./target-thread.ts";

export interface RdbFileTargetOptions {
  /** The release line of the clients that will mount the volume; the newest unless said. */
  line?: JuicefsLine;
  /** The number of the database in the file; 0 unless said. */
  database?: number;
}

/** A new RDB file that a Redis server starts from (its `dump.rdb`), with the volume in one database. */
export function openRdbFileTarget(path: string, options: RdbFileTargetOptions = {}): Target {
  return {
    engine: "Redis",
    location: path,
    begin: (plan, targetOptions) => beginFile(path, options, plan, targetOptions),
  };
}

async function beginFile(
  path: string,
  choices: RdbFileTargetOptions,
  plan: TargetPlan,
  options: TargetOptions,
): Promise<TargetWriter> {
  const line = choices.line ?? newestLine;
  const database = choices.database ?? 0;
  requirePlanFits(line, plan);
  requireFree(path);
  const temporary = join(dirname(path), `${basename(path)}.cairn-${randomBytes(6).toString("hex")}.tmp`);
  const thread = startThread<TargetCalls>(new URL("target-thread.ts", import.meta.url), options.signal, () => {});
  const batches = openBatchLine(
    {
      write: (batch) => thread.call("write", batch, transferablesOf(batch)),
      finish: () => thread.call("finish", undefined),
    },
    plan,
    options,
  );
  let isFinished = false;
  let isPublished = false;
  const said = async <Result>(run: () => Promise<Result>): Promise<Result> => {
    try {
      return await run();
    } catch (error) {
      throw fileError(path, error);
    }
  };
  async function publish(): Promise<void> {
    if (!isFinished) throw new Error("the restore is not finished");
    await thread.call("seal", settingJson(batches.setting, plan, line));
    await thread.call("close", undefined);
    giveName(temporary, path);
    isPublished = true;
  }
  const writer: TargetWriter = {
    write: (batch) => said(() => batches.write(batch)),
    finish: () =>
      said(async () => {
        await batches.finish();
        isFinished = true;
      }),
    readBack: () => openPrivateRedisView({ rdbFile: temporary, database }, options, batches.setting),
    publish: () => said(publish),
    async [Symbol.asyncDispose]() {
      await thread[Symbol.asyncDispose]();
      if (!isPublished) rmSync(temporary, { force: true });
    },
  };
  try {
    await said(() =>
      thread.call("begin", {
        way: "file",
        path: temporary,
        database,
        keys: estimatedKeys(plan),
        layout: {
          prefix: "",
          facts: plan.facts,
          temporaryFolder: options.temporaryFolder,
          memoryBytes: options.memoryBytes,
          now: Math.floor(systemClock.now() / 1000),
        },
      }),
    );
    return writer;
  } catch (error) {
    await writer[Symbol.asyncDispose]();
    throw error;
  }
}

function requireFree(path: string): void {
  const folder = dirname(path);
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new CairnError("target-no-folder", `there is no folder ${folder}`, {
      exit: "targetRefused",
      unharmed: "nothing was written",
      next: "make the folder, or name a path in one that exists",
    });
  }
  if (existsSync(path)) throw taken(path);
}

function taken(path: string): CairnError {
  return new CairnError("target-not-empty", `${path} is already there`, {
    exit: "targetRefused",
    unharmed: "it was not touched",
    next: "name a new file",
  });
}

/** By a hard link, which never takes the place of another file. */
function giveName(temporary: string, path: string): void {
  try {
    linkSync(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw taken(path);
    throw error;
  }
  unlinkSync(temporary);
  const folder = openSync(dirname(path), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function fileError(path: string, error: unknown): unknown {
  if (error instanceof CairnError) return error;
  const unharmed = "the unfinished file is removed; nothing else was touched";
  const message = messageOf(error);
  if (/\bENOSPC\b|\bEDQUOT\b/.test(message)) {
    return new CairnError("no-space", `there is no room for ${path}: ${message}`, {
      exit: "targetRefused",
      unharmed,
      next: "make room, restore elsewhere, or name another temporary folder (TMPDIR)",
      cause: error,
    });
  }
  if (/^E[A-Z]+:/.test(message)) {
    return new CairnError("target-io", `${path} cannot be written: ${message}`, {
      unharmed,
      next: "check the disk and the rights of the folder",
      exit: "targetRefused",
      cause: error,
    });
  }
  return error;
}
