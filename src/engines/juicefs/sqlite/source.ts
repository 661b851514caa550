import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Batch } from "../../../model/batch.ts";
import { batchBytes } from "../../../model/batch.ts";
import { CairnError } from "../../../model/errors.ts";
import { juicefs } from "../../../model/juicefs.ts";
import type { Source, SourceOptions, SourceView } from "../../../model/ports.ts";
import { openPacer } from "../pacer.ts";
import type { SettingField } from "../setting.ts";
import { takeAhead } from "../take-ahead.ts";
import type { CallableThread } from "../thread-calls.ts";
import { startThread } from "../thread-calls.ts";
import type { OpenRequest, SourceCalls } from "./source-thread.ts";
import type { SqliteUrl } from "./url.ts";
import { parseSqliteUrl } from "./url.ts";

export interface SqliteSourceOptions {
  /** Hand the volume's secrets on in the summary; never part of the tables. */
  keepSecrets?: boolean;
  /** Copy a database with a rollback journal for as long as it takes, while writers wait. */
  allowBlock?: boolean;
}

/** Bytes that a batch in flight may take: 16,384 nodes are 1.6 MB, and a batch ends with 4 MiB of names or slices. */
const batchBytesMax = 6 << 20;

/** A JuiceFS volume whose metadata is an SQLite database: `sqlite3:///path/to.db?table_prefix=…`. Throws `meta-url-invalid`. */
export function openSqliteSource(url: string, options: SqliteSourceOptions = {}): Source {
  const parsed = parseSqliteUrl(url);
  return {
    async describe(signal) {
      await using thread = startSourceThread(signal);
      const temporaryFolder = tmpdir();
      return await thread.call("describe", { path: parsed.path, tablePrefix: parsed.tablePrefix, temporaryFolder });
    },
    open: (sourceOptions) => openSourceView(parsed, sourceOptions, options),
  };
}

function startSourceThread(signal: AbortSignal): CallableThread<SourceCalls> {
  return startThread<SourceCalls>(new URL("source-thread.ts", import.meta.url), signal, () => {});
}

/** Tables whose key is the row id, or that are one small batch: they come in key order. */
const sortedTables = [
  "setting",
  "counter",
  "node",
  "slice_ref",
  "symlink",
  "acl",
  "dir_stat",
  "deleted_file",
  "delayed_slice",
  "detached_node",
];

function openSourceView(
  url: SqliteUrl,
  sourceOptions: SourceOptions,
  options: SqliteSourceOptions,
): Promise<SourceView> {
  const request = {
    keepSecrets: options.keepSecrets === true,
    allowBlock: options.allowBlock === true,
    isPrivate: false,
  };
  return openThreadView(url, sourceOptions, request, sortedTables);
}

/** The view of a database that this process has written, in key order, and whose setting is held back. */
export function openPrivateSourceView(
  url: SqliteUrl,
  options: SourceOptions,
  heldSetting: readonly SettingField[],
): Promise<SourceView> {
  const request = { keepSecrets: false, allowBlock: false, isPrivate: true, heldSetting };
  const allTables = juicefs.tables.map((table) => table.name);
  return openThreadView(url, options, request, allTables);
}

/** The canonical setting of a database that this process has written. */
export async function readPrivateSetting(url: SqliteUrl, options: SourceOptions): Promise<readonly SettingField[]> {
  await using thread = startSourceThread(options.signal);
  const request = { keepSecrets: false, allowBlock: false, isPrivate: true };
  const { setting } = await thread.call("open", { ...locationOf(url, options), ...request });
  await thread.call("close", undefined);
  return setting;
}

function locationOf(
  url: SqliteUrl,
  { temporaryFolder, memoryBytes }: SourceOptions,
): Pick<OpenRequest, "path" | "tablePrefix" | "temporaryFolder" | "memoryBytes"> {
  return { path: url.path, tablePrefix: url.tablePrefix, temporaryFolder, memoryBytes };
}

async function openThreadView(
  url: SqliteUrl,
  options: SourceOptions,
  request: Pick<OpenRequest, "keepSecrets" | "allowBlock" | "isPrivate" | "heldSetting">,
  sorted: readonly string[],
): Promise<SourceView> {
  const { signal, memoryBytes, pace } = options;
  if (pace?.pauseAboveMs !== undefined && pace.pauseAboveMs !== Infinity) {
    throw new CairnError("pace-unsupported", "SQLite has no server whose answers could become late", {
      exit: "wrongUse",
      unharmed: "nothing was read",
      next: "use --read-rate instead of --pause-above",
    });
  }
  // A folder of its own: a thread that is ended in the middle of a copy cannot remove it.
  const temporaryFolder = mkdtempSync(join(options.temporaryFolder, "sqlite-"));
  const thread = startSourceThread(signal);
  async function endThread(): Promise<void> {
    await thread[Symbol.asyncDispose]();
    rmSync(temporaryFolder, { recursive: true, force: true });
  }
  try {
    const volume = await thread.call("open", { ...locationOf(url, { ...options, temporaryFolder }), ...request });
    const inFlight = Math.max(2, Math.min(16, Math.floor(memoryBytes / batchBytesMax)));
    return {
      kind: juicefs,
      volumeId: volume.volumeId,
      volumeName: volume.volumeName,
      sortedTables: sorted,
      batches: () => takeBatches(thread, inFlight, options),
      summary: () => thread.call("summary", undefined),
      async [Symbol.asyncDispose]() {
        // Locks and the temporary copy go with a proper close; a thread that fails at it is ended all the same.
        if (!signal.aborted) await thread.call("close", undefined).catch(() => {});
        await endThread();
      },
    };
  } catch (error) {
    await endThread();
    throw error;
  }
}

async function* takeBatches(
  thread: CallableThread<SourceCalls>,
  inFlight: number,
  { pace, signal, progress }: SourceOptions,
): AsyncGenerator<Batch> {
  await using pacer = openPacer({ pace, signal, progress });
  for await (const batch of takeAhead(() => thread.call("next", undefined), inFlight)) {
    await pacer.pass(batchBytes(batch));
    yield batch;
  }
}
