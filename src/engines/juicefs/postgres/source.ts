import type { Batch } from "../../../model/batch.ts";
import { juicefs } from "../../../model/juicefs.ts";
import type { Source, SourceOptions, SourceView } from "../../../model/ports.ts";
import type { SettingField } from "../setting.ts";
import { takeAhead } from "../take-ahead.ts";
import type { CallableThread } from "../thread-calls.ts";
import { startThread } from "../thread-calls.ts";
import type { SourceCalls, SourceNote } from "./source-thread.ts";
import type { PostgresUrl } from "./url.ts";
import { parsePostgresUrl } from "./url.ts";

export interface PostgresSourceOptions {
  /** Hand the volume's secrets on in the summary; never part of the tables. */
  keepSecrets?: boolean;
}

/** Bytes that a batch in flight may take: 16,384 nodes are 1.6 MB, and a batch ends with 4 MiB of names or slices. */
const batchBytesMax = 6 << 20;

/**
 * A JuiceFS volume whose metadata is in PostgreSQL: `postgres://user:password@host/database?sslmode=…&search_path=…&table_prefix=…`.
 * Throws `meta-url-invalid`.
 */
export function openPostgresSource(url: string, options: PostgresSourceOptions = {}): Source {
  const parsed = parsePostgresUrl(url);
  return {
    async describe(signal) {
      await using thread = startSourceThread(signal);
      return await thread.call("describe", parsed);
    },
    open: (sourceOptions) =>
      openThreadView(parsed, sourceOptions, { keepSecrets: options.keepSecrets === true, isOwn: false }),
  };
}

/** Reads back what a restore has written, whose setting is held back. The rows lie in the order in which they were written: by key. */
export function openOwnSourceView(
  url: PostgresUrl,
  options: SourceOptions,
  heldSetting: readonly SettingField[],
): Promise<SourceView> {
  return openThreadView(url, options, { keepSecrets: false, isOwn: true, heldSetting });
}

function startSourceThread(
  signal: AbortSignal,
  onNote: (note: unknown) => void = () => {},
): CallableThread<SourceCalls> {
  return startThread<SourceCalls>(new URL("source-thread.ts", import.meta.url), signal, onNote);
}

interface ViewRequest {
  readonly keepSecrets: boolean;
  readonly isOwn: boolean;
  readonly heldSetting?: readonly SettingField[];
}

async function openThreadView(url: PostgresUrl, options: SourceOptions, request: ViewRequest): Promise<SourceView> {
  const { signal, memoryBytes, temporaryFolder, pace, progress } = options;
  const thread = startSourceThread(signal, (note) => {
    const said = note as SourceNote;
    if ("event" in said) progress.report(said.event);
    else progress.warn(said.warning.code, said.warning.message);
  });
  try {
    const volume = await thread.call("open", {
      url,
      memoryBytes,
      temporaryFolder,
      ...request,
      ...(pace === undefined ? {} : { pace }),
    });
    let underWay = 0;
    const next = (): Promise<Batch | undefined> => {
      underWay++;
      return thread.call("next", undefined).finally(() => void underWay--);
    };
    const inFlight = Math.max(2, Math.min(8, Math.floor(memoryBytes / 2 / batchBytesMax)));
    return {
      kind: juicefs,
      volumeId: volume.volumeId,
      volumeName: volume.volumeName,
      sortedTables: request.isOwn ? juicefs.tables.map((table) => table.name) : smallTables,
      batches: () => takeAhead(next, inFlight),
      summary: () => thread.call("summary", undefined),
      async [Symbol.asyncDispose]() {
        // It would wait for batches that nobody wants any more; the server notices that its clients are gone.
        if (!signal.aborted && underWay === 0) await thread.call("close", undefined).catch(() => {});
        await thread[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await thread[Symbol.asyncDispose]();
    throw error;
  }
}

/** Made in one piece and sorted; rows of tables come as they lie in the heap. */
const smallTables = ["setting", "counter"];
