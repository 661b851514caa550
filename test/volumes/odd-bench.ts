import type { SeededRandom } from "./seeded-random.ts";
import type { Syscalls } from "./syscalls.ts";

/** How much the odd volume holds: `full` has 10,000 files in one directory and takes about a minute, `small` some seconds. */
export type OddSize = "small" | "full";

/** What the makers of the odd volume work with. */
export interface OddBench {
  /** The mounted volume's root. */
  readonly mountpoint: string;
  readonly size: OddSize;
  /** Leave out what some engine cannot hold (docs/engines/limits.md). */
  readonly portable?: boolean;
  readonly random: SeededRandom;
  readonly syscalls: Syscalls;
}

/** A path as bytes: names may be anything but a slash and a zero byte, so nothing is normalized. */
export function pathOf(...parts: readonly (string | Buffer)[]): Buffer {
  const slash = Buffer.from("/");
  return Buffer.concat(
    parts.flatMap((part, index) => (index === 0 ? [Buffer.from(part)] : [slash, Buffer.from(part)])),
  );
}
