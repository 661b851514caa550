import { randomUUID } from "node:crypto";
import { transferablesOf } from "../../../model/batch.ts";
import { CairnError, messageOf } from "../../../model/errors.ts";
import type { Target, TargetOptions, TargetPlan, TargetWriter } from "../../../model/ports.ts";
import { isoTime, systemClock } from "../../../std/clock.ts";
import type { JuicefsLine } from "../lines.ts";
import { newestLine } from "../lines.ts";
import { openBatchLine } from "../batch-line.ts";
import { settingJson } from "../held-setting.ts";
import type { SettingField } from "../setting.ts";
import { settingFieldsOf } from "../setting.ts";
import type { CallableThread } from "../thread-calls.ts";
import { startThread } from "../thread-calls.ts";
import { restoredTables } from "./builder.ts";
import { requirePlanFits, requireSettingFits } from "./column-limits.ts";
import type { MadeNames } from "./made-tables.ts";
import type { Marker } from "./marker.ts";
import { openReadBackView } from "./source.ts";
import type { IndexNote, MadeNote, TargetCalls } from "./target-thread.ts";
import type { MysqlUrl } from "./url.ts";
import { parseMysqlUrl } from "./url.ts";

export interface MysqlTargetOptions {
  /** The release line of the clients that will mount the volume; the newest unless said. */
  line?: JuicefsLine;
}

/** Longest that the removal of an unfinished restore may take. */
const discardMs = 60_000;

/** Tables without a volume in a database of MySQL or MariaDB: `mysql://user:password@(host:3306)/db?…`. Throws `meta-url-invalid`. */
export function openMysqlTarget(url: string, options: MysqlTargetOptions = {}): Target {
  const parsed = parseMysqlUrl(url);
  const line = options.line ?? newestLine;
  return {
    engine: "MySQL",
    location: parsed.location,
    begin: (plan, targetOptions) => beginRestore(parsed, line, plan, targetOptions),
  };
}

interface Restore {
  readonly url: MysqlUrl;
  readonly line: JuicefsLine;
  readonly plan: TargetPlan;
  readonly options: TargetOptions;
  readonly thread: CallableThread<TargetCalls>;
  readonly marker: Marker;
  /** What the thread has made by now. */
  readonly made: () => MadeNames;
}

async function beginRestore(
  given: MysqlUrl,
  line: JuicefsLine,
  plan: TargetPlan,
  options: TargetOptions,
): Promise<TargetWriter> {
  if (plan.replace !== undefined) {
    throw new CairnError("replace-unsupported", "--replace works for SQLite only", {
      unharmed: "nothing was written",
      next: "restore into an empty database or under another table_prefix, and drop the old one afterwards",
      exit: "targetRefused",
    });
  }
  requirePlanFits(line, plan);
  const fields: SettingField[] = [];
  for await (const batch of plan.read("setting")) fields.push(...settingFieldsOf(batch));
  requireSettingFits(line, settingJson(fields, plan, line));
  const { signal, progress, temporaryFolder, memoryBytes } = options;
  let made: MadeNames = { names: [] };
  const thread = startThread<TargetCalls>(new URL("target-thread.ts", import.meta.url), signal, (note) => {
    if ("made" in (note as MadeNote | IndexNote)) {
      ({ made } = note as MadeNote);
      return;
    }
    const { indexes, total } = note as IndexNote;
    progress.report({ phase: "index", done: indexes, total, unit: "records" });
  });
  const now = systemClock.now();
  let begun: Restore | undefined;
  try {
    const name = randomUUID();
    const discardUnfinished = options.discardUnfinished === true;
    const url = await thread.call("connect", { url: given, restore: name, discardUnfinished });
    const tables = restoredTables(line, url.tablePrefix);
    const marker = { restore: name, volumeId: plan.volumeId, started: isoTime(now), tables };
    const restore: Restore = { url, line, plan, options, thread, marker, made: () => made };
    if ((plan.counts["xattr"] ?? 0) > 0) await checkNames(restore);
    begun = restore;
    await thread.call("begin", {
      marker: restore.marker,
      line,
      tablePrefix: url.tablePrefix,
      facts: plan.facts,
      counts: plan.counts,
      temporaryFolder,
      memoryBytes,
      now: Math.floor(now / 1000),
    });
    return makeWriter(restore);
  } catch (error) {
    await thread[Symbol.asyncDispose]();
    if (begun !== undefined) await discard(begun);
    throw error;
  }
}

async function checkNames({ plan, thread }: Restore): Promise<void> {
  for await (const batch of plan.read("xattr")) await thread.call("checkNames", batch, transferablesOf(batch));
  await thread.call("checkNames", undefined);
}

/** Removes what was written, on a new connection; where that fails, the marker stays, and with it the way to remove it later. */
async function discard({ url, options, marker, made }: Restore): Promise<void> {
  const thread = startThread<TargetCalls>(
    new URL("target-thread.ts", import.meta.url),
    AbortSignal.timeout(discardMs),
    () => {},
  );
  try {
    await thread.call("discard", { url, restore: marker.restore, made: made() });
  } catch (error) {
    options.progress.warn(
      "target-leftovers",
      `what was written into ${url.location} could not be removed: ${messageOf(error)}; no client takes it for a volume; ` +
        "the next restore removes it with --discard-unfinished",
    );
  } finally {
    await thread[Symbol.asyncDispose]();
  }
}

function makeWriter(restore: Restore): TargetWriter {
  const { url, line, plan, options, thread } = restore;
  const batches = openBatchLine(
    {
      write: (batch) => thread.call("write", batch, transferablesOf(batch)),
      finish: () => thread.call("finish", undefined),
    },
    plan,
    options,
  );
  let state: "open" | "finished" | "published" = "open";

  async function publish(): Promise<void> {
    if (state !== "finished") throw new Error("a restore is published once, and after it was finished");
    const json = settingJson(batches.setting, plan, line);
    await thread.call("seal", json);
    // It is a volume now, and may be mounted: nothing is removed any more.
    state = "published";
    try {
      await thread.call("unmark", undefined);
    } catch (error) {
      const message = `the volume is complete, but the table that marks a restore could not be dropped: ${messageOf(error)}`;
      options.progress.warn("target-leftovers", message);
    }
  }

  return {
    write: (batch) => batches.write(batch),

    async finish() {
      await batches.finish();
      state = "finished";
    },

    readBack: () => openReadBackView(url, options, batches.setting),
    publish,

    async [Symbol.asyncDispose]() {
      await thread[Symbol.asyncDispose]();
      if (state !== "published") await discard(restore);
    },
  };
}
