import { chunkBytes, openSlices, type Extents } from "./slices.ts";
import {
  attributeBytes,
  openDumpWriter,
  writeAttributes,
  type Attributes,
  type DumpSummary,
  type DumpWriter,
} from "./dump-writer.ts";
import { drawSize, drawMode } from "./files.ts";
import { directoryName, openNamer, uuid } from "./names.ts";
import { openNumbers, type Numbers } from "./numbers.ts";
import { openRandom, type Random } from "./random.ts";
import { clients, planTree, type Tree } from "./tree.ts";

/** Changes whenever other bytes come out for the same options: cached volumes carry it in their name. */
export const generatorVersion = 1;

export interface VolumeOptions {
  /** Regular files and symlinks together. */
  files: number;
  seed: number;
  name: string;
  /** The folder that the volume's setting names as its bucket; nothing is written there. */
  bucket: string;
}

export interface VolumeSummary extends DumpSummary {
  uuid: string;
  directories: number;
  depth: number;
  largestDirectory: number;
  symlinks: number;
  hardLinks: number;
  clones: number;
  multiSliceFiles: number;
  slices: number;
}

const rootInode = 1;
const trashInode = 0x7fff_ffff * 0x1_0000_0000 + 0x1000_0000;
const directoryBytes = 4096;
const types = { file: 1, directory: 2, symlink: 3 };

const firstDay = Date.UTC(2023, 0, 2) / 1000;
const lifeSeconds = 3 * 365 * 86_400;

const symlinkShare = 0.01;
const xattrShare = 0.02;
const multiSliceShare = 0.07;
const hardLinkShare = 0.0005;
const cloneShare = 0.003;

/**
 * Writes a made-up but realistic volume as a JuiceFS binary dump, directory by directory in the order of their creation.
 * The same options give the same bytes. Memory: a few dozen bytes per directory and the names of one directory.
 */
export function writeVolume(path: string, options: VolumeOptions): VolumeSummary {
  const tree = planTree(options.files, options.seed);
  const random = openRandom(options.seed, "files");
  const dump = openDumpWriter(path);
  const id = uuid(openRandom(options.seed, "uuid"));
  dump.format(setting(options, id));

  const inodes = openNumbers(2, 1024);
  const slices = openSlices(openNumbers(1, 4096), random);
  const volume: Writing = {
    tree,
    random,
    dump,
    inodes,
    slices,
    directoryInode: new Float64Array(tree.count),
    attributes: Buffer.alloc(attributeBytes),
    usedSpace: 0,
    totalInodes: 0,
    symlinks: 0,
    hardLinks: 0,
    clones: 0,
    multiSliceFiles: 0,
  };
  for (let directory = 0; directory < tree.count; directory++) {
    writeDirectory(volume, directory);
  }
  writeTrash(volume);

  dump.counter("usedSpace", volume.usedSpace);
  dump.counter("totalInodes", volume.totalInodes);
  dump.counter("nextInode", inodes.end());
  dump.counter("nextChunk", slices.end());
  dump.counter("nextSession", clients);
  dump.counter("nextTrash", 0);
  dump.counter("nextCleanupSlices", 0);
  return {
    ...dump.close(),
    uuid: id,
    directories: tree.count,
    depth: tree.depth.reduce((most, depth) => Math.max(most, depth), 0),
    largestDirectory: tree.files.reduce((most, files) => Math.max(most, files), 0),
    symlinks: volume.symlinks,
    hardLinks: volume.hardLinks,
    clones: volume.clones,
    multiSliceFiles: volume.multiSliceFiles,
    slices: slices.count(),
  };
}

interface Writing {
  tree: Tree;
  random: Random;
  dump: DumpWriter;
  inodes: Numbers;
  slices: ReturnType<typeof openSlices>;
  directoryInode: Float64Array;
  attributes: Buffer;
  usedSpace: number;
  totalInodes: number;
  symlinks: number;
  hardLinks: number;
  clones: number;
  multiSliceFiles: number;
}

/** How the files of one directory came to be. */
interface Habits {
  uid: number;
  gid: number;
  /** Seconds between two files, on average. */
  pace: number;
  /** 0, or the time from which older modification times were copied along (an archive was unpacked). */
  importedFrom: number;
  wholeSeconds: boolean;
}

function writeDirectory(volume: Writing, directory: number): void {
  const { tree, random, dump } = volume;
  const client = tree.client[directory];
  const inode = directory === 0 ? rootInode : volume.inodes.next(client);
  const parent = directory === 0 ? rootInode : volume.directoryInode[tree.parent[directory]];
  volume.directoryInode[directory] = inode;
  if (directory > 0) {
    const name = directoryName(tree.style[tree.parent[directory]], tree.parent[directory], tree.rank[directory]);
    dump.edge(parent, inode, name, types.directory);
    volume.usedSpace += directoryBytes;
    volume.totalInodes++;
  }
  const bornAt = firstDay + Math.floor((directory / tree.count) * lifeSeconds) + random.below(20_000);
  const habits = drawHabits(tree, directory, bornAt, random);
  const mode = directory === 0 ? 0o777 : random.pick([0o755, 0o755, 0o755, 0o755, 0o775, 0o775, 0o750, 0o700, 0o2775]);
  const content = writeFiles(volume, directory, inode, bornAt, habits);

  const born = stamp(bornAt + random.unit());
  const changed = stamp(Math.max(content.lastChange, bornAt + 1 + random.unit()));
  writeNode(volume, inode, {
    type: types.directory,
    mode,
    uid: directory === 0 ? 0 : habits.uid,
    gid: directory === 0 ? 0 : habits.gid,
    atime: born.seconds,
    atimeNs: born.ns,
    mtime: changed.seconds,
    mtimeNs: changed.ns,
    ctime: changed.seconds,
    ctimeNs: changed.ns,
    nlink: 2 + tree.subdirectories[directory],
    length: directoryBytes,
    parent,
  });
  const children = tree.subdirectories[directory];
  dump.dirStat(inode, content.length, content.space + children * directoryBytes, content.entries + children);
}

function drawHabits(tree: Tree, directory: number, bornAt: number, random: Random): Habits {
  const project = tree.project[directory];
  const imported = random.chance(0.35);
  // Filled over days, or at once.
  const pace = random.chance(0.2) ? random.logNormal(20_000, 1.5) : random.logNormal(0.08, 1.5);
  return {
    uid: random.chance(0.03) ? 0 : 1000 + ((project * 7 + random.below(3)) % 41),
    gid: random.chance(0.03) ? 0 : 1000 + (project % 13),
    pace: Math.min(pace, (firstDay + lifeSeconds + 86_400 - bornAt) / (tree.files[directory] + 1)),
    importedFrom: imported ? bornAt - 86_400 - random.below(6 * 365 * 86_400) : 0,
    wholeSeconds: imported && random.chance(0.5),
  };
}

interface Content {
  length: number;
  space: number;
  entries: number;
  lastChange: number;
}

function writeFiles(volume: Writing, directory: number, inode: number, bornAt: number, habits: Habits): Content {
  const { tree, random, dump } = volume;
  const client = tree.client[directory];
  const style = tree.style[directory];
  const nextName = openNamer(style, habits.importedFrom || bornAt, tree.files[directory], random);
  const content: Content = { length: 0, space: 0, entries: 0, lastChange: 0 };
  const node = newAttributes(inode);
  let time = bornAt + random.unit();
  for (let left = tree.files[directory]; left > 0; left--) {
    const file = volume.inodes.next(client);
    const name = nextName();
    time += random.exponential(habits.pace);
    setTimes(node, time, habits, random);
    node.uid = random.chance(0.02) ? 0 : habits.uid;
    node.gid = habits.gid;
    node.nlink = 1;
    node.parent = inode;
    volume.totalInodes++;
    content.entries++;
    if (random.chance(symlinkShare)) {
      const target = symlinkTarget(name, random);
      setType(node, types.symlink, 0o777, Buffer.byteLength(target));
      dump.symlink(file, target);
      writeNode(volume, file, node);
      dump.edge(inode, file, name, types.symlink);
      volume.symlinks++;
      content.space += directoryBytes;
      volume.usedSpace += directoryBytes;
      continue;
    }
    const clonable = volume.slices.clonable();
    const clone = clonable !== undefined && random.chance(cloneShare);
    const length = clone ? clonable.length : drawSize(style, random);
    setType(node, types.file, drawMode(style, random), length);
    const hardLinked = random.chance(hardLinkShare);
    if (hardLinked) {
      // The second name of a hard link is in the same directory; such a node names no parent (reference of `Attr.Parent`).
      dump.edge(inode, file, nextName(), types.file);
      dump.parent(file, inode, 2);
      node.nlink = 2;
      node.parent = 0;
      volume.hardLinks++;
    }
    writeNode(volume, file, node);
    dump.edge(inode, file, name, types.file);
    writeData(volume, client, file, length, clone ? clonable : undefined);
    if (random.chance(xattrShare)) {
      writeXattrs(dump, file, random);
    }
    const names = hardLinked ? 2 : 1;
    const space = align4K(length);
    content.length += names * length;
    content.space += names * space;
    content.entries += names - 1;
    volume.usedSpace += space;
    content.lastChange = node.ctime + node.ctimeNs / 1e9;
  }
  return content;
}

function writeData(
  volume: Writing,
  client: number,
  inode: number,
  length: number,
  clonable: Extents | undefined,
): void {
  const { slices, dump, random } = volume;
  if (clonable !== undefined) {
    dump.chunk(inode, 0, clonable.slices, clonable.bytes);
    dump.sliceRef(clonable.id, clonable.size, 2);
    slices.forgetClonable();
    volume.clones++;
    return;
  }
  if (length === 0) {
    return;
  }
  const multi = random.chance(multiSliceShare);
  volume.multiSliceFiles += multi ? 1 : 0;
  for (let index = 0; index * chunkBytes < length; index++) {
    const chunkLength = Math.min(chunkBytes, length - index * chunkBytes);
    const bytes = slices.fill(client, chunkLength, multi, length);
    dump.chunk(inode, index, slices.buffer, bytes);
  }
}

function newAttributes(parent: number): Attributes {
  return {
    type: types.file,
    mode: 0,
    uid: 0,
    gid: 0,
    atime: 0,
    atimeNs: 0,
    mtime: 0,
    mtimeNs: 0,
    ctime: 0,
    ctimeNs: 0,
    nlink: 1,
    length: 0,
    parent,
  };
}

function setType(node: Attributes, type: number, mode: number, length: number): void {
  node.type = type;
  node.mode = mode;
  node.length = length;
}

/** Created at `time`, data written and flushed a moment later; an unpacked file has the modification time of its original. */
function setTimes(node: Attributes, time: number, habits: Habits, random: Random): void {
  const written = time + random.exponential(0.03);
  node.atime = Math.floor(time);
  node.atimeNs = nanoseconds(time, random);
  node.ctime = Math.floor(written);
  node.ctimeNs = nanoseconds(written, random);
  node.mtime = node.ctime;
  node.mtimeNs = node.ctimeNs;
  if (habits.importedFrom > 0) {
    node.mtime = habits.importedFrom + Math.floor(random.exponential(3_600));
    node.mtimeNs = habits.wholeSeconds ? 0 : nanoseconds(random.unit(), random);
    node.atime = node.mtime;
    node.atimeNs = node.mtimeNs;
  } else if (random.chance(0.1)) {
    // Read again, much later.
    node.atime += random.below(120 * 86_400);
    node.atimeNs = random.below(1_000_000_000);
  }
}

// A double holds unix times to a quarter of a microsecond: the digits below come from the generator.
function nanoseconds(time: number, random: Random): number {
  return Math.floor((time % 1) * 1_000_000) * 1_000 + random.below(1_000);
}

function stamp(time: number): { seconds: number; ns: number } {
  const seconds = Math.floor(time);
  return { seconds, ns: Math.min(999_999_999, Math.floor((time - seconds) * 1e9)) };
}

function writeNode(volume: Writing, inode: number, node: Attributes): void {
  writeAttributes(volume.attributes, node);
  volume.dump.node(inode, volume.attributes);
}

/** `juicefs format` makes the trash's root when TrashDays is above 0; it is in neither counter. */
function writeTrash(volume: Writing): void {
  const node = newAttributes(rootInode);
  setType(node, types.directory, 0o555, directoryBytes);
  node.nlink = 2;
  node.atime = firstDay;
  node.mtime = firstDay;
  node.ctime = firstDay;
  writeNode(volume, trashInode, node);
}

function symlinkTarget(name: string, random: Random): string {
  switch (random.below(4)) {
    case 0:
      return `../${random.hex(2)}/${name}`;
    case 1:
      return `/data/shared/releases/${2019 + random.below(7)}.${1 + random.below(12)}/${name}`;
    case 2:
      return "../".repeat(1 + random.below(4)) + `lib/${name}.so.${random.below(9)}`;
    default:
      return `${name}.${random.below(20)}`;
  }
}

const mimeTypes = [
  "image/jpeg",
  "application/pdf",
  "text/plain; charset=utf-8",
  "application/octet-stream",
  "video/quicktime",
];
const sha256 = Buffer.alloc(32);
const dosAttributes = Buffer.alloc(56);

function writeXattrs(dump: DumpWriter, inode: number, random: Random): void {
  const kind = random.below(10);
  if (kind < 5) {
    random.fill(sha256);
    dump.xattr(inode, "user.checksum.sha256", sha256);
  }
  if (kind > 3) {
    dump.xattr(inode, "user.mime_type", Buffer.from(random.pick(mimeTypes)));
  }
  if (kind === 7) {
    dump.xattr(
      inode,
      "user.xdg.origin.url",
      Buffer.from(`https://files.example.org/${random.hex(6)}/download?part=${random.below(500)}`),
    );
  }
  if (kind === 8) {
    random.fill(dosAttributes.subarray(12, 28));
    dump.xattr(inode, "user.DOSATTRIB", dosAttributes);
  }
  if (kind === 9) {
    dump.xattr(inode, "security.selinux", Buffer.from("system_u:object_r:user_home_t:s0\0"));
  }
}

function align4K(length: number): number {
  return length === 0 ? 4096 : Math.ceil(length / 4096) * 4096;
}

/** The setting as `juicefs format` writes it: these fields, in this order, a line each. */
function setting(options: VolumeOptions, id: string): string {
  const fields = {
    Name: options.name,
    UUID: id,
    Storage: "file",
    Tiers: { 0: { ID: 0, StorageClass: "", Tag: "" } },
    Bucket: options.bucket,
    BlockSize: 4096,
    Compression: "none",
    EncryptAlgo: "aes256gcm-rsa",
    TrashDays: 1,
    MetaVersion: 1,
    MinClientVersion: "1.1.0-A",
    DirStats: true,
    EnableACL: false,
  };
  return JSON.stringify(fields, undefined, 1).replaceAll(/\n +/g, "\n");
}
