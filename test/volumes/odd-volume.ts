/**
 * Makes the odd volume: a real JuiceFS volume with SQLite metadata that holds every kind of record and every awkward value
 * that we know of, made by the real client through a FUSE mount. Needs root and what `npm run setup` installs.
 */
import { closeSync, mkdirSync, openSync, renameSync, unlinkSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { mountVolume, runJuicefs, type MountedVolume, type MountOptions } from "./juicefs-cli.ts";
import { makeFlags, makeOddAcls, makeOddAttributes, makeOddXattrs, makeSpecialFiles } from "./odd-attributes.ts";
import { pathOf, type OddBench, type OddSize } from "./odd-bench.ts";
import { makeOddData, writeEach } from "./odd-data.ts";
import { makeOddLinks, makeOddNames } from "./odd-names.ts";
import { fillTrash, makeOddTrees, makeProject } from "./odd-trees.ts";
import { seededRandom, type SeededRandom } from "./seeded-random.ts";
import { inodeFlags, openSyscalls, type Syscalls } from "./syscalls.ts";

export interface OddVolumeOptions {
  /**
   * An empty place on another engine, instead of a SQLite database in the folder. The volume then lacks what a client leaves that is killed in
   * the middle of its work, as only SQLite shows when that is; and `databasePath` leads nowhere.
   */
  metaUrl?: string;
  /** Leave out what some engine cannot hold (docs/engines/limits.md). */
  portable?: boolean;
  /** An empty or missing folder: database, bucket, cache, log and mountpoint go below it. */
  dir: string;
  size?: OddSize;
  seed?: number;
  /** `wal` is what JuiceFS 1.3 and later set; `rollback` is what older volumes have. */
  journal?: "wal" | "rollback";
  /** The tables are called `jfs_<prefix>_…` instead of `jfs_…`. */
  tablePrefix?: string;
  /**
   * How it ends. `mounted`: still mounted, with deleted files open and locks held. `crashed` (default): the client was
   * killed in that state, so its session, sustained inodes and locks are in a database that no one writes. `unmounted`:
   * in order, which removes these.
   */
  end?: "mounted" | "crashed" | "unmounted";
}

export interface OddVolume {
  readonly metaUrl: string;
  readonly databasePath: string;
  readonly bucketDir: string;
  readonly mountpoint: string;
  /** Closes the held files, drops the locks and unmounts, if still mounted. */
  unmount(): Promise<void>;
  /** Kills the client, if still mounted: what was open stays recorded. */
  crash(): Promise<void>;
}

export async function makeOddVolume(options: OddVolumeOptions): Promise<OddVolume> {
  const { dir, size = "small", portable = false, seed = 1, journal = "wal", end = "crashed" } = options;
  mkdirSync(dir, { recursive: true });
  const databasePath = join(dir, "meta.db");
  const bucketDir = join(dir, "bucket");
  const mountpoint = join(dir, "mnt");
  const metaUrl = options.metaUrl ?? unflushedMetaUrlOf(databasePath, journal, options.tablePrefix);

  await runJuicefs([
    "format",
    "--storage=file",
    `--bucket=${bucketDir}/`,
    "--enable-acl",
    "--trash-days=0",
    metaUrl,
    "odd",
  ]);
  if (options.metaUrl === undefined) {
    await leaveUnfinishedWork(metaUrl, databasePath, {
      dir,
      mountpoint,
      size,
      random: seededRandom(seed ^ 0x5eed),
      tablePrefix: options.tablePrefix === undefined ? "jfs_" : `jfs_${options.tablePrefix}_`,
    });
  }
  await runJuicefs(["config", metaUrl, "--yes", "--trash-days=7", "--changelog", "--user-group-quota"]);
  await runJuicefs(["config", metaUrl, "--yes", "--tier=1", "--storage-class=STANDARD_IA"]);

  // No clean-up jobs: they would remove at random what was left unfinished.
  const mounted = await mountVolume(metaUrl, mountpoint, { workFolder: dir, noBackgroundJobs: true });
  const syscalls = openSyscalls();
  const held: number[] = [];
  try {
    await fill(metaUrl, { mountpoint, size, portable, random: seededRandom(seed), syscalls }, held);
    // Usage, directory statistics and quotas are flushed some seconds late.
    await sleep(4000);
  } catch (error) {
    await syscalls.close();
    await mounted.crash();
    throw error;
  }
  const volume = {
    metaUrl: options.metaUrl ?? metaUrlOf(databasePath, journal, options.tablePrefix),
    databasePath,
    bucketDir,
    mountpoint,
    ...endingsOf(mounted, syscalls, held),
  };
  if (end === "crashed") await volume.crash();
  if (end === "unmounted") await volume.unmount();
  return volume;
}

/** The URL by which `juicefs` and Cairn open a SQLite database. */
export function metaUrlOf(databasePath: string, journal: "wal" | "rollback" = "wal", tablePrefix?: string): string {
  return urlWith(new URLSearchParams(), databasePath, journal, tablePrefix);
}

/**
 * The same for a client that need not survive a power cut: without flushing every transaction to the disk, volumes are
 * made several times faster. What is stored is the same, also after a killed client.
 */
export function unflushedMetaUrlOf(
  databasePath: string,
  journal: "wal" | "rollback" = "wal",
  tablePrefix?: string,
): string {
  return urlWith(new URLSearchParams({ _synchronous: "OFF" }), databasePath, journal, tablePrefix);
}

function urlWith(
  query: URLSearchParams,
  databasePath: string,
  journal: "wal" | "rollback",
  tablePrefix: string | undefined,
): string {
  if (journal === "rollback") query.set("_journal", "DELETE");
  if (tablePrefix !== undefined) query.set("table_prefix", tablePrefix);
  return `sqlite3://${databasePath}${query.size === 0 ? "" : `?${query.toString()}`}`;
}

/**
 * Copies a database as it is at one moment, also while clients write: all pages in one read transaction, so that the copy
 * is byte for byte what JuiceFS wrote, complete without a WAL file.
 */
export async function copyDatabase(from: string, to: string): Promise<void> {
  const database = new DatabaseSync(from, { timeout: 10_000 });
  try {
    await backup(database, to, { rate: 2 ** 31 - 1 });
  } finally {
    database.close();
  }
}

function endingsOf(mounted: MountedVolume, syscalls: Syscalls, held: number[]) {
  function closeHeld(): void {
    for (const fd of held.splice(0)) {
      try {
        closeSync(fd);
      } catch {
        // The mount behind it is gone.
      }
    }
  }
  return {
    async unmount() {
      closeHeld();
      await syscalls.close();
      await mounted.unmount();
    },
    async crash() {
      await mounted.crash();
      closeHeld();
      await syscalls.close();
    },
  };
}

/**
 * What a client leaves that is killed in the middle of its work, on a volume without trash and with slice deletion off:
 * deleted files whose chunks remain, slices that nothing refers to, and a half-made clone that is not attached anywhere.
 */
async function leaveUnfinishedWork(metaUrl: string, databasePath: string, bench: Unfinished): Promise<void> {
  const { mountpoint, random } = bench;
  const options: MountOptions = { workFolder: bench.dir, noBackgroundJobs: true, extra: ["--max-deletes=0"] };
  const database = new DatabaseSync(databasePath, { readOnly: true, timeout: 10_000 });
  let mounted = await mountVolume(metaUrl, mountpoint, options);
  try {
    const at = (name: string) => join(mountpoint, name);
    const makeFolder = (path: string, count: number) => {
      mkdirSync(path, { recursive: true });
      for (let index = 0; index < count; index += 1) {
        writeFileSync(join(path, `file-${index}`), random.bytes(10 + random.below(100)));
      }
    };
    // More than the hundred deletions that a client does at a time: the rest is put off.
    makeFolder(at("doomed"), bench.size === "full" ? 400 : 250);
    makeFolder(at("half-cloned/folder"), 600);
    const rewritten = pathOf(mountpoint, "compacted-without-trash");
    writeEach(rewritten, [0, 500, 1000, 700, 200], (offset) => ({ at: offset, data: random.bytes(600) }), true);
    await runJuicefs(["compact", rewritten.toString()]);
    await runJuicefs(["rmr", at("doomed")]);
    for (let attempt = 1; !(await breakOffAClone(database, bench.tablePrefix, mounted)); attempt += 1) {
      if (attempt === 10) throw new Error("every clone ended before it was seen; make the volume again");
      mounted = await mountVolume(metaUrl, mountpoint, options);
    }
  } finally {
    await mounted.crash();
    database.close();
  }
}

interface Unfinished {
  tablePrefix: string;
  dir: string;
  mountpoint: string;
  size: OddSize;
  random: SeededRandom;
}

/** SQLITE_READONLY_ROLLBACK. */
const readOnlyRollback = 776;

/**
 * Kills the client when a clone has its first entry and is not attached yet; false when the clone was attached all the
 * same. The entry is a folder with many files: copying these gives the time to see it.
 */
async function breakOffAClone(database: DatabaseSync, prefix: string, mounted: MountedVolume): Promise<boolean> {
  const entries = database.prepare(
    `SELECT count(*) AS count FROM ${prefix}edge WHERE parent IN (SELECT inode FROM ${prefix}detached_node)`,
  );
  const isHalfDone = () => Number(entries.get()?.["count"]) > 0;
  const isLeftHalfDone = () => {
    try {
      return isHalfDone();
    } catch (error) {
      if ((error as { errcode?: number }).errcode !== readOnlyRollback) throw error;
      // The client died in the middle of a transaction with a rollback journal: only who may write takes it back.
      using writer = new DatabaseSync(database.location() ?? "");
      writer.exec("SELECT count(*) FROM sqlite_schema");
      return isHalfDone();
    }
  };
  let isRunning = true;
  const target = `clone-${mounted.pid}`;
  const cloning = runJuicefs(["clone", join(mounted.mountpoint, "half-cloned"), join(mounted.mountpoint, target)])
    .catch(() => "its client was killed")
    .finally(() => (isRunning = false));
  while (isRunning && !isHalfDone()) await setImmediate();
  await mounted.crash();
  await cloning;
  return isLeftHalfDone();
}

async function fill(metaUrl: string, bench: OddBench, held: number[]): Promise<void> {
  const { mountpoint, random, syscalls } = bench;
  const at = (name: string) => join(mountpoint, name);
  makeOddNames(bench);
  await makeOddLinks(bench);
  await makeOddAttributes(bench);
  await makeOddXattrs(bench);
  makeOddAcls(bench);
  await makeSpecialFiles(bench);
  await makeOddData(bench);
  makeOddTrees(bench);
  makeProject(bench, "project", bench.size === "full" ? 30 : 6);

  await runJuicefs(["quota", "set", metaUrl, "--path=/project", "--capacity=10", "--inodes=100000"]);
  await runJuicefs(["quota", "set", metaUrl, "--path=/links/right", "--inodes=5000"]);
  await runJuicefs(["quota", "set", metaUrl, "--path=/quota/nested", "--create", "--capacity=1"]);
  await runJuicefs(["quota", "set", metaUrl, "--uid=1000", "--capacity=5", "--inodes=5000"]);
  await runJuicefs(["quota", "set", metaUrl, "--uid=1001", "--inodes=100"]);
  await runJuicefs(["quota", "set", metaUrl, "--gid=100", "--capacity=7"]);
  writeFileSync(at("quota/nested/file"), random.bytes(10_000));

  await runJuicefs(["clone", at("project"), at("clone of project")]);
  await runJuicefs(["clone", "--preserve", at("data/many-slices"), at("clone-of-many-slices")]);
  await runJuicefs(["clone", at("data/many-chunks"), at("clone-of-many-chunks")]);
  writeFileSync(at("clone of project/part-0/added"), "only in the clone\n");

  // With a trash, the slices that a compaction replaces are kept as delayed slices.
  for (const name of ["compacted-1", "compacted-2"]) {
    const offsets = Array.from({ length: 40 }, () => random.below(100_000));
    writeEach(pathOf(mountpoint, name), offsets, (offset) => ({ at: offset, data: random.bytes(2000) }), true);
  }
  await runJuicefs(["clone", at("compacted-2"), at("clone-made-before-compaction")]);
  await runJuicefs(["compact", at("compacted-1"), at("compacted-2")]);

  await runJuicefs(["tier", "set", metaUrl, "--tier=1", "/project/part-5", "-r"]);
  fillTrash(bench, "project");
  await makeFlags(bench);
  await holdOpenAndLocked(bench, held);
  renameSync(at("data/grown"), at("data/grown and renamed"));
  await syscalls.setTimes(pathOf(mountpoint), 1_000_000_000_000_000_001n, 1_100_000_000_000_000_002n);
}

/** Deleted files that stay open (past the trash, or they would only move there), and locks of both kinds. */
async function holdOpenAndLocked(bench: OddBench, held: number[]): Promise<void> {
  const { random, syscalls } = bench;
  const folder = pathOf(bench.mountpoint, "without-trash");
  mkdirSync(folder);
  await syscalls.setFlags(folder, inodeFlags.secureRemoval);
  for (let index = 0; index < 3; index += 1) {
    const path = pathOf(folder, `deleted-but-open-${index}`);
    const fd = openSync(path, "w+");
    held.push(fd);
    writeSync(fd, random.bytes(5000 * (index + 1)));
    unlinkSync(path);
  }
  const locked = pathOf(bench.mountpoint, "locked");
  writeFileSync(locked, random.bytes(1000));
  await syscalls.lock(locked, "flock-shared");
  await syscalls.lock(locked, "record-exclusive", 10, 100);
  await syscalls.lock(locked, "record-shared", 500, 7);
}
