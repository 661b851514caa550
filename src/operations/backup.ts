import type { Clock } from "../std/clock.ts";
import { isoTime } from "../std/clock.ts";
import { release } from "../std/release.ts";
import { mapOrdered } from "../std/map-ordered.ts";
import { CairnError } from "../model/errors.ts";
import type { Pace, Progress, Source, SourceView } from "../model/ports.ts";
import { identityVersion } from "../format/limits.ts";
import type { Manifest, TableManifest } from "../format/manifest.ts";
import { openPageLine } from "../pipeline/open-page-line.ts";
import type { OpenPageLine } from "../pipeline/open-page-line.ts";
import type { PageEvent } from "../pipeline/page-line-worker.ts";
import type { Repository } from "../repository/repository.ts";
import { openSnapshot } from "../repository/snapshot.ts";
import type { Snapshot } from "../repository/snapshot.ts";
import { listSnapshots, readManifest } from "../repository/snapshots.ts";
import { SnapshotWriter } from "../repository/snapshot-writer.ts";
import type { PreparedPage } from "../repository/snapshot-writer.ts";
import { sorterMemory, sourceMemory } from "./memory.ts";

export interface BackupOptions {
  repository: Repository;
  source: Source;
  note: string;
  tags: Record<string, string>;
  /** Keep the volume's secrets in the manifest, which is not encrypted. */
  keepSecrets: boolean;
  /** Build on no earlier snapshot: every page is stored again, whole. */
  full?: boolean;
  /** How hard the engine may be worked. */
  pace?: Pace;
  memoryBytes: number;
  temporaryFolder: string;
  progress: Progress;
  signal: AbortSignal;
  clock: Clock;
  tool: { name: string; version: string };
}

export interface BackupResult {
  manifest: Manifest;
  object: string;
  pagesWritten: number;
  pagesPatched: number;
  pagesReused: number;
  seconds: number;
}

/** Pages under way at once: while one waits for the store, others are hashed and compressed. */
const pagesAtOnce = 8;

/**
 * Backs up one consistent view of a source into a repository: batches through the page line on its thread, pages into packs, then the
 * manifest. Whatever fails, the repository is as valid as before.
 */
export async function backup(options: BackupOptions): Promise<BackupResult> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await attemptBackup(options);
    } catch (error) {
      if (!(error instanceof CairnError) || error.code !== "source-changed" || attempt === attemptsMax) throw error;
      options.progress.warn("second-attempt", `${error.message}; starting again`);
    }
  }
}

/** A source that is read without a lock may turn out to have changed, as when the first client connects: then it is read in another way. */
const attemptsMax = 3;

async function attemptBackup(options: BackupOptions): Promise<BackupResult> {
  const { source, repository, clock, memoryBytes, temporaryFolder, progress } = options;
  const startedMs = clock.now();
  const inner = new AbortController();
  const signal = AbortSignal.any([options.signal, inner.signal]);
  const description = await source.describe(signal);
  const viewOptions = {
    signal,
    temporaryFolder,
    memoryBytes: sourceMemory(memoryBytes),
    progress,
    ...(options.pace === undefined ? {} : { pace: options.pace }),
  };
  await using view = await source.open(viewOptions);
  const viewMs = clock.now();
  const parent = options.full === true ? undefined : await latestSnapshot(repository, view, progress);
  const writer = await SnapshotWriter.open(repository, view.kind, view.volumeId, parent, clock);
  try {
    const lineOptions = {
      kind: view.kind,
      sortedTables: view.sortedTables,
      memoryBytes: sorterMemory(memoryBytes),
      temporaryFolder,
      pathIndex: true,
      frames: true,
    };
    await using line = openPageLine(lineOptions, signal);
    const total = Object.values(description.estimates).reduce((sum, count) => sum + count, 0);
    const feeding = feed(view, line, (done) => progress.report({ phase: "read", done, total, unit: "records" }));
    feeding.catch((error: unknown) => inner.abort(error));
    const extremes = await store(line, writer);
    await feeding;
    const summary = await view.summary();
    options.signal.throwIfAborted();
    const { manifest, object } = await writer.publish(
      {
        identityVersion,
        time: isoTime(viewMs),
        volumeName: view.volumeName,
        system: description.system,
        engine: { name: description.engine, version: description.engineVersion },
        tool: options.tool,
        started: isoTime(startedMs),
        ended: isoTime(clock.now()),
        consistency: { ...summary.consistency, position: summary.position },
        note: options.note,
        tags: options.tags,
        facts: summary.facts,
        findings: summary.findings,
        omitted: summary.omitted,
        secrets: options.keepSecrets ? summary.secrets : {},
      },
      extremes,
      viewMs,
    );
    const { written, patched, reused } = writer.counts;
    const seconds = (clock.now() - startedMs) / 1000;
    return { manifest, object, pagesWritten: written, pagesPatched: patched, pagesReused: reused, seconds };
  } catch (error) {
    await writer.abort(error);
    throw error;
  }
}

/** Moves all batches of a view into the line. */
export async function feed(view: SourceView, line: OpenPageLine, report: (records: number) => void): Promise<void> {
  let records = 0;
  for await (const batch of view.batches()) {
    records += batch.count;
    await line.push(batch);
    report(records);
  }
  line.finish();
}

type Prepared = { event: PageEvent; prepared?: PreparedPage };

async function store(line: OpenPageLine, writer: SnapshotWriter): Promise<TableManifest["extremes"][]> {
  const extremes: TableManifest["extremes"][] = [];
  const prepare = async (event: PageEvent): Promise<Prepared> =>
    event.type === "page" ? { event, prepared: await writer.prepare(event.page, event.frame) } : { event };
  for await (const { event, prepared } of mapOrdered(line.events(), pagesAtOnce, prepare)) {
    if (event.type === "table") extremes[event.table] = event.extremes;
    else if (event.type === "large") await writer.addLarge(event.value);
    else {
      await writer.add(event.page.table, prepared as PreparedPage);
      release(event.page.raw.buffer);
    }
  }
  return extremes;
}

/** The newest snapshot of the volume that can be built on. A damaged or unknown one is passed over with a warning: its pages are not needed. */
async function latestSnapshot(
  repository: Repository,
  view: SourceView,
  progress: Progress,
): Promise<Snapshot | undefined> {
  for (const name of (await listSnapshots(repository, view.volumeId)).toReversed()) {
    try {
      const manifest = await readManifest(repository, name);
      if (manifest.kind !== view.kind.name || manifest.identityVersion !== identityVersion) continue;
      return openSnapshot(repository, manifest, [view.kind]);
    } catch (error) {
      // Gone since it was listed: a prune took it.
      if (error instanceof CairnError && error.exit === "notFound") continue;
      if (!(error instanceof CairnError) || error.exit !== "repositoryDamaged") throw error;
      progress.warn("parent-unusable", `cannot build on snapshot ${name.id}: ${error.message}`);
    }
  }
  return undefined;
}
