/** What the end-to-end tests work with: a folder, a repository in it, and the operations of the product with their real engines. */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { kinds, openSource, openStore, openTarget } from "../../src/cli/registry.ts";
import type { SourceChoices, TargetChoices } from "../../src/cli/registry.ts";
import type { JuicefsLine } from "../../src/engines/juicefs/lines.ts";
import type { Batch } from "../../src/model/batch.ts";
import type { Source, Target } from "../../src/model/ports.ts";
import { backup } from "../../src/operations/backup.ts";
import type { BackupResult } from "../../src/operations/backup.ts";
import { planChanges } from "../../src/operations/changes/plan-changes.ts";
import type { WantedChanges } from "../../src/operations/changes/plan-changes.ts";
import { diffSnapshots } from "../../src/operations/diff.ts";
import type { DiffResult } from "../../src/operations/diff.ts";
import type { TreeChange } from "../../src/operations/tree-change.ts";
import { restore } from "../../src/operations/restore.ts";
import type { RestoreResult } from "../../src/operations/restore.ts";
import { verifySnapshot } from "../../src/operations/verify.ts";
import { initRepository, openRepository } from "../../src/repository/repository.ts";
import { openSnapshot } from "../../src/repository/snapshot.ts";
import type { Snapshot } from "../../src/repository/snapshot.ts";
import { systemClock } from "../../src/std/clock.ts";
import { errorsOf, formatFinding } from "../judge/finding.ts";
import { compareSchema, judgeSqliteVolume } from "../judge/judge-sqlite.ts";
import type { SqliteJudgeOptions } from "../judge/judge-sqlite.ts";
import { judgeVolume } from "../judge/judge-volume.ts";
import type { JudgeOptions } from "../judge/judge-volume.ts";
import { quietProgress } from "../support/quiet-progress.ts";
import { runJuicefs } from "../volumes/juicefs-cli.ts";
import type { MountedVolume } from "../volumes/juicefs-cli.ts";

export interface BackUpOptions {
  keepSecrets?: boolean;
  memoryBytes?: number;
  /** Milliseconds between two batches, as if the repository were slow: the source is held open for longer. */
  paceMs?: number;
  choices?: Partial<SourceChoices>;
  signal?: AbortSignal;
}

export interface RestoreOptions {
  line?: JuicefsLine;
  changes?: Partial<WantedChanges>;
  secrets?: Record<string, string>;
  replace?: string;
  discardUnfinished?: boolean;
  choices?: Partial<TargetChoices>;
  signal?: AbortSignal;
  /** Stands between the restore and its target, to do harm. */
  wrap?: (target: Target) => Target;
}

export interface TakenSnapshot {
  readonly snapshot: Snapshot;
  readonly result: BackupResult;
  readonly root: string;
}

export interface Bench extends AsyncDisposable {
  readonly folder: string;
  readonly repositoryFolder: string;
  /** A path in the folder. */
  at(name: string): string;
  backUp(from: string | Source, options?: BackUpOptions): Promise<TakenSnapshot>;
  /** Reads every page of the snapshot back. */
  verify(snapshot: Snapshot): Promise<void>;
  restore(snapshot: Snapshot, metaUrl: string, options?: RestoreOptions): Promise<RestoreResult>;
  diff(from: Snapshot, to: Snapshot): Promise<DiffResult & { changes: TreeChange[] }>;
  /** Has a mount taken down when the bench is. */
  hold(mount: Pick<MountedVolume, "unmount">): void;
}

const memoryDefault = 64 << 20;

/** Opens a bench with an empty repository in a folder of its own; `await using` removes all of it, mounts first. */
export async function openBench(name: string): Promise<Bench> {
  const folder = mkdtempSync(join(tmpdir(), `cairn-${name}-`));
  const repositoryFolder = join(folder, "repository");
  const temporaryFolder = join(folder, "temporary");
  mkdirSync(temporaryFolder);
  const progress = quietProgress();
  const signal = new AbortController().signal;
  const mounts: Pick<MountedVolume, "unmount">[] = [];
  const store = await openStore(repositoryFolder);
  await initRepository(store);
  const repository = await openRepository(store);
  const shared = { memoryBytes: memoryDefault, temporaryFolder, progress, signal };

  return {
    folder,
    repositoryFolder,
    at: (file) => join(folder, file),

    async backUp(from, options = {}) {
      const { keepSecrets = false, memoryBytes = memoryDefault, paceMs = 0 } = options;
      const source =
        typeof from === "string"
          ? await openSource(from, { keepSecrets, allowBlock: false, ...options.choices })
          : from;
      const result = await backup({
        ...shared,
        signal: options.signal ?? signal,
        memoryBytes,
        repository,
        source: paceMs === 0 ? source : paced(source, paceMs),
        note: "",
        tags: {},
        keepSecrets,
        clock: systemClock,
        tool: { name: "cairn", version: "test" },
      });
      const snapshot = openSnapshot(repository, result.manifest, kinds);
      return { snapshot, result, root: result.manifest.root };
    },

    async verify(snapshot) {
      const verified = await verifySnapshot({ snapshot, progress, signal });
      assert.equal(verified.root, snapshot.manifest.root);
    },

    async restore(snapshot, metaUrl, options = {}) {
      const { line, changes, secrets = {}, replace, wrap, discardUnfinished = false } = options;
      const target = await openTarget(metaUrl, { line, ...options.choices });
      return restore({
        ...shared,
        signal: options.signal ?? signal,
        discardUnfinished,
        snapshot,
        target: wrap === undefined ? target : wrap(target),
        changes: await planChanges(snapshot, { repair: [], set: {}, ...changes }, shared),
        secrets,
        ...(replace === undefined ? {} : { replace }),
      });
    },

    async diff(from, to) {
      const changes: TreeChange[] = [];
      const take = async (change: TreeChange): Promise<void> => void changes.push(change);
      return { ...(await diffSnapshots(from, to, { countsOnly: false, change: take, progress, signal })), changes };
    },

    hold: (mount) => void mounts.push(mount),

    async [Symbol.asyncDispose]() {
      for (const mount of mounts.toReversed()) await mount.unmount();
      await store[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The same source, whose batches are taken slowly. */
function paced(source: Source, paceMs: number): Source {
  async function* slowly(batches: AsyncIterable<Batch>): AsyncGenerator<Batch> {
    for await (const batch of batches) {
      yield batch;
      await sleep(paceMs);
    }
  }
  return {
    describe: (signal) => source.describe(signal),
    async open(options) {
      const view = await source.open(options);
      return {
        kind: view.kind,
        volumeId: view.volumeId,
        volumeName: view.volumeName,
        sortedTables: view.sortedTables,
        batches: () => slowly(view.batches()),
        summary: () => view.summary(),
        [Symbol.asyncDispose]: () => view[Symbol.asyncDispose](),
      };
    },
  };
}

/** Fails when the independent judge finds an error, or the schema is not that of the database that the real JuiceFS made. */
export function assertJudged(path: string, options: SqliteJudgeOptions = {}): void {
  assert.deepEqual(errorsOf(judgeSqliteVolume(path, options)).map(formatFinding), []);
  if (options.referenceDatabase !== undefined) {
    assert.deepEqual(compareSchema(path, options.referenceDatabase, options).map(formatFinding), []);
  }
}

/** Fails when the independent judge finds an error in a volume on any engine. */
export async function assertVolumeJudged(url: string, options: JudgeOptions = {}): Promise<void> {
  assert.deepEqual(errorsOf(await judgeVolume(url, options)).map(formatFinding), []);
}

/** The real fsck, which only looks: it fails the test when it finds anything. */
export async function assertFsckClean(metaUrl: string): Promise<void> {
  const { stdout, stderr } = await runJuicefs(["fsck", metaUrl, "--path", "/", "--recursive"]);
  const complaints = (stdout + stderr).split("\n").filter((line) => /<(WARNING|ERROR|FATAL)>/.test(line));
  // Said of every volume with a storage tier whose blocks lie in a folder, on a machine that is busy, and of the tests' Redis.
  const idle = /Set storage tier: not supported|The latency to database is too high|AOF is not enabled/;
  assert.deepEqual(
    complaints.filter((line) => !idle.test(line)),
    [],
  );
}

/** Copies a bucket, so that a client of a restored volume can write and clean up without harm to the original. */
export function copyBucket(from: string, to: string): string {
  cpSync(from, to, { recursive: true });
  return `${to}/`;
}

/** Waits until something is so; fails with `what` when it is not after a minute. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + 60_000; !(await isSo()); await sleep(200)) {
    assert.ok(performance.now() < deadline, `${what} did not happen within a minute`);
  }
}
