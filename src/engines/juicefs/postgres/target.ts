import { randomUUID } from "node:crypto";
import { transferablesOf } from "../../../model/batch.ts";
import { CairnError, messageOf } from "../../../model/errors.ts";
import type { Target, TargetOptions, TargetPlan, TargetWriter } from "../../../model/ports.ts";
import { systemClock } from "../../../std/clock.ts";
import type { JuicefsLine } from "../lines.ts";
import { newestLine } from "../lines.ts";
import { openBatchLine } from "../batch-line.ts";
import { settingJson } from "../held-setting.ts";
import type { SettingField } from "../setting.ts";
import { settingFieldsOf } from "../setting.ts";
import type { CallableThread } from "../thread-calls.ts";
import { startThread } from "../thread-calls.ts";
import { requireNamesFit, requirePlanFits, requireSettingFits } from "./limits.ts";
import { openOwnSourceView } from "./source.ts";
import type { IndexNote, TargetCalls } from "./target-thread.ts";
import type { PostgresUrl } from "./url.ts";
import { parsePostgresUrl } from "./url.ts";

export interface PostgresTargetOptions {
  /** The release line of the clients that will mount the volume; the newest unless said. */
  line?: JuicefsLine;
}

/** Bytes that a name of PostgreSQL has at most; longer ones are cut, and two may become one. */
const nameBytesMax = 63;
const longestIndexName = "UQE_sustained_sustained";

/** How long what was written may take to go away after a failure. */
const discardMs = 60_000;

/**
 * A database, or a schema of one, for a restored volume: `postgres://user:password@host/database?sslmode=…&search_path=…&table_prefix=…`.
 * Throws `meta-url-invalid`.
 */
export function openPostgresTarget(url: string, options: PostgresTargetOptions = {}): Target {
  const parsed = parsePostgresUrl(url);
  if (parsed.tablePrefix.length + longestIndexName.length > nameBytesMax) {
    throw new CairnError(
      "meta-url-invalid",
      `the table_prefix of ${parsed.location} is too long for PostgreSQL's names`,
      {
        next: `give one of at most ${nameBytesMax - longestIndexName.length - "jfs__".length} characters`,
        exit: "wrongUse",
      },
    );
  }
  const line = options.line ?? newestLine;
  return {
    engine: "PostgreSQL",
    location: parsed.location,
    begin: (plan, targetOptions) => beginRestore(parsed, line, plan, targetOptions),
  };
}

function startTargetThread(signal: AbortSignal, options?: TargetOptions): CallableThread<TargetCalls> {
  return startThread<TargetCalls>(new URL("target-thread.ts", import.meta.url), signal, (note) => {
    const { indexes, total } = note as IndexNote;
    options?.progress.report({ phase: "index", done: indexes, total, unit: "records" });
  });
}

async function beginRestore(
  url: PostgresUrl,
  line: JuicefsLine,
  plan: TargetPlan,
  options: TargetOptions,
): Promise<TargetWriter> {
  if (plan.replace !== undefined) {
    throw new CairnError("replace-unsupported", "a volume in PostgreSQL cannot be replaced in place", {
      unharmed: "nothing was written",
      next: "restore beside it (another database, search_path or table_prefix), then point the clients to the new one",
      exit: "targetRefused",
    });
  }
  requirePlanFits(line, plan);
  const thread = startTargetThread(options.signal, options);
  const restore = `cairn restore ${randomUUID()}`;
  try {
    const { encoding } = await thread.call("prepare", { url, restore });
    await requireNamesFit(plan, encoding);
    requireSettingFits(settingJson(await readSetting(plan), plan, line), line, encoding);
  } catch (error) {
    await thread[Symbol.asyncDispose]();
    throw error;
  }
  try {
    await thread.call("begin", {
      volumeId: plan.volumeId,
      line,
      facts: plan.facts,
      temporaryFolder: options.temporaryFolder,
      memoryBytes: options.memoryBytes,
      now: Math.floor(systemClock.now() / 1000),
      discardUnfinished: options.discardUnfinished === true,
    });
  } catch (error) {
    await thread[Symbol.asyncDispose]();
    await discard(url, restore, options);
    throw error;
  }
  return makeWriter({ url, line, plan, options, thread, restore });
}

async function readSetting(plan: TargetPlan): Promise<SettingField[]> {
  const fields: SettingField[] = [];
  for await (const batch of plan.read("setting")) fields.push(...settingFieldsOf(batch));
  return fields;
}

/** Removes what this restore wrote, with connections of its own: the others may be gone, or busy. */
async function discard(url: PostgresUrl, restore: string, options: TargetOptions): Promise<void> {
  await using thread = startTargetThread(AbortSignal.timeout(discardMs));
  try {
    await thread.call("discard", { url, restore });
  } catch (error) {
    options.progress.warn(
      "target-not-removed",
      `what was written to ${url.location} could not be removed (${messageOf(error)}); no client takes it for a volume, and restore --discard-unfinished removes it`,
    );
  }
}

interface Restore {
  readonly url: PostgresUrl;
  readonly line: JuicefsLine;
  readonly plan: TargetPlan;
  readonly options: TargetOptions;
  readonly thread: CallableThread<TargetCalls>;
  readonly restore: string;
}

function makeWriter({ url, line, plan, options, thread, restore }: Restore): TargetWriter {
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

  return {
    write: (batch) => batches.write(batch),

    async finish() {
      await batches.finish();
      isFinished = true;
    },

    readBack: () => openOwnSourceView(url, options, batches.setting),

    async publish() {
      if (!isFinished) throw new Error("a restore is published after it was finished");
      const json = settingJson(batches.setting, plan, line);
      await thread.call("publish", json);
      isPublished = true;
    },

    async [Symbol.asyncDispose]() {
      await thread[Symbol.asyncDispose]();
      if (!isPublished) await discard(url, restore, options);
    },
  };
}
