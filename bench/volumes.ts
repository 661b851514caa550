import { copyFileSync, createReadStream, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";
import { generatorVersion, writeVolume, type VolumeSummary } from "./generate/volume.ts";
import { cacheFolder, peerPath } from "../test/peers/peers.ts";
import { runMeasured } from "./measure.ts";

const defaultSeed = 1;

/**
 * The path of a SQLite database with a volume of `files` files, loaded by the real JuiceFS; made when it is not in the cache yet
 * (minutes for a million files, most of an hour for ten). Never write to it: `copyVolume` makes a copy to change.
 */
export async function benchVolume(files: number, seed = defaultSeed): Promise<string> {
  const folder = join(cacheFolder(), "bench");
  const path = join(folder, `volume-${files}-seed${seed}-v${generatorVersion}.db`);
  if (existsSync(path)) {
    return path;
  }
  mkdirSync(folder, { recursive: true });
  const dump = `${path}.${process.pid}.bin.tmp`;
  const database = `${path}.${process.pid}.tmp`;
  try {
    const summary = await writeDump(dump, files, seed);
    await loadDump(dump, database);
    checkLoaded(database, summary);
    renameSync(database, path);
  } finally {
    for (const leftover of [dump, database, `${database}-wal`, `${database}-shm`]) {
      rmSync(leftover, { force: true });
    }
  }
  return path;
}

/** Writes the volume of `files` files as a JuiceFS binary dump, for loading it into any engine. */
async function writeDump(path: string, files: number, seed = defaultSeed): Promise<VolumeSummary> {
  const summary = writeVolume(path, { files, seed, name: `bench${files}`, bucket: "/var/lib/cairn-bench/" });
  process.stderr.write(`generated ${path}: ${JSON.stringify(summary)}\n`);
  return summary;
}

/** A copy of a volume's database, for a benchmark that changes it. */
export function copyVolume(from: string, to: string): void {
  for (const old of [to, `${to}-wal`, `${to}-shm`]) {
    rmSync(old, { force: true });
  }
  copyFileSync(from, to);
}

/** Reads a file once, so that it is in the page cache. */
export async function warm(path: string): Promise<void> {
  for await (const piece of createReadStream(path, { highWaterMark: 4 << 20 })) {
    void piece;
  }
}

async function loadDump(dump: string, database: string): Promise<void> {
  const load = await runMeasured(peerPath("juicefs-1.4"), ["load", "--binary", `sqlite3://${database}`, dump]);
  process.stderr.write(
    `loaded ${database}: ${(load.wallMs / 1000).toFixed(1)} s, peak RSS ${Math.round(load.rssKiB / 1024)} MiB\n`,
  );
}

/** A load that failed halfway may report success (reference of `LoadMetaV2`): so count, and put the log into the database. */
function checkLoaded(path: string, summary: VolumeSummary): void {
  const database = new DatabaseSync(path);
  try {
    const tables = {
      node: "node",
      edge: "edge",
      chunk: "chunk",
      symlink: "symlink",
      xattr: "xattr",
      stat: "dir_stats",
    };
    for (const [segment, table] of Object.entries(tables)) {
      const counted = Number(database.prepare(`SELECT count(*) AS n FROM jfs_${table}`).get()?.["n"]);
      if (counted !== summary.records[segment]) {
        throw new Error(`the loaded volume has ${counted} rows in jfs_${table} instead of ${summary.records[segment]}`);
      }
    }
    const slices = Number(database.prepare("SELECT count(*) AS n FROM jfs_chunk_ref").get()?.["n"]);
    if (slices !== summary.slices) {
      throw new Error(`the loaded volume has ${slices} rows in jfs_chunk_ref instead of ${summary.slices}`);
    }
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  } finally {
    database.close();
  }
  if (existsSync(`${path}-wal`)) {
    throw new Error(`${path} still has a write-ahead log: another process has it open`);
  }
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { files: { type: "string", default: "100000" }, seed: { type: "string" } } });
  console.log(await benchVolume(Number(values.files), Number(values.seed ?? defaultSeed)));
}
