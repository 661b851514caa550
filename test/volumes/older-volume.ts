/** Makes volumes through the metadata engines of older JuiceFS versions (docs/engines/sqlite-older-versions.md). */
import { execFile } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { peerPath } from "../peers/peers.ts";
import { metaUrlOf, unflushedMetaUrlOf } from "./odd-volume.ts";

const execFileAsync = promisify(execFile);

/** `1.2` is v1.2.0, `1.3` is v1.3.1. */
export type OlderVersion = "1.2" | "1.3";

export interface OlderVolumeOptions {
  version: OlderVersion;
  /** An empty or missing folder for database and bucket. */
  dir: string;
  /** The number of plain files beside what every such volume has. */
  files?: number;
  /** `crashed` (default) keeps session, sustained inodes and locks; `closed` ends in order. */
  end?: "crashed" | "closed";
  journal?: "wal" | "rollback";
}

export interface OlderVolume {
  readonly metaUrl: string;
  readonly databasePath: string;
  readonly bucketDir: string;
}

export async function makeOlderVolume(options: OlderVolumeOptions): Promise<OlderVolume> {
  const { version, dir, files = 300, end = "crashed", journal = "wal" } = options;
  mkdirSync(dir, { recursive: true });
  const databasePath = join(dir, "meta.db");
  const bucketDir = join(dir, "bucket");
  const unflushed = unflushedMetaUrlOf(databasePath, journal);
  await runOlder(version, ["make", "-files", String(files), "-end", end, unflushed, bucketDir, "older"]);
  return { metaUrl: metaUrlOf(databasePath, journal), databasePath, bucketDir };
}

/** What such a volume holds, one feature each. */
export async function olderVolumeFeatures(version: OlderVersion): Promise<string[]> {
  return (await runOlder(version, ["features"])).trim().split("\n");
}

/** The JSON dump of that version's own code. */
export async function dumpWithOlder(version: OlderVersion, metaUrl: string, path: string): Promise<void> {
  await runOlder(version, ["dump", metaUrl, path]);
}

async function runOlder(version: OlderVersion, args: readonly string[]): Promise<string> {
  try {
    return (await execFileAsync(peerPath(`juicefs-meta-${version}`), args, { maxBuffer: 1 << 26 })).stdout;
  } catch (error) {
    const { stderr = "" } = error as { stderr?: string };
    throw new Error(`juicefs-meta-${version} ${args[0]} failed: ${stderr.slice(-3000)}`, { cause: error });
  }
}
