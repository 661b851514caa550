import type { Batch } from "../../../model/batch.ts";
import { batchFromRows } from "../../../model/batch.ts";
import { juicefs, juicefsTable } from "../../../model/juicefs.ts";
import type { Facts, Pace, Progress, SourceSummary } from "../../../model/ports.ts";
import type { CopyOut, Session } from "../../../protocols/postgres/session.ts";
import { quoteName } from "../../../protocols/postgres/sql-text.ts";
import type { CanonicalCounters } from "../counters.ts";
import { canonicalCounters } from "../counters.ts";
import type { Pacer } from "../pacer.ts";
import { openPacer } from "../pacer.ts";
import type { SplitSetting } from "../secrets.ts";
import type { SettingField } from "../setting.ts";
import { settingRows, settingText } from "../setting.ts";
import { SliceRefCheck, sliceBucketOf, sliceBuckets } from "../slice-ref-check.ts";
import { findSliceRefDifferences } from "../slice-ref-differences.ts";
import { openSliceSpool } from "../slice-spool.ts";
import type { CanonicalTable } from "../sql/canonical-tables.ts";
import {
  chunkTable,
  delayedSliceTable,
  dirQuotaTable,
  edgeTable,
  nodeTable,
  ownerQuotaTable,
  plainTables,
  sliceRefTable,
} from "../sql/canonical-tables.ts";
import { counterRowsMax, countersOfRows, settingOfRows, settingRowsMax } from "../sql/read-rows.ts";
import { sqlTables } from "../sql/tables.ts";
import { endOfTable, seeStoredRefs, visitSlices, VolumeChecks } from "../volume-checks.ts";
import { openBatchQueue } from "./batch-queue.ts";
import { markerTable } from "../sql/volume-schema.ts";
import type { Place, StoredTable, VolumeTables } from "./catalogue.ts";
import { findPlace, readTables, requireVolume } from "./catalogue.ts";
import type { Server } from "./connect.ts";
import { connectServer, sideOf } from "./connect.ts";
import type { Side } from "./errors.ts";
import { postgresError } from "./errors.ts";
import { openSnapshot } from "./snapshot.ts";
import { openTableCopy } from "./table-copy.ts";
import type { PostgresUrl } from "./url.ts";

export interface VolumeReaderOptions {
  readonly url: PostgresUrl;
  /** Hand the secrets on in the summary. */
  readonly keepSecrets: boolean;
  /** The setting's canonical fields, while the volume's own is held back. */
  readonly heldSetting?: readonly SettingField[];
  /** What a restore reads back: nobody else is in the way, and messages are about a target. */
  readonly isOwn: boolean;
  /** Bytes of batches that wait, and of the search for differing reference counts. */
  readonly memoryBytes: number;
  readonly temporaryFolder: string;
  readonly pace?: Pace;
}

/** A JuiceFS volume in one state of a database. Runs in a thread of its own. */
export interface VolumeReader extends AsyncDisposable {
  readonly volumeId: string;
  readonly volumeName: string;
  /** The setting's canonical fields. */
  readonly setting: readonly SettingField[];
  /** Every record once, tables side by side; undefined after the last batch. */
  next(): Promise<Batch | undefined>;
  /** After the last batch. */
  summary(): Promise<SourceSummary>;
}

/** Node, edge and chunk at once: more does not help, since a core for each is rare. */
const connectionsMax = 3;
/** Below this a second connection costs more than it saves. */
const smallVolumeBytes = 16 << 20;
/**
 * From here on tables are read one after the other. Sorting is the slower part then, and a table that is merged while others fill up takes memory: 10 million
 * files in one, two and three connections had peaks of 311, 341 and 368 MB, and took 104, 109 and 125 s.
 */
const largeVolumeBytes = 512 << 20;

function connectionsFor(bytes: number): number {
  return bytes < smallVolumeBytes || bytes >= largeVolumeBytes ? 1 : connectionsMax;
}

/** Bytes after which a paced read is asked to wait. */
const paceBytes = 64 << 10;

/**
 * Opens one state of the volume: checks that every table and column is known, takes a snapshot, reads setting and counters. Throws
 * `not-a-volume`, `not-formatted`, `unknown-schema`, `privilege-missing`, `setting-invalid`, `secret-unreadable`, `source-changed`.
 */
export async function openVolumeReader(options: VolumeReaderOptions, progress: Progress): Promise<VolumeReader> {
  const side = sideOf(options.url, options.isOwn);
  const { session, server } = await connectServer(options.url, side);
  try {
    const place = await findPlace(session, options.url);
    const prefix = options.url.tablePrefix;
    const stored = await readTables(session, place.schema);
    const volume = requireVolume(stored, { place, prefix, side });
    const bytes = volume.tables.reduce((sum, table) => sum + table.bytes, 0);
    const connections = connectionsFor(bytes);
    const snapshot = await openSnapshot(session, server, { place, volume, connections, progress });
    const [first] = snapshot.sessions;
    const setting =
      options.heldSetting === undefined
        ? await readSetting(first, stored, { place, prefix, side })
        : { fields: [...options.heldSetting], secrets: {}, removed: "" };
    const counters = canonicalCounters(await readCounters(first, place, prefix, side.location));
    const pacer = await openReadPacer(options, server, progress);
    return startReading({ options, place, volume, snapshot, setting, counters, pacer });
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw postgresError(side, error);
  }
}

/** Nobody is in the way of a read-back. A probe that nobody asked for is done without where the server has no connection for it. */
async function openReadPacer(
  { pace, isOwn }: VolumeReaderOptions,
  server: Server,
  progress: Progress,
): Promise<Pacer | undefined> {
  if (isOwn) return undefined;
  // The thread ends with the run: it needs no signal of its own.
  const { signal } = new AbortController();
  if (pace?.pauseAboveMs === Infinity) return openPacer({ pace, signal, progress });
  const session = await server.connect().catch((error: unknown) => {
    if (pace?.pauseAboveMs !== undefined) throw error;
    return undefined;
  });
  if (session === undefined) return openPacer({ pace, signal, progress });
  // For the administrator who looks into pg_stat_activity: this one reads nothing.
  await session.query("SET application_name = 'cairn probe'");
  const pacer = openPacer({ pace, probe: () => session.query("SELECT 1"), signal, progress });
  return {
    pass: (bytes) => pacer.pass(bytes),
    async [Symbol.asyncDispose]() {
      await pacer[Symbol.asyncDispose]();
      await session[Symbol.asyncDispose]();
    },
  };
}

interface Reading {
  readonly options: VolumeReaderOptions;
  readonly place: Place;
  readonly volume: VolumeTables;
  readonly snapshot: Awaited<ReturnType<typeof openSnapshot>>;
  readonly setting: SplitSetting;
  readonly counters: CanonicalCounters;
  readonly pacer: Pacer | undefined;
}

/** Tables that one connection reads one after the other, so that their canonical table comes in one piece; the largest first. */
const jobs: readonly (readonly CanonicalTable[])[] = [
  [nodeTable],
  [edgeTable],
  [chunkTable],
  [sliceRefTable],
  [delayedSliceTable],
  [dirQuotaTable, ownerQuotaTable],
  ...plainTables.filter((table) => table !== dirQuotaTable && table !== ownerQuotaTable).map((table) => [table]),
];

function startReading(reading: Reading): VolumeReader {
  const { options, place, volume, snapshot, setting, counters, pacer } = reading;
  const { schema } = volume;
  const side = sideOf(options.url, options.isOwn);
  const queue = openBatchQueue(options.memoryBytes / 2);
  const refs = new SliceRefCheck();
  const checks = new VolumeChecks(refs);
  const counterValues = new Map(
    counters.rows.map(([name, value]) => [Buffer.from(name as Uint8Array).toString(), value as bigint]),
  );

  /** Streams one table; `take` gets its batches and says whether the connection must wait, and calls `onRoom` when it need not any more. */
  async function copyTable(
    session: Session,
    table: CanonicalTable,
    take: (batch: Batch, onRoom: () => void) => boolean,
  ): Promise<void> {
    if (!schema.hasTable(table.table)) return;
    const hold = openHold();
    const onRoom = (): void => hold.release();
    const { sql, reader } = openTableCopy(schema, place.schema, table, (batch) => {
      if (take(batch, onRoom)) hold.add();
    });
    let unpaced = 0;
    const passed = async (bytes: number): Promise<void> => {
      hold.add();
      await pacer?.pass(bytes);
      hold.release();
    };
    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => {});
    hold.copy = session.copyOut(sql, (bytes, start, end) => {
      reader.readMessage(bytes, start, end);
      if (pacer === undefined) return;
      unpaced += end - start;
      if (unpaced < paceBytes) return;
      passed(unpaced).catch((error: unknown) => failed.reject(error));
      unpaced = 0;
    });
    await Promise.race([hold.copy.finished, failed.promise]);
    reader.finish();
    // The connection's next statement is not to begin while it still waits for this one.
    await Promise.race([hold.whenFree(), failed.promise]);
  }

  async function runJob(session: Session, job: readonly CanonicalTable[]): Promise<void> {
    for (const table of job) {
      await copyTable(session, table, (batch, onRoom) => {
        const seen = table === sliceRefTable ? seeStoredRefs(batch, refs) : checks.see(batch);
        return seen !== undefined && queue.push(seen, onRoom);
      });
    }
    queue.push(endOfTable(job[0].canonicalTable), () => {});
  }

  async function run(): Promise<void> {
    const waiting = [...jobs];
    await Promise.all(
      snapshot.sessions.map(async (session) => {
        for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) await runJob(session, job);
      }),
    );
    queue.push(batchFromRows(juicefs.tables[juicefsTable.counter], juicefsTable.counter, counters.rows), () => {});
    queue.push(
      batchFromRows(juicefs.tables[juicefsTable.setting], juicefsTable.setting, settingRows(setting.fields)),
      () => {},
    );
    queue.end();
  }

  async function findDifferences(session: Session): Promise<ReturnType<typeof findSliceRefDifferences>> {
    const unequal = refs.unequalBuckets();
    if (unequal.length === 0) return [];
    const isWanted = new Uint8Array(sliceBuckets);
    for (const bucket of unequal) isWanted[bucket] = 1;
    using spool = openSliceSpool(options.temporaryFolder, (low, high) => isWanted[sliceBucketOf(low, high)] === 1);
    for (const table of [chunkTable, delayedSliceTable, sliceRefTable]) {
      await copyTable(session, table, (batch) => {
        if (table === sliceRefTable) seeStoredRefs(batch, spool);
        else visitSlices(batch, spool);
        return false;
      });
    }
    return findSliceRefDifferences((visitor) => spool.visit(visitor), unequal, options.memoryBytes);
  }

  let running: Promise<void> | undefined;

  return {
    volumeId: settingText(setting.fields, "UUID") ?? "",
    volumeName: settingText(setting.fields, "Name") ?? "",
    setting: setting.fields,
    next() {
      running ??= run().catch((error: unknown) => queue.fail(postgresError(side, error)));
      return queue.next();
    },
    async summary() {
      const [first] = snapshot.sessions;
      try {
        const facts: Facts = {
          schemaLine: schema.line,
          ...counters.facts,
          ...(await changelogPosition(first, place, volume)),
        };
        if (setting.removed !== "") facts["secretsRemoved"] = setting.removed;
        return {
          consistency: {
            level: "snapshot",
            method: `one exported snapshot (REPEATABLE READ, ${snapshot.sessions.length === 1 ? "one connection" : `${snapshot.sessions.length} connections`}${place.isStandby ? ", on a standby" : ""})`,
          },
          position: snapshot.position,
          facts,
          findings: [...checks.findings(counterValues, refs.maxId), ...(await findDifferences(first))],
          omitted: await countOmitted(first, place, volume),
          secrets: options.keepSecrets ? setting.secrets : {},
        };
      } catch (error) {
        throw postgresError(side, error);
      }
    },
    async [Symbol.asyncDispose]() {
      await pacer?.[Symbol.asyncDispose]();
      await snapshot[Symbol.asyncDispose]();
    },
  };
}

/** Lets a copy wait as long as anybody wants it to. */
interface Hold {
  copy: CopyOut | undefined;
  add(): void;
  release(): void;
  whenFree(): Promise<void>;
}

function openHold(): Hold {
  let holders = 0;
  let freed: (() => void) | undefined;
  return {
    copy: undefined,
    add() {
      if (holders++ === 0) this.copy?.pause();
    },
    release() {
      if (--holders > 0) return;
      this.copy?.resume();
      freed?.();
    },
    whenFree: async () => {
      while (holders > 0) {
        await new Promise<void>((resolve) => {
          freed = resolve;
        });
      }
    },
  };
}

function tableName(place: Place, prefix: string, table: string): string {
  return `${quoteName(place.schema)}.${quoteName(prefix + table)}`;
}

/** The setting of the volume, its secrets taken out. Throws `not-formatted`, `unknown-schema`, `setting-invalid`, `secret-unreadable`. */
export async function readSetting(
  session: Session,
  stored: readonly StoredTable[],
  { place, prefix, side }: { place: Place; prefix: string; side: Side },
): Promise<SplitSetting> {
  const { rows } = await session.query(
    `SELECT name, value FROM ${tableName(place, prefix, "setting")} LIMIT ${settingRowsMax}`,
  );
  return settingOfRows(
    {
      location: side.location,
      table: `${prefix}setting`,
      isUnfinished: stored.some(({ name }) => name === prefix + markerTable),
    },
    rows.map(([name, value]) => [name ?? "", value]),
  );
}

/** Counters by name. Throws `counter-invalid`. */
export async function readCounters(
  session: Session,
  place: Place,
  prefix: string,
  location: string,
): Promise<Map<string, bigint>> {
  const { rows } = await session.query(
    `SELECT name, value FROM ${tableName(place, prefix, "counter")} LIMIT ${counterRowsMax}`,
  );
  return countersOfRows(
    { location, table: `${prefix}counter` },
    rows.map(([name, value]) => [name, value]),
  );
}

async function countOmitted(session: Session, place: Place, { schema }: VolumeTables): Promise<Record<string, number>> {
  const omitted: Record<string, number> = {};
  for (const { name, omitted: isOmitted } of sqlTables) {
    if (isOmitted !== true || !schema.hasTable(name)) continue;
    const { rows } = await session.query(`SELECT count(*) FROM ${tableName(place, schema.prefix, name)}`);
    const count = Number(rows[0][0]);
    if (count > 0) omitted[name] = count;
  }
  return omitted;
}

/** Up to where the volume's log reached: a later incremental copy begins there. */
async function changelogPosition(session: Session, place: Place, { schema }: VolumeTables): Promise<Facts> {
  if (!schema.hasTable("change_log")) return {};
  const { rows } = await session.query(`SELECT max(id) FROM ${tableName(place, schema.prefix, "change_log")}`);
  const last = rows[0][0];
  return last === null ? {} : { lastChangelog: last };
}
