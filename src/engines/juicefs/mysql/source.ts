import type { Batch } from "../../../model/batch.ts";
import { juicefs } from "../../../model/juicefs.ts";
import type { Pace, Source, SourceOptions, SourceView } from "../../../model/ports.ts";
import type { Pacer } from "../pacer.ts";
import { openPacer } from "../pacer.ts";
import type { SettingField } from "../setting.ts";
import { takeAhead } from "../take-ahead.ts";
import type { CallableThread } from "../thread-calls.ts";
import { startThread } from "../thread-calls.ts";
import type { Probe } from "./probe.ts";
import { openProbe } from "./probe.ts";
import type { OpenRequest, SourceCalls } from "./source-thread.ts";
import type { MysqlUrl } from "./url.ts";
import { parseMysqlUrl } from "./url.ts";
import { sortedTables } from "./volume-reader.ts";

export interface MysqlSourceOptions {
  /** Hand the volume's secrets on in the summary; never part of the tables. */
  keepSecrets?: boolean;
}

/** Bytes that a batch in flight may take: 16,384 nodes are 1.6 MB, and a batch ends with 4 MiB of names or slices. */
const batchBytesMax = 6 << 20;

/** A JuiceFS volume whose metadata is in MySQL or MariaDB: `mysql://user:password@(host:3306)/db?…`. Throws `meta-url-invalid`. */
export function openMysqlSource(url: string, options: MysqlSourceOptions = {}): Source {
  const parsed = parseMysqlUrl(url);
  return {
    async describe(signal) {
      await using thread = startSourceThread(signal);
      return await thread.call("describe", parsed);
    },
    open: (sourceOptions) =>
      openThreadView(parsed, sourceOptions, { keepSecrets: options.keepSecrets === true, role: "source" }),
  };
}

/** The view of a database that this process has filled, and whose setting is held back. */
export function openReadBackView(
  url: MysqlUrl,
  options: SourceOptions,
  heldSetting: readonly SettingField[],
): Promise<SourceView> {
  return openThreadView(url, options, { keepSecrets: false, role: "target", heldSetting });
}

function startSourceThread(signal: AbortSignal): CallableThread<SourceCalls> {
  return startThread<SourceCalls>(new URL("source-thread.ts", import.meta.url), signal, () => {});
}

/** A probe that nobody asked for is done without where the server has no connection for it. */
async function openProbeFor(url: MysqlUrl, pace: Pace | undefined): Promise<Probe | undefined> {
  if (pace?.pauseAboveMs === Infinity) return undefined;
  return openProbe(url).catch((error: unknown) => {
    if (pace?.pauseAboveMs !== undefined) throw error;
    return undefined;
  });
}

async function openThreadView(
  url: MysqlUrl,
  { signal, memoryBytes, temporaryFolder, pace, progress }: SourceOptions,
  request: Pick<OpenRequest, "keepSecrets" | "role" | "heldSetting">,
): Promise<SourceView> {
  await using resources = new AsyncDisposableStack();
  const thread = resources.use(startSourceThread(signal));
  const volume = await thread.call("open", { url, memoryBytes, temporaryFolder, ...request });
  const probe = request.role === "target" ? undefined : await openProbeFor(url, pace);
  if (probe !== undefined) resources.use(probe);
  const pacer = resources.use(
    openPacer({ pace, ...(probe === undefined ? {} : { probe: () => probe.ask() }), signal, progress }),
  );
  const inFlight = Math.max(2, Math.min(16, Math.floor(memoryBytes / batchBytesMax)));
  const held = resources.move();
  return {
    kind: juicefs,
    volumeId: volume.volumeId,
    volumeName: volume.volumeName,
    sortedTables: request.heldSetting === undefined ? sortedTables : juicefs.tables.map((table) => table.name),
    batches: () => takeBatches(thread, inFlight, pacer),
    summary: () => thread.call("summary", undefined),
    async [Symbol.asyncDispose]() {
      await held.disposeAsync();
    },
  };
}

async function* takeBatches(
  thread: CallableThread<SourceCalls>,
  inFlight: number,
  pacer: Pacer,
): AsyncGenerator<Batch> {
  for await (const { batch, bytes } of takeAhead(() => thread.call("next", undefined), inFlight)) {
    if (batch.count > 0 || batch.last === true) yield batch;
    await pacer.pass(bytes);
  }
}
