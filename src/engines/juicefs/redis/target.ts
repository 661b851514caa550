import { transferablesOf } from "../../../model/batch.ts";
import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Batch } from "../../../model/batch.ts";
import { CairnError, messageOf } from "../../../model/errors.ts";
import type { Target, TargetOptions, TargetPlan, TargetWriter } from "../../../model/ports.ts";
import type { RedisConnection } from "../../../protocols/redis/client.ts";
import { RedisReplyError } from "../../../protocols/redis/redis-errors.ts";
import { systemClock } from "../../../std/clock.ts";
import type { JuicefsLine } from "../lines.ts";
import { newestLine } from "../lines.ts";
import { requireSameSetting } from "../same-setting.ts";
import { splitSecrets } from "../secrets.ts";
import { parseSetting } from "../setting.ts";
import { startThread } from "../thread-calls.ts";
import { openBatchLine } from "../batch-line.ts";
import type { RedisSite } from "./connect.ts";
import { openRedisSite } from "./connect.ts";
import type { Dedication } from "./dedicated.ts";
import { freeFromUnfinished, requireDedicated, unfollow, watchServer } from "./dedicated.ts";
import { settingJson } from "../held-setting.ts";
import { openPrivateRedisView } from "./private-view.ts";
import { claimDatabase, keepClaim, readMarker, requireClaim, targetLost, wipe } from "./restore-claim.ts";
import { restoreLockKey, restoreMarkerKey } from "./restore-marker.ts";
import type { RestoreMarker } from "./restore-marker.ts";
import { requireSuitable, tellDurability } from "./target-checks.ts";
import { targetError } from "./target-error.ts";
import { transact } from "./transact.ts";
import { chunkSliceBytes } from "../slices.ts";
import { elementsAtOnce } from "./listed-keys-reader.ts";
import { estimatedKeys, requirePlanFits } from "./target-plan.ts";
import type { FillRequest, ListeningNote, TargetCalls } from "./target-thread.ts";
import type { RedisUrl } from "./url.ts";
import { parseRedisUrl } from "./url.ts";

export interface RedisTargetOptions {
  /** The release line of the clients that will mount the volume; the newest unless said. */
  line?: JuicefsLine;
  /** The instance is for this volume alone: fill it through replication. */
  dedicated?: boolean;
  /** Our address as the server can reach it, for `dedicated`; found out unless said. */
  announce?: string;
  sentinelPassword?: string;
}

/** An empty database of a Redis server for a restored volume: a JuiceFS metadata URL. Throws `meta-url-invalid`. */
export function openRedisTarget(url: string, options: RedisTargetOptions = {}): Target {
  const parsed = parseRedisUrl(url);
  return {
    engine: "Redis",
    location: parsed.location,
    async begin(plan, targetOptions) {
      requirePlanFits(options.line ?? newestLine, plan);
      try {
        return await beginRestore({ given: url, url: parsed, choices: options, plan, options: targetOptions });
      } catch (error) {
        throw targetError(error, parsed.location, "no volume was written");
      }
    },
  };
}

interface Restore {
  readonly given: string;
  readonly url: RedisUrl;
  readonly choices: RedisTargetOptions;
  readonly plan: TargetPlan;
  readonly options: TargetOptions;
}

async function beginRestore(restore: Restore): Promise<TargetWriter> {
  const { url, choices, plan, options } = restore;
  const { signal, progress } = options;
  await freeFromUnfinished(url, options);
  const site = await openSite(restore, signal);
  const connection = await site.connect();
  const marker: RestoreMarker = {
    token: randomUUID(),
    volumeId: plan.volumeId,
    started: new Date(systemClock.now()).toISOString(),
  };
  let isClaimed = false;
  try {
    for (const { code, message } of site.warnings) progress.warn(code, message);
    await requireSuitable(connection, site, plan, progress);
    const claim = {
      prefix: site.keyPrefix,
      location: url.location,
      marker,
      discardUnfinished: options.discardUnfinished === true,
    };
    const dedication =
      choices.dedicated === true ? await requireDedicated(connection, site, url, choices.announce) : undefined;
    await claimDatabase(connection, claim);
    isClaimed = true;
    return await openWriter(restore, { site, connection, marker, dedication });
  } catch (error) {
    connection.close();
    if (isClaimed) await cleanUp(restore, marker, choices.dedicated === true);
    throw error;
  }
}

function openSite({ url, choices, options }: Restore, signal: AbortSignal): Promise<RedisSite> {
  return openRedisSite(url, {
    signal,
    sentinelPassword: choices.sentinelPassword,
    onWait: () => options.progress.report({ phase: "wait", done: 0, unit: "records" }),
  });
}

interface Claimed {
  readonly site: RedisSite;
  readonly connection: RedisConnection;
  readonly marker: RestoreMarker;
  readonly dedication: Dedication | undefined;
}

async function openWriter(restore: Restore, claimed: Claimed): Promise<TargetWriter> {
  const { url, choices, plan, options, given } = restore;
  const { site, connection, marker, dedication } = claimed;
  const { keyPrefix } = site;
  const listening = Promise.withResolvers<number>();
  const thread = startThread<TargetCalls>(new URL("target-thread.ts", import.meta.url), options.signal, (note) =>
    listening.resolve((note as ListeningNote).port),
  );
  const line = openBatchLine(
    {
      write: (batch) => thread.call("write", batch, transferablesOf(batch)),
      finish: () => thread.call("finish", undefined),
    },
    plan,
    options,
  );
  // In a cluster a server has keys of others as well, which the count would not tell apart.
  const keyList = keyPrefix === "" ? join(options.temporaryFolder, `restored-keys-${marker.token}.list`) : undefined;
  let isFinished = false;
  let isPublished = false;
  const failedUnharmed = "what was written is removed as far as the connection allows; the snapshot is unchanged";
  const said = async <Result>(run: () => Promise<Result>): Promise<Result> => {
    try {
      return await run();
    } catch (error) {
      throw targetError(error, url.location, failedUnharmed);
    }
  };
  let watch: AsyncDisposable | undefined;
  const keep = (): void => {
    watch = keepClaim(connection, keyPrefix, marker.token, (error) => line.fail(error));
  };
  try {
    await thread.call("begin", fillRequest(restore, claimed, keyList));
    if (dedication === undefined) keep();
    else {
      await dedication.follow(connection, await listening.promise);
      watch = watchServer(connection, (error) => line.fail(error));
    }
  } catch (error) {
    await thread[Symbol.asyncDispose]();
    if (keyList !== undefined) rmSync(keyList, { force: true });
    throw error;
  }

  async function publish(): Promise<void> {
    if (!isFinished) throw new Error("the restore is not finished");
    const json = settingJson(line.setting, plan, choices.line ?? newestLine);
    // No lock is set behind the transaction that removes it.
    await watch?.[Symbol.asyncDispose]();
    const [own, setting] = [`${keyPrefix}${restoreMarkerKey}`, `${keyPrefix}setting`];
    const requireOwn = async (): Promise<void> => {
      await requireClaim(connection, keyPrefix, marker.token);
      if ((await connection.call("EXISTS", setting)) !== 0) throw targetLost(connection.address);
    };
    const commands = [
      ["SET", setting, json],
      ["UNLINK", own, `${keyPrefix}${restoreLockKey}`],
    ];
    try {
      // From then on nothing is removed: it may be a volume.
      const isDone = await transact(connection, [own, setting], requireOwn, commands, () => (isPublished = true));
      if (!isDone) throw targetLost(connection.address);
    } catch (error) {
      if (isPublished && !isRefusal(error)) throw publishUncertain(url.location, error);
      isPublished = false;
      throw error;
    }
    const stored = await connection.call("GET", setting).catch((error: unknown) => {
      throw publishUncertain(url.location, error);
    });
    if (!Buffer.isBuffer(stored)) {
      throw new CairnError("proof-failed", "the setting that was written is gone", {
        exit: "proofFailed",
        unharmed: "the snapshot is unchanged",
        next: "find out what removed the key setting, and restore again into an empty database",
      });
    }
    requireSameSetting(splitSecrets(parseSetting(stored.toString("utf8"))).fields, line.setting);
    await tellDurability(connection, url.readTimeoutMs, options.progress);
  }

  return {
    write: (batch) => said(() => line.write(batch)),
    finish: () =>
      said(async () => {
        await line.finish();
        if (dedication !== undefined) {
          await dedication.part(connection, keyPrefix, marker.token, options.progress);
          await watch?.[Symbol.asyncDispose]();
          keep();
        }
        await thread.call("close", undefined);
        isFinished = true;
      }),
    readBack: () =>
      said(async () => {
        const place = {
          url: given,
          sentinelPassword: choices.sentinelPassword,
          keyList,
          sortedTables: keyList === undefined ? [] : sortedByName(restore.plan),
        };
        const view = await openPrivateRedisView(place, options, line.setting);
        return {
          ...view,
          batches: () => saidOfBatches(view.batches(), said),
          summary: () => said(() => view.summary()),
        };
      }),
    publish: () => said(publish),
    async [Symbol.asyncDispose]() {
      const watchEnd = watch?.[Symbol.asyncDispose]();
      await thread[Symbol.asyncDispose]();
      if (keyList !== undefined) rmSync(keyList, { force: true });
      connection.close();
      await watchEnd;
      if (!isPublished) await cleanUp(restore, marker, dedication !== undefined);
    },
  };
}

/** Whether it is certain that nothing was published: the server answered. */
function isRefusal(error: unknown): boolean {
  return error instanceof RedisReplyError || (error instanceof CairnError && error.code === "target-lost");
}

function publishUncertain(location: string, error: unknown): CairnError {
  return new CairnError(
    "publication-uncertain",
    `${location} was lost sight of while the volume was published: ${messageOf(error)}`,
    {
      exit: "targetRefused",
      unharmed: "the volume was proven, and is published unless the server never got the last command",
      next: "look with cairn doctor whether it is a volume; if not, restore again with --discard-unfinished",
      cause: error,
    },
  );
}

function fillRequest(
  { url, choices, plan, options }: Restore,
  { site, marker, dedication }: Claimed,
  keyList: string | undefined,
): FillRequest {
  const layout = {
    prefix: site.keyPrefix,
    facts: plan.facts,
    temporaryFolder: options.temporaryFolder,
    memoryBytes: options.memoryBytes,
    now: Math.floor(systemClock.now() / 1000),
  };
  if (dedication === undefined || keyList === undefined) {
    return { way: "commands", url, sentinelPassword: choices.sentinelPassword, token: marker.token, keyList, layout };
  }
  const { serve } = dedication;
  return { way: "replica", serve, database: site.database, keys: estimatedKeys(plan), marker, keyList, layout };
}

/** Tables whose keys, read in the order in which they were noted, give their records in order: all but hashes, and lists that are read at the end. */
function sortedByName({ extremes }: TargetPlan): string[] {
  const longest = Number(extremes["chunk.slices"] ?? 0) / chunkSliceBytes;
  return longest <= elementsAtOnce ? ["node", "symlink", "chunk"] : ["node", "symlink"];
}

/** What goes wrong while the target is read back is the target's failing, too. */
async function* saidOfBatches(
  batches: AsyncIterable<Batch>,
  said: <Result>(run: () => Promise<Result>) => Promise<Result>,
): AsyncGenerator<Batch> {
  const iterator = batches[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await said(() => iterator.next());
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await iterator.return?.();
  }
}

/** How long a user who gave up waits for the database to be emptied; what is left after that is known by its marker. */
const cleanUpMs = 60_000;
/** And for a server that says nothing any more. */
const cleanUpSilenceMs = 5000;

/**
 * Removes what this restore wrote, over a connection of its own: the restore's signal may have ended the others. What cannot be
 * removed is refused by the next restore, which names the way to remove it.
 */
async function cleanUp(restore: Restore, marker: RestoreMarker, isDedicated: boolean): Promise<void> {
  const signal = AbortSignal.timeout(cleanUpMs);
  const url = { ...restore.url, readTimeoutMs: cleanUpSilenceMs };
  try {
    if (isDedicated) await unfollow(url, marker.token, signal);
    const site = await openSite({ ...restore, url }, signal);
    await using connection = await site.connect();
    const standing = await readMarker(connection, site.keyPrefix);
    if (standing?.token !== marker.token) return;
    await wipe(connection, { prefix: site.keyPrefix, location: url.location, token: marker.token });
  } catch (error) {
    restore.options.progress.warn(
      "target-unfinished",
      `what was written to ${restore.url.location} could not be removed: ${messageOf(error)}; --discard-unfinished removes it`,
    );
  }
}
