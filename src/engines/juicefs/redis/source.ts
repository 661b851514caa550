import { mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { CairnError } from "../../../model/errors.ts";
import { juicefs } from "../../../model/juicefs.ts";
import type { Progress, Source, SourceOptions, SourceView } from "../../../model/ports.ts";
import { takeAhead } from "../take-ahead.ts";
import type { CallableThread } from "../thread-calls.ts";
import { startThread } from "../thread-calls.ts";
import type { RedisNote } from "./redis-note.ts";
import type { OpenRequest, RedisPlaceRequest, SourceCalls } from "./source-thread.ts";
import { parseRedisUrl } from "./url.ts";

export interface RedisSourceOptions {
  /** Hand the volume's secrets on in the summary; never part of the tables. */
  keepSecrets?: boolean;
  /** Read this saved RDB file in place of the server; of the URL only the database number counts. */
  fromRdb?: string;
  /** Read key by key, which is no snapshot. */
  scan?: boolean;
  /** `host:port` or the URL of the replica to read. */
  replica?: string;
  sentinelPassword?: string;
}

/** Bytes that a batch in flight may take: 16,384 nodes are 1.6 MB, and a batch ends with 4 MiB of names or slices. */
const batchBytesMax = 6 << 20;

/**
 * A JuiceFS volume whose metadata is in Redis or Valkey, alone, behind sentinels or in a cluster, or in a saved RDB file. Throws
 * `meta-url-invalid`, and `usage` for options that exclude each other.
 */
export function openRedisSource(url: string, options: RedisSourceOptions = {}): Source {
  parseRedisUrl(url);
  const { fromRdb, scan = false, replica, sentinelPassword, keepSecrets = false } = options;
  if ([fromRdb !== undefined, scan, replica !== undefined && !scan].filter(Boolean).length > 1) {
    throw new CairnError("usage", "--from-rdb goes with neither --scan nor --replica", {
      exit: "wrongUse",
      next: "give one of them",
    });
  }
  const rdbFile = fromRdb === undefined ? undefined : resolve(fromRdb);
  const place: RedisPlaceRequest = { url, rdbFile, scan, replica, sentinelPassword };
  return {
    async describe(signal) {
      await using thread = startSourceThread(signal, silent);
      return await thread.call("describe", place);
    },
    open: (sourceOptions) => openRedisView(place, sourceOptions, { keepSecrets }),
  };
}

const silent: Progress = { report: () => {}, warn: () => {} };

function startSourceThread(signal: AbortSignal, progress: Progress): CallableThread<SourceCalls> {
  return startThread<SourceCalls>(new URL("source-thread.ts", import.meta.url), signal, (note) =>
    tell(note as RedisNote, progress),
  );
}

const waits = {
  loading: ["server-loading", "the server is still loading its data: waiting for it"],
  start: ["server-waits", "the server waits before it begins the transfer (repl-diskless-sync-delay, another save)"],
  file: ["server-saving", "the server is preparing its data for the transfer: waiting for it"],
} as const;

function tell(note: RedisNote, progress: Progress): void {
  switch (note.kind) {
    case "progress":
      progress.report(note.event);
      break;
    case "warning":
      progress.warn(note.code, note.message);
      break;
    case "waiting": {
      const [code, message] = waits[note.what];
      progress.warn(code, message);
      break;
    }
  }
}

/** A view of a volume, read in a thread of its own. A server's hash tables have no order: tables are sorted only where a restore wrote them so. */
export async function openRedisView(
  place: RedisPlaceRequest,
  options: SourceOptions,
  request: Pick<OpenRequest, "keepSecrets" | "held">,
  sortedTables: readonly string[] = [],
): Promise<SourceView> {
  const { signal, memoryBytes, pace, progress } = options;
  // A folder of its own: a thread that is ended in the middle cannot remove what it put there.
  const temporaryFolder = mkdtempSync(join(options.temporaryFolder, "redis-"));
  const thread = startSourceThread(signal, onceEach(progress));
  async function endThread(): Promise<void> {
    await thread[Symbol.asyncDispose]();
    rmSync(temporaryFolder, { recursive: true, force: true });
  }
  try {
    const volume = await thread.call("open", { ...place, ...request, temporaryFolder, memoryBytes, pace });
    const inFlight = Math.max(2, Math.min(16, Math.floor(memoryBytes / batchBytesMax)));
    return {
      kind: juicefs,
      volumeId: volume.volumeId,
      volumeName: volume.volumeName,
      sortedTables,
      batches: () => takeAhead(() => thread.call("next", undefined), inFlight),
      summary: () => thread.call("summary", undefined),
      async [Symbol.asyncDispose]() {
        // The link is dropped cleanly; a thread that fails at it is ended all the same.
        if (!signal.aborted) await thread.call("close", undefined).catch(() => {});
        await endThread();
      },
    };
  } catch (error) {
    await endThread();
    throw error;
  }
}

/** The thread tells that it waits every second; the user is told once. */
function onceEach(progress: Progress): Progress {
  const told = new Set<string>();
  return {
    report: (event) => progress.report(event),
    warn(code, message) {
      if (told.has(code)) return;
      told.add(code);
      progress.warn(code, message);
    },
  };
}
