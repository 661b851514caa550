import type { Batch } from "../../../model/batch.ts";
import { transferablesOf } from "../../../model/batch.ts";
import { CairnError } from "../../../model/errors.ts";
import type { Pace, Progress, SourceDescription, SourceSummary } from "../../../model/ports.ts";
import { openFullSync } from "../../../protocols/redis/full-sync.ts";
import type { Pacer } from "../pacer.ts";
import { openPacer } from "../pacer.ts";
import { splitSecrets } from "../secrets.ts";
import type { SettingField } from "../setting.ts";
import { parseSetting, settingText } from "../setting.ts";
import { Moved, sendNote, serveCalls } from "../thread-calls.ts";
import type { RedisSite } from "./connect.ts";
import { openRedisSite } from "./connect.ts";
import { describeRedis } from "./describe.ts";
import { describeRdbFile } from "./describe-rdb-file.ts";
import { openLatencyProbe } from "./latency-probe.ts";
import { paceLink } from "./paced-link.ts";
import type { RdbVolume } from "./rdb-file.ts";
import { findVolumeInRdb, openRdbFile } from "./rdb-file.ts";
import { readSetting } from "./read-setting.ts";
import type { RecordFeed } from "./record-feed.ts";
import { feedFromFile, feedFromScan, feedFromSync } from "./record-feed.ts";
import type { RedisNote } from "./redis-note.ts";
import { scanVolume } from "./scan-reader.ts";
import { readListedKeys } from "./listed-keys-reader.ts";
import { parseRedisUrl } from "./url.ts";
import { VolumeRecords } from "./volume-records.ts";

/** Where the volume is, and how it is read. */
export interface RedisPlaceRequest {
  /** The metadata URL; with `rdbFile` only its database number counts. */
  readonly url: string;
  readonly rdbFile?: string | undefined;
  readonly scan: boolean;
  readonly replica?: string | undefined;
  readonly sentinelPassword?: string | undefined;
}

export interface OpenRequest extends RedisPlaceRequest {
  readonly temporaryFolder: string;
  readonly memoryBytes: number;
  readonly keepSecrets: boolean;
  readonly pace?: Pace | undefined;
  /** A restore reads back what it wrote, before its setting is there. Nobody else writes, so SCAN is as good where a synchronisation is not allowed. */
  readonly held?:
    | {
        readonly setting: readonly SettingField[];
        readonly prefix?: string | undefined;
        /** A file with the names of all keys that were written, where there is one: they are read by their names. */
        readonly keyList?: string | undefined;
      }
    | undefined;
}

export interface OpenedVolume {
  readonly volumeId: string;
  readonly volumeName: string;
}

/** The calls that `source.ts` makes. One volume a thread; `next` gives `undefined` after the last batch. */
export interface SourceCalls {
  describe(request: RedisPlaceRequest): Promise<SourceDescription>;
  open(request: OpenRequest): Promise<OpenedVolume>;
  next(nothing: undefined): Promise<Moved<Batch> | undefined>;
  summary(nothing: undefined): SourceSummary;
  close(nothing: undefined): Promise<void>;
}

interface OpenState {
  readonly volume: VolumeRecords;
  readonly feed: RecordFeed;
  readonly resources: AsyncDisposableStack;
  /** Once there are no more keys: the steps that are left. */
  finishing: Generator<void, void> | undefined;
  isDone: boolean;
}

let state: OpenState | undefined;
const ending = new AbortController();
/** What waits for the socket may take this share of the memory; the rest goes to a file. */
const queueShare = 4;
/** How long the server may send nothing at all; it sends a line every second while it prepares. */
const idleTimeoutMs = 60_000;

function opened(): OpenState {
  if (state === undefined) throw new Error("no volume is open");
  return state;
}

function note(value: RedisNote): void {
  sendNote(value);
}

const progress: Progress = {
  report: (event) => note({ kind: "progress", event }),
  warn: (code, message) => note({ kind: "warning", code, message }),
};

function siteOf(request: RedisPlaceRequest): Promise<RedisSite> {
  const { replica, sentinelPassword } = request;
  return openRedisSite(parseRedisUrl(request.url), {
    signal: ending.signal,
    replica,
    sentinelPassword,
    onWait: (waitedMs) => note({ kind: "waiting", what: "loading", waitedMs }),
  });
}

const handlers: SourceCalls = {
  async describe(request) {
    const { url, rdbFile, scan, replica, sentinelPassword } = request;
    if (rdbFile !== undefined) return describeRdbFile(rdbFile, parseRedisUrl(url).database);
    return await describeRedis(url, { signal: ending.signal, scan, replica, sentinelPassword });
  },

  async open(request) {
    await using resources = new AsyncDisposableStack();
    const volume =
      request.rdbFile === undefined
        ? await openServer(request, resources)
        : await openFile(request, request.rdbFile, resources);
    state = { ...volume, resources: resources.move(), finishing: undefined, isDone: false };
    return { volumeId: volume.volumeId, volumeName: volume.volumeName };
  },

  async next() {
    const current = opened();
    const { volume, feed } = current;
    while (volume.readyCount === 0 && !current.isDone) {
      if (current.finishing !== undefined) current.isDone = current.finishing.next().done === true;
      else if (!(await feed.advance())) current.finishing = volume.finish();
    }
    const batch = volume.take();
    return batch === undefined ? undefined : new Moved(batch, transferablesOf(batch));
  },

  summary() {
    const { volume, feed } = opened();
    return { ...feed.origin(), ...volume.summary() };
  },

  async close() {
    const closing = state;
    state = undefined;
    await closing?.resources.disposeAsync();
  },
};

interface FoundVolume extends OpenedVolume {
  readonly volume: VolumeRecords;
  readonly feed: RecordFeed;
}

async function openFile(request: OpenRequest, path: string, resources: AsyncDisposableStack): Promise<FoundVolume> {
  const number = parseRedisUrl(request.url).database;
  const file = openRdbFile(path);
  resources.defer(() => file[Symbol.dispose]());
  const found: Pick<RdbVolume, "database" | "prefix"> & { setting?: string } =
    request.held === undefined
      ? findVolumeInRdb(file, number)
      : { database: number, prefix: request.held.prefix ?? "" };
  const fields =
    request.held?.setting ?? (found.setting === undefined ? [] : splitSecrets(parseSetting(found.setting)).fields);
  const { volume, ...named } = openRecords(request, fields, found.prefix, resources);
  const pacer = resources.use(openPacer({ pace: request.pace, signal: ending.signal, progress }));
  return { ...named, volume, feed: feedFromFile(file, volume.records, { database: found.database, pacer }) };
}

async function openServer(request: OpenRequest, resources: AsyncDisposableStack): Promise<FoundVolume> {
  const site = await siteOf(request);
  for (const { code, message } of site.warnings) progress.warn(code, message);
  const fields = request.held?.setting ?? (await settingOf(site, request.url));
  const { volume, ...named } = openRecords(request, fields, request.held?.prefix ?? site.keyPrefix, resources);
  if (!request.scan && request.held === undefined) requirePaceable(request, site);
  const pacer = await openSitePacer(request, site, resources);
  if (request.held?.keyList !== undefined) {
    return { ...named, volume, feed: listedFeed(request, request.held.keyList, site, volume, resources) };
  }
  const feed = request.scan
    ? scanFeed(request, site, volume, pacer, resources)
    : await syncFeed(request, site, volume, pacer, resources);
  return { ...named, volume, feed };
}

async function settingOf(site: RedisSite, url: string): Promise<readonly SettingField[]> {
  await using connection = await site.connect();
  return (await readSetting(connection, site, parseRedisUrl(url).location)).fields;
}

function openRecords(
  request: OpenRequest,
  fields: readonly SettingField[],
  prefix: string,
  resources: AsyncDisposableStack,
): OpenedVolume & { volume: VolumeRecords } {
  const volumeId = settingText(fields, "UUID") ?? "";
  const { keepSecrets, held, temporaryFolder } = request;
  const volume = new VolumeRecords({ prefix, keepSecrets, heldSetting: held?.setting, volumeId, temporaryFolder });
  resources.defer(() => volume[Symbol.dispose]());
  return { volumeId, volumeName: settingText(fields, "Name") ?? "", volume };
}

/** A synchronisation must be drained as fast as the server sends, or its buffer for us fills up while clients wait for memory. */
function requirePaceable({ pace }: OpenRequest, { role, address }: RedisSite): void {
  if (pace === undefined || role === "replica") return;
  throw new CairnError(
    "pace-unsupported",
    `the reading of Redis at ${address} cannot be slowed down: it serves clients, and what a slow reader has not taken yet fills its memory`,
    {
      unharmed: "nothing was read or written",
      next: "leave the limits out, name a replica with --replica, or save an RDB file and use --from-rdb",
      exit: "wrongUse",
    },
  );
}

async function openSitePacer({ pace }: OpenRequest, site: RedisSite, resources: AsyncDisposableStack): Promise<Pacer> {
  const probe = pace?.pauseAboveMs === undefined ? undefined : resources.use(await openLatencyProbe(site));
  const question = probe === undefined ? {} : { probe: probe.ask };
  return resources.use(openPacer({ pace, ...question, signal: ending.signal, progress }));
}

async function syncFeed(
  request: OpenRequest,
  site: RedisSite,
  volume: VolumeRecords,
  pacer: Pacer,
  resources: AsyncDisposableStack,
): Promise<RecordFeed> {
  const { temporaryFolder, memoryBytes } = request;
  const connection = await site.connect();
  const link = request.pace === undefined ? undefined : paceLink(connection, idleTimeoutMs);
  try {
    const sync = await openFullSync(link?.connection ?? connection, {
      signal: ending.signal,
      temporaryFolder,
      idleTimeoutMs,
      memoryBytes: Math.floor(memoryBytes / queueShare),
      onWait: (what, waitedMs) => note({ kind: "waiting", what, waitedMs }),
    });
    link?.shut();
    const { database, role } = site;
    return resources.use(feedFromSync(sync, volume.records, { database, role, pacer, link }));
  } catch (error) {
    if (request.held === undefined || !isForbidden(error)) throw error;
    return scanFeed(request, site, volume, pacer, resources);
  }
}

function isForbidden(error: unknown): boolean {
  return error instanceof CairnError && (error.code === "privilege-missing" || error.code === "replication-forbidden");
}

function listedFeed(
  { temporaryFolder, url }: OpenRequest,
  path: string,
  site: RedisSite,
  volume: VolumeRecords,
  resources: AsyncDisposableStack,
): RecordFeed {
  const timeoutMs = parseRedisUrl(url).readTimeoutMs;
  const steps = readListedKeys(site, volume.records, { signal: ending.signal, temporaryFolder, path, timeoutMs });
  return resources.use(feedFromScan(steps, site.address, () => {}));
}

function scanFeed(
  { temporaryFolder }: OpenRequest,
  site: RedisSite,
  volume: VolumeRecords,
  pacer: Pacer,
  resources: AsyncDisposableStack,
): RecordFeed {
  const steps = scanVolume(site, volume.records, { signal: ending.signal, temporaryFolder, pacer });
  return resources.use(
    feedFromScan(steps, site.address, ({ phase, done, total }) => {
      if (phase === "names") progress.report({ phase: "list keys", done, total, unit: "records" });
    }),
  );
}

serveCalls({ ...handlers });
