import { DatabaseSync, type StatementSync } from "node:sqlite";
import { parseArgs } from "node:util";
import { sliceBytes, writeSlice } from "./generate/dump-writer.ts";
import { drawSize } from "./generate/files.ts";
import { openRandom, type Random } from "./generate/random.ts";
import { chunkBytes } from "./generate/slices.ts";

export interface MutateOptions {
  /** Files whose attributes change: a share below 1, or a number of files. */
  change: number;
  /** Files that are added in random directories: a share below 1, or a number of files. */
  add: number;
  seed: number;
}

export interface MutateSummary {
  changed: number;
  added: number;
  /** Directories that got new files: their times and statistics changed too. */
  directories: number;
}

/**
 * Changes a JuiceFS volume in a SQLite database as its clients would have: touches or chmods files, adds files with their data,
 * and keeps counters, directory statistics and slice references right. One transaction; the same seed makes the same changes.
 */
export function mutateVolume(path: string, options: MutateOptions): MutateSummary {
  const database = new DatabaseSync(path);
  try {
    database.exec("PRAGMA synchronous = OFF; PRAGMA cache_size = -65536; BEGIN IMMEDIATE");
    const volume = readVolume(database, options.seed);
    const changed = changeFiles(volume, amount(options.change, volume.files));
    const { added, directories } = addFiles(volume, amount(options.add, volume.files));
    database.exec("COMMIT");
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    return { changed, added, directories };
  } finally {
    database.close();
  }
}

interface Volume {
  database: DatabaseSync;
  random: Random;
  files: number;
  nextInode: number;
  nextChunk: number;
  /** Unix microseconds: right after the newest change in the volume. */
  nowUs: number;
}

// Trash directories have inode numbers above 2^53, which node:sqlite refuses to give as a number.
const ordinary = "inode < 9007199254740992";

function readVolume(database: DatabaseSync, seed: number): Volume {
  const files = number(database.prepare(`SELECT count(*) AS value FROM jfs_node WHERE type = 1`));
  const newest = number(database.prepare(`SELECT max(ctime) AS value FROM jfs_node`));
  return {
    database,
    random: openRandom(seed, "mutate"),
    files,
    nextInode: counter(database, "nextInode"),
    nextChunk: counter(database, "nextChunk"),
    nowUs: newest + 60_000_000,
  };
}

/** Four of five are written to (modification and change time), one of five gets another mode (change time). */
function changeFiles(volume: Volume, count: number): number {
  const { database, random } = volume;
  const find = database.prepare(`SELECT mode FROM jfs_node WHERE inode = ? AND type = 1`);
  const touch = database.prepare(
    `UPDATE jfs_node SET mtime = ?1, mtimensec = ?2, ctime = ?1, ctimensec = ?2 WHERE inode = ?3`,
  );
  const chmod = database.prepare(`UPDATE jfs_node SET mode = ?4, ctime = ?1, ctimensec = ?2 WHERE inode = ?3`);
  const done = new Set<number>();
  while (done.size < count) {
    const inode = 1 + random.below(volume.nextInode - 1);
    const found = done.has(inode) ? undefined : find.get(inode);
    if (found === undefined) {
      continue;
    }
    done.add(inode);
    const timeUs = tick(volume);
    if (random.chance(0.2)) {
      chmod.run(timeUs, random.below(1000), inode, Number(found["mode"]) ^ random.pick([0o20, 0o4, 0o100]));
    } else {
      touch.run(timeUs, random.below(1000), inode);
    }
  }
  return done.size;
}

function addFiles(volume: Volume, count: number): { added: number; directories: number } {
  const { database, random } = volume;
  const directories = database
    .prepare(`SELECT inode FROM jfs_node WHERE type = 2 AND ${ordinary} ORDER BY inode`)
    .all()
    .map((row) => Number(row["inode"]));
  const owner = database.prepare("SELECT uid, gid FROM jfs_node WHERE inode = ?");
  const insertNode = database.prepare(
    `INSERT INTO jfs_node (inode, type, flags, mode, uid, gid, atime, mtime, ctime, atimensec, mtimensec, ctimensec,
       nlink, length, rdev, parent, access_acl_id, default_acl_id, tier_id)
     VALUES (?1, 1, 0, 420, ?2, ?3, ?4, ?4, ?4, ?5, ?5, ?5, 1, ?6, 0, ?7, 0, 0, 0)`,
  );
  const insertEdge = database.prepare("INSERT INTO jfs_edge (parent, name, inode, type) VALUES (?, ?, ?, 1)");
  const touchParent = database.prepare(
    `UPDATE jfs_node SET mtime = ?1, mtimensec = ?2, ctime = ?1, ctimensec = ?2 WHERE inode = ?3`,
  );
  const addStat = database.prepare(
    `UPDATE jfs_dir_stats SET data_length = data_length + ?, used_space = used_space + ?, used_inodes = used_inodes + 1
     WHERE inode = ?`,
  );
  const data = openData(volume);
  const touched = new Set<number>();
  let usedSpace = 0;
  let inode = volume.nextInode;
  for (let left = count; left > 0; left--, inode++) {
    const parent = random.pick(directories);
    const { uid, gid } = owner.get(parent) as { uid: number; gid: number };
    const timeUs = tick(volume);
    const ns = random.below(1000);
    const length = drawSize(random.pick(["words", "source", "logs", "hash"]), random);
    const space = length === 0 ? 4096 : Math.ceil(length / 4096) * 4096;
    insertNode.run(inode, uid, gid, timeUs, ns, length, parent);
    insertEdge.run(parent, Buffer.from(newName(inode, random)), inode);
    touchParent.run(timeUs, ns, parent);
    addStat.run(length, space, parent);
    data.write(inode, length);
    touched.add(parent);
    usedSpace += space;
  }
  addToCounter(database, "usedSpace", usedSpace);
  addToCounter(database, "totalInodes", count);
  // Clients take inode numbers by 1024 and slice numbers by 4096.
  addToCounter(database, "nextInode", Math.ceil(count / 1024) * 1024);
  addToCounter(database, "nextChunk", Math.ceil((data.nextId() - volume.nextChunk) / 4096) * 4096);
  return { added: count, directories: touched.size };
}

function openData(volume: Volume): { write(inode: number, length: number): void; nextId(): number } {
  const insertChunk = volume.database.prepare("INSERT INTO jfs_chunk (inode, indx, slices) VALUES (?, ?, ?)");
  const insertRef = volume.database.prepare("INSERT INTO jfs_chunk_ref (chunkid, size, refs) VALUES (?, ?, 1)");
  let id = volume.nextChunk;
  return {
    write(inode, length) {
      for (let index = 0; index * chunkBytes < length; index++, id++) {
        const size = Math.min(chunkBytes, length - index * chunkBytes);
        const slice = Buffer.alloc(sliceBytes);
        writeSlice(slice, 0, 0, id, size, 0, size);
        insertChunk.run(inode, index, slice);
        insertRef.run(id, size);
      }
    },
    nextId: () => id,
  };
}

// The inode number makes it unlike every name of the generator and of earlier changes.
function newName(inode: number, random: Random): string {
  const stem = random.pick(["report", "upload", "capture", "export", "draft", "новый файл", "scan"]);
  return `${stem}-${random.hex(3)}-${inode}.${random.pick(["pdf", "json", "log", "dat", "txt"])}`;
}

function tick(volume: Volume): number {
  volume.nowUs += 1 + volume.random.below(2_000_000);
  return volume.nowUs;
}

function amount(shareOrCount: number, files: number): number {
  return shareOrCount < 1 ? Math.round(shareOrCount * files) : Math.min(shareOrCount, files);
}

function counter(database: DatabaseSync, name: string): number {
  return number(database.prepare(`SELECT value FROM jfs_counter WHERE name = '${name}'`));
}

function addToCounter(database: DatabaseSync, name: string, value: number): void {
  database.prepare("UPDATE jfs_counter SET value = value + ? WHERE name = ?").run(value, name);
}

function number(statement: StatementSync): number {
  return Number(statement.get()?.["value"]);
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      change: { type: "string", default: "0.01" },
      new: { type: "string", default: "0.01" },
      seed: { type: "string", default: "1" },
    },
  });
  if (positionals.length !== 1) {
    console.error("usage: bench/mutate.ts DATABASE [--change SHARE|NUMBER] [--new SHARE|NUMBER] [--seed S]");
    process.exit(2);
  }
  const summary = mutateVolume(positionals[0], {
    change: Number(values.change),
    add: Number(values.new),
    seed: Number(values.seed),
  });
  console.log(JSON.stringify(summary));
}
