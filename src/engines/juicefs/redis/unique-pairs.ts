import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { releaseBytes } from "../../../std/release.ts";

/**
 * Pairs of a key and a value in any order, some of them several times, each handed out once: of equal keys the last one written. Pairs go to
 * temporary files by the hash of their key, so that memory holds one part of them at a time.
 */
export interface UniquePairs extends Disposable {
  add(key: Uint8Array, value: Uint8Array): void;
  /** After the last `add`. The spans of a pair are valid until the next one is taken; `bytes` holds both. */
  pairs(): Generator<PairSpan, void>;
}

export interface PairSpan {
  readonly bytes: Buffer;
  readonly keyStart: number;
  readonly keyEnd: number;
  /** The value lies between the key's end and this. */
  readonly valueEnd: number;
}

/** Pairs of a part: some 10 MB of short names, and 2 MB for their table. */
const partPairs = 200_000;
const partsMax = 256;
const bufferBytes = 32 << 10;
const headBytes = 8;

interface Part {
  readonly buffer: Buffer;
  used: number;
  pairs: number;
  readonly path: string;
  file: number | undefined;
}

/** `expected` is a guess at the number of pairs: more of them take more memory in `pairs`. */
export function openUniquePairs(temporaryFolder: string, expected: number): UniquePairs {
  const count = Math.min(partsMax, Math.max(1, Math.ceil(expected / partPairs)));
  const folder = mkdtempSync(join(temporaryFolder, "scan-"));
  const parts = Array.from({ length: count }, (_, index): Part => {
    const path = join(folder, String(index));
    return { buffer: Buffer.allocUnsafeSlow(bufferBytes), used: 0, pairs: 0, path, file: undefined };
  });

  function flush(part: Part): void {
    if (part.used === 0) return;
    part.file ??= openSync(part.path, "wx", 0o600);
    writeWhole(part.file, part.buffer.subarray(0, part.used));
    part.used = 0;
  }
  function load(part: Part): Buffer {
    if (part.file === undefined) return part.buffer.subarray(0, part.used);
    flush(part);
    closeSync(part.file);
    part.file = undefined;
    const bytes = readFileSync(part.path);
    rmSync(part.path);
    return bytes;
  }

  return {
    add(key, value) {
      const part = parts[(hashOf(key, 0, key.length) >>> 16) % count];
      const size = headBytes + key.length + value.length;
      if (part.used + size > bufferBytes) flush(part);
      part.pairs++;
      if (size > bufferBytes) {
        part.file ??= openSync(part.path, "wx", 0o600);
        const pair = Buffer.allocUnsafe(size);
        putPair(pair, 0, key, value);
        writeWhole(part.file, pair);
        return;
      }
      putPair(part.buffer, part.used, key, value);
      part.used += size;
    },
    *pairs() {
      for (const part of parts) {
        if (part.pairs === 0) continue;
        const bytes = load(part);
        yield* uniqueOf(bytes, part.pairs);
        // Left to the collector, the parts of a directory of 5 million entries pile up to 200 MB.
        releaseBytes(bytes);
      }
    },
    [Symbol.dispose]() {
      for (const part of parts) if (part.file !== undefined) closeSync(part.file);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function writeWhole(file: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length;) written += writeSync(file, bytes, written, bytes.length - written);
}

function putPair(target: Buffer, at: number, key: Uint8Array, value: Uint8Array): void {
  target.writeUInt32LE(key.length, at);
  target.writeUInt32LE(value.length, at + 4);
  target.set(key, at + headBytes);
  target.set(value, at + headBytes + key.length);
}

function* uniqueOf(bytes: Buffer, pairs: number): Generator<PairSpan, void> {
  const slots = 1 << Math.ceil(Math.log2(Math.max(2, 2 * pairs)));
  // Position of a pair plus one; 0 is a free slot.
  const table = new Float64Array(slots);
  for (let at = 0; at < bytes.length;) {
    const keyStart = at + headBytes;
    const keyEnd = keyStart + bytes.readUInt32LE(at);
    let slot = hashOf(bytes, keyStart, keyEnd) & (slots - 1);
    while (table[slot] !== 0 && !sameKey(bytes, table[slot] - 1, keyStart, keyEnd)) slot = (slot + 1) & (slots - 1);
    table[slot] = at + 1;
    at = keyEnd + bytes.readUInt32LE(at + 4);
  }
  for (const entry of table) {
    if (entry === 0) continue;
    const keyStart = entry - 1 + headBytes;
    const keyEnd = keyStart + bytes.readUInt32LE(entry - 1);
    yield { bytes, keyStart, keyEnd, valueEnd: keyEnd + bytes.readUInt32LE(entry - 1 + 4) };
  }
  releaseBytes(new Uint8Array(table.buffer));
}

function sameKey(bytes: Buffer, other: number, start: number, end: number): boolean {
  const length = end - start;
  if (bytes.readUInt32LE(other) !== length) return false;
  const from = other + headBytes;
  return bytes.compare(bytes, from, from + length, start, end) === 0;
}

/** FNV-1a, mixed once more: the high bits choose the part, the low ones the slot in it. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at], 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}
