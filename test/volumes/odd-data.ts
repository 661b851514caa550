import {
  appendFileSync,
  closeSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { pathOf, type OddBench } from "./odd-bench.ts";
import { fallocateModes } from "./syscalls.ts";

const mib = 1024 * 1024;
const chunkBytes = 64 * mib;

/** Files whose chunk records are unusual: overwritten, cut, grown, sparse, of many chunks, of many slices, with holes. */
export async function makeOddData(bench: OddBench): Promise<void> {
  const { random, syscalls } = bench;
  const top = pathOf(bench.mountpoint, "data");
  mkdirSync(top);
  const path = (name: string) => pathOf(top, name);

  writeFileSync(path("empty"), "");
  writeFileSync(path("one-byte"), "x");
  writeFileSync(path("page"), random.bytes(4096));
  writeFileSync(path("page-and-one"), random.bytes(4097));
  writeFileSync(path("block"), random.bytes(4 * mib));
  writeFileSync(path("block-and-one"), random.bytes(4 * mib + 1));

  writeFileSync(path("appended"), "first\n");
  for (let index = 0; index < 20; index += 1) appendFileSync(path("appended"), random.bytes(1 + random.below(5000)));

  writeFileSync(path("overwritten"), random.bytes(200_000));
  writeEach(path("overwritten"), [0, 50_000, 50_100, 199_999, 120_000], (at) => ({ at, data: random.bytes(3000) }));

  writeFileSync(path("cut"), random.bytes(300_000));
  truncateSync(path("cut"), 100_001);
  writeFileSync(path("cut-to-nothing"), random.bytes(10_000));
  truncateSync(path("cut-to-nothing"), 0);
  writeFileSync(path("cut-and-regrown"), random.bytes(300_000));
  truncateSync(path("cut-and-regrown"), 1000);
  truncateSync(path("cut-and-regrown"), 500_000);
  writeFileSync(path("grown"), "");
  truncateSync(path("grown"), 200 * mib + 17);
  if (bench.size === "full") {
    writeFileSync(path("huge-and-empty"), "");
    truncateSync(path("huge-and-empty"), 2 ** 40 + 1);
  }

  writeEach(path("sparse"), [10 * mib, 30 * mib, 70 * mib, 300 * mib + 5], (at) => ({ at, data: random.bytes(5000) }));
  const chunkCount = bench.size === "full" ? 300 : 20;
  const everyChunk = Array.from({ length: chunkCount }, (_, index) => index * chunkBytes + (index % 7) * 1000);
  writeEach(path("many-chunks"), everyChunk, (at) => ({ at, data: random.bytes(100) }));
  // A write over a chunk border becomes two slices.
  writeEach(path("over-the-border"), [chunkBytes - 500, 2 * chunkBytes - 1], (at) => ({
    at,
    data: random.bytes(1000),
  }));

  // 95 slices stay as they are: JuiceFS compacts a chunk by itself at the 99th. The other file goes far beyond.
  const scattered = (count: number) => Array.from({ length: count }, () => random.below(2 * mib));
  writeEach(path("many-slices"), scattered(bench.size === "full" ? 95 : 30), slicedWrite, true);
  writeEach(path("very-many-slices"), scattered(bench.size === "full" ? 1500 : 120), slicedWrite, true);

  function slicedWrite(at: number) {
    return { at, data: random.bytes(1 + random.below(300)) };
  }

  writeFileSync(path("punched"), random.bytes(mib));
  await syscalls.fallocate(path("punched"), fallocateModes.punchHole | fallocateModes.keepSize, 100_000, 500_000);
  writeFileSync(path("zeroed"), random.bytes(500_000));
  await syscalls.fallocate(path("zeroed"), fallocateModes.zeroRange, 400_000, 200_000);
  await syscalls.fallocate(path("preallocated"), 0, 0, 100 * mib);

  writeFileSync(path("copied-from"), random.bytes(3 * mib));
  await syscalls.copyRange(path("copied-from"), path("copied-into"), 500_000, 0, 2 * mib);
  await syscalls.copyRange(path("copied-from"), path("copied-into"), 0, chunkBytes - mib, 2 * mib);
}

/** Writes pieces through one descriptor; with `flush` each piece becomes a slice of its own. */
export function writeEach(
  path: Buffer,
  offsets: readonly number[],
  piece: (offset: number) => { at: number; data: Buffer },
  flush = false,
): void {
  const file = openSync(path, "a+");
  closeSync(file);
  const fd = openSync(path, "r+");
  try {
    for (const offset of offsets) {
      const { at, data } = piece(offset);
      writeSync(fd, data, 0, data.length, at);
      if (flush) fsyncSync(fd);
    }
    ftruncateSync(fd, Math.max(...offsets) + 100_000);
  } finally {
    closeSync(fd);
  }
}
