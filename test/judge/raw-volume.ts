/**
 * The raw records of a JuiceFS volume as an engine holds them, in a form that knows no engine. A reader (`read-sqlite.ts`) fills it and
 * checks nothing but that the values can be read; the checker (`check.ts`) does the rest. 64-bit numbers are bigints: inodes of the trash
 * are above 2^53.
 */
export interface RawVolume {
  /** The text of the setting, or null where there is none. */
  readonly setting: string | null;
  /** Counters by their name of §1.4, nextInode and nextChunk as "next free" whatever the engine stores. */
  readonly counters: ReadonlyMap<string, bigint>;
  /** The counters whose absence is a defect on this engine; elsewhere an absent counter is 0. */
  readonly requiredCounters: readonly string[];
  readonly nodes: readonly RawNode[];
  readonly edges: readonly RawEdge[];
  /** Parents records of engines that have them, else null. */
  readonly parents: readonly RawParent[] | null;
  readonly chunks: readonly RawChunk[];
  /** Reference counts as the real number of references (engines that store one less are read as one more). */
  readonly sliceRefs: readonly RawSliceRef[];
  /** True where the engine stores a count for every slice, false where an absent one means 1. */
  readonly sliceRefsComplete: boolean;
  readonly delayedSlices: readonly RawDelayedSlices[];
  readonly symlinks: readonly RawSymlink[];
  readonly xattrs: readonly RawXattr[];
  readonly acls: readonly RawAcl[];
  /** The id the next ACL rule gets, where the engine keeps it in a counter or sequence; else null. */
  readonly nextAclId: bigint | null;
  readonly dirStats: readonly RawDirStat[];
  readonly quotas: readonly RawQuota[];
  readonly deletedFiles: readonly RawDeletedFile[];
  readonly sustained: readonly RawSustained[];
  readonly detached: readonly RawDetached[];
  readonly sessions: readonly RawSession[];
  readonly locks: readonly RawLock[];
}

/** A node. The parent is null where the engine stores none (very old records). */
export interface RawNode {
  readonly inode: bigint;
  readonly type: number;
  readonly flags: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly atime: RawTime;
  readonly mtime: RawTime;
  readonly ctime: RawTime;
  readonly nlink: number;
  readonly length: bigint;
  readonly rdev: number;
  readonly parent: bigint | null;
  readonly accessAcl: number;
  readonly defaultAcl: number;
  readonly tier: number;
}

/** Seconds since 1970 and nanoseconds within the second, as stored (nanoseconds may be out of range in a damaged record). */
export interface RawTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

export interface RawEdge {
  readonly parent: bigint;
  readonly name: Uint8Array;
  readonly inode: bigint;
  readonly type: number;
}

export interface RawParent {
  readonly inode: bigint;
  readonly parent: bigint;
  readonly count: bigint;
}

/** A chunk with its slice records as stored: 24 bytes each, big-endian `pos u32, id u64, size u32, off u32, len u32`. */
export interface RawChunk {
  readonly inode: bigint;
  readonly index: bigint;
  readonly slices: Uint8Array;
}

export interface RawSliceRef {
  readonly id: bigint;
  readonly size: bigint;
  readonly refs: bigint;
}

/** Delayed slices: 12 bytes each, big-endian `id u64, size u32`. The key names the record for a person. */
export interface RawDelayedSlices {
  readonly key: string;
  readonly slices: Uint8Array;
}

export interface RawSymlink {
  readonly inode: bigint;
  readonly target: Uint8Array;
}

export interface RawXattr {
  readonly inode: bigint;
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

/** An ACL rule; 0xffff is "not set" for owner, group, mask and other. */
export interface RawAcl {
  readonly id: number;
  readonly owner: number;
  readonly group: number;
  readonly mask: number;
  readonly other: number;
  readonly users: readonly RawAclEntry[];
  readonly groups: readonly RawAclEntry[];
}

export interface RawAclEntry {
  readonly id: number;
  readonly permissions: number;
}

export interface RawDirStat {
  readonly inode: bigint;
  readonly length: bigint;
  readonly space: bigint;
  readonly inodes: bigint;
}

export interface RawQuota {
  readonly kind: "directory" | "user" | "group";
  readonly key: bigint;
  readonly maxSpace: bigint;
  readonly maxInodes: bigint;
  readonly usedSpace: bigint;
  readonly usedInodes: bigint;
}

export interface RawDeletedFile {
  readonly inode: bigint;
  readonly length: bigint;
}

export interface RawSustained {
  readonly session: bigint;
  readonly inode: bigint;
}

export interface RawDetached {
  readonly inode: bigint;
}

/** A session. The information is null for the legacy kind or where the engine holds none. */
export interface RawSession {
  readonly id: bigint;
  readonly info: string | null;
}

/** A lock: `type` is `R` or `W` for a flock; `records` are 24 bytes each for a plock. */
export interface RawLock {
  readonly kind: "flock" | "plock";
  readonly inode: bigint;
  readonly session: bigint;
  readonly type: string | null;
  readonly records: Uint8Array | null;
}

export const ROOT_INODE = 1n;
export const TRASH_INODE = 0x7fff_ffff_1000_0000n;
export const CHUNK_BYTES = 64 * 1024 * 1024;
export const SLICE_RECORD_BYTES = 24;
export const DELAYED_RECORD_BYTES = 12;

export const TYPE_REGULAR = 1;
export const TYPE_DIRECTORY = 2;
export const TYPE_SYMLINK = 3;
export const TYPE_BLOCK_DEVICE = 5;
export const TYPE_CHARACTER_DEVICE = 6;

const PAGE = 4096n;

/** The space a node of this length takes: a whole number of 4 KiB, at least one (§1.1 `align4K`). */
export function alignedSpace(length: bigint): bigint {
  return length === 0n ? PAGE : ((length + PAGE - 1n) / PAGE) * PAGE;
}
