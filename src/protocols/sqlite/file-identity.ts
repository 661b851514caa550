import { fstatSync, statSync } from "node:fs";
import type { BigIntStats } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { systemClock } from "../../std/clock.ts";

/** What changes when a file is written or replaced. */
export interface FileIdentity {
  readonly device: bigint;
  readonly inode: bigint;
  readonly bytes: bigint;
  readonly modifiedNs: bigint;
  readonly changedNs: bigint;
}

/** A file's identity now, by descriptor. */
export function identityOfDescriptor(fd: number): FileIdentity {
  return identityOf(fstatSync(fd, { bigint: true }));
}

/** A file's identity now, by path; `undefined` where there is none. */
export function identityOfPath(path: string): FileIdentity | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? undefined : identityOf(stats);
}

export function sameFile(first: FileIdentity, second: FileIdentity | undefined): boolean {
  return second !== undefined && first.device === second.device && first.inode === second.inode;
}

/** Same file, neither written nor touched in between. Only for an identity that was taken by `settledIdentity`. */
export function sameState(first: FileIdentity, second: FileIdentity | undefined): boolean {
  return (
    second !== undefined &&
    sameFile(first, second) &&
    first.bytes === second.bytes &&
    first.modifiedNs === second.modifiedNs &&
    first.changedNs === second.changedNs
  );
}

/** Coarser than any kernel's clock tick, by which file times may stand still; whole seconds for file systems that keep no more. */
const tickMs = 50;
const coarseTickMs = 2000;

/**
 * A file's identity, once its last change is so long ago that the next one must get another time: without that, a write right
 * after the look would go unnoticed.
 */
export async function settledIdentity(fd: number, signal: AbortSignal | undefined): Promise<FileIdentity> {
  for (;;) {
    const identity = identityOfDescriptor(fd);
    const latestNs = identity.modifiedNs > identity.changedNs ? identity.modifiedNs : identity.changedNs;
    const tick =
      identity.modifiedNs % 1_000_000_000n === 0n && identity.changedNs % 1_000_000_000n === 0n ? coarseTickMs : tickMs;
    const ageMs = systemClock.now() - Number(latestNs / 1_000_000n);
    // A time in the future says nothing about when; such a file is taken as it is.
    if (ageMs >= tick || ageMs < -coarseTickMs) return identity;
    await sleep(Math.max(1, tick - Math.max(0, ageMs)), undefined, signal === undefined ? {} : { signal });
  }
}

function identityOf(stats: BigIntStats): FileIdentity {
  return {
    device: stats.dev,
    inode: stats.ino,
    bytes: stats.size,
    modifiedNs: stats.mtimeNs,
    changedNs: stats.ctimeNs,
  };
}
