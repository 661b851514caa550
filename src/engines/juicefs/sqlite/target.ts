import { transferablesOf } from "../../../model/batch.ts";
import { CairnError } from "../../../model/errors.ts";
import { juicefs } from "../../../model/juicefs.ts";
import type { SourceView, Target, TargetOptions, TargetPlan, TargetWriter } from "../../../model/ports.ts";
import { systemClock } from "../../../std/clock.ts";
import type { ColumnLimits } from "../limits.ts";
import { requireFits } from "../limits.ts";
import type { JuicefsLine } from "../lines.ts";
import { newestLine } from "../lines.ts";
import { openBatchLine } from "../batch-line.ts";
import { requireSameSetting } from "../same-setting.ts";
import { settingJson } from "../held-setting.ts";
import type { SettingField } from "../setting.ts";
import type { CallableThread } from "../thread-calls.ts";
import { startThread } from "../thread-calls.ts";
import { openPrivateSourceView, readPrivateSetting } from "./source.ts";
import {
  flush,
  isTaken,
  keptPathFor,
  publishFile,
  removeDatabase,
  replacedPathOf,
  requireFree,
  temporaryPathFor,
} from "./target-file.ts";
import type { IndexNote, ReplacementRequest, TargetCalls } from "./target-thread.ts";
import type { SqliteUrl } from "./url.ts";
import { parseSqliteUrl } from "./url.ts";

export interface SqliteTargetOptions {
  /** The release line of the clients that will mount the volume; the newest unless said. */
  line?: JuicefsLine;
}

/** SQLite's integers are signed; JuiceFS' own client writes no greater one either. */
const largest = 2n ** 63n - 1n;

/** Times are held in microseconds. */
const lastSecond = largest / 1_000_000n - 1n;

/** Highest values by column: every column of 64 bits that is unsigned in the canonical form, and times. */
const sqliteLimits: ColumnLimits = {
  ...Object.fromEntries(
    juicefs.tables.flatMap((table) =>
      table.columns
        .filter((column) => column.type === "u64")
        .map((column) => [`${table.name}.${column.name}`, largest]),
    ),
  ),
  "node.atime": lastSecond,
  "node.mtime": lastSecond,
  "node.ctime": lastSecond,
};

/** A new SQLite database for a restored volume: `sqlite3:///path/to.db?table_prefix=…`. Throws `meta-url-invalid`. */
export function openSqliteTarget(url: string, options: SqliteTargetOptions = {}): Target {
  const parsed = parseSqliteUrl(url);
  const line = options.line ?? newestLine;
  return {
    engine: "SQLite",
    location: parsed.location,
    begin: (plan, targetOptions) => beginRestore(parsed, line, plan, targetOptions),
  };
}

async function beginRestore(
  givenUrl: SqliteUrl,
  line: JuicefsLine,
  plan: TargetPlan,
  options: TargetOptions,
): Promise<TargetWriter> {
  requirePlanFits(line, plan);
  const url = plan.replace === undefined ? givenUrl : { ...givenUrl, path: replacedPathOf(givenUrl.path) };
  const thread = startThread<TargetCalls>(new URL("target-thread.ts", import.meta.url), options.signal, (note) => {
    const { indexes, total } = note as IndexNote;
    options.progress.report({ phase: "index", done: indexes, total, unit: "records" });
  });
  const path = temporaryPathFor(url.path);
  try {
    if (isReplacement(url, plan)) await thread.call("prepareReplacement", replacementRequest(url, plan));
    else requireFree(url.path);
    await thread.call("begin", {
      path,
      line,
      tablePrefix: url.tablePrefix,
      facts: plan.facts,
      temporaryFolder: options.temporaryFolder,
      memoryBytes: options.memoryBytes,
      now: nowSeconds(),
    });
    return makeWriter({ url, line, plan, options, thread, path });
  } catch (error) {
    await thread[Symbol.asyncDispose]();
    removeDatabase(path);
    throw error;
  }
}

function nowSeconds(): number {
  return Math.floor(systemClock.now() / 1000);
}

function requirePlanFits(line: JuicefsLine, plan: TargetPlan): void {
  if (plan.kind.name !== juicefs.name) {
    throw new CairnError(
      "kind-mismatch",
      `a snapshot of kind ${plan.kind.name} cannot be restored into a JuiceFS database`,
      { exit: "targetRefused" },
    );
  }
  requireFits("SQLite", sqliteLimits, plan.extremes);
  if (line === "1.4") return;
  // Quotas of users and groups have a table of their own, which older lines lack; tiers are a column.
  requireFits(`SQLite as JuiceFS ${line} uses it`, { "quota.type": 0n, "node.tier": 0n }, plan.extremes);
}

/** Asked before the restore begins, and again before the file gets its name. */
function isReplacement(url: SqliteUrl, plan: TargetPlan): boolean {
  return plan.replace !== undefined && isTaken(url.path);
}

function replacementRequest(url: SqliteUrl, plan: TargetPlan): ReplacementRequest {
  return { path: url.path, tablePrefix: url.tablePrefix, uuid: plan.replace ?? "", now: nowSeconds() };
}

interface Restore {
  readonly url: SqliteUrl;
  readonly line: JuicefsLine;
  readonly plan: TargetPlan;
  readonly options: TargetOptions;
  readonly thread: CallableThread<TargetCalls>;
  /** The temporary database. */
  readonly path: string;
}

function makeWriter(restore: Restore): TargetWriter {
  const { url, line, plan, options, thread, path } = restore;
  const batches = openBatchLine(
    {
      write: (batch) => thread.call("write", batch, transferablesOf(batch)),
      finish: () => thread.call("finish", undefined),
    },
    plan,
    options,
  );
  let isPublished = false;

  async function publish(): Promise<void> {
    const json = settingJson(batches.setting, plan, line);
    await thread.call("seal", { path, tablePrefix: url.tablePrefix, line, setting: json });
    requireSameSetting(await readPrivateSetting({ ...url, path }, options), batches.setting);
    // Before the last look at the target, for it may take long.
    flush(path);
    if (isReplacement(url, plan)) {
      const keptPath = keptPathFor(url.path, systemClock.now());
      await thread.call("prepareReplacement", {
        ...replacementRequest(url, plan),
        publish: { temporary: path, keptPath },
      });
    } else publishFile(path, url.path);
    isPublished = true;
  }

  return {
    write: (batch) => batches.write(batch),

    async finish() {
      await batches.finish();
    },

    readBack: () => openReadBack(restore, batches.setting),
    publish,

    async [Symbol.asyncDispose]() {
      if (!isPublished && !options.signal.aborted) await thread.call("drop", undefined).catch(() => {});
      await thread[Symbol.asyncDispose]();
      if (!isPublished) removeDatabase(path);
    },
  };
}

function openReadBack({ url, path, options }: Restore, setting: readonly SettingField[]): Promise<SourceView> {
  return openPrivateSourceView({ ...url, path }, options, setting);
}
