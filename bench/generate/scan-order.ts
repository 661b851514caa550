import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { openRandom } from "./random.ts";

const endMark = 0x747083;
const headBytes = 12;
const formatType = 1;
const recordsPerSegment = 10_000;

/**
 * Rewrites a JuiceFS binary dump so that its records come in random order, ten thousand of each kind in turn: the order in which
 * a dump of a Redis volume has them, because it follows SCAN. A dump of a SQL volume is sorted instead, and loads several times
 * faster into SQLite. Holds the whole dump in memory.
 */
export function writeInScanOrder(dump: string, out: string, seed: number): void {
  const input = readFileSync(dump);
  const file = openSync(out, "w");
  const write = (bytes: Uint8Array) => {
    for (let done = 0; done < bytes.length;) {
      done += writeSync(file, bytes, done);
    }
  };
  const records = new Map<number, Buffer[]>();
  let at = 0;
  for (let type = input.readUInt32BE(at); type !== endMark; type = input.readUInt32BE(at)) {
    const end = at + headBytes + Number(input.readBigUInt64BE(at + 4));
    if (type === formatType) {
      write(input.subarray(at, end));
    } else {
      const known = records.get(type) ?? [];
      records.set(type, known);
      for (let record = at + headBytes; record < end;) {
        const next = endOfField(input, record);
        known.push(input.subarray(record, next));
        record = next;
      }
    }
    at = end;
  }
  shuffleEach(records, seed);
  for (let done = 0, more = true; more; done += recordsPerSegment) {
    more = false;
    for (const [type, all] of records) {
      const body = Buffer.concat(all.slice(done, done + recordsPerSegment));
      if (body.length > 0) {
        const head = Buffer.alloc(headBytes);
        head.writeUInt32BE(type);
        head.writeBigUInt64BE(BigInt(body.length), 4);
        write(head);
        write(body);
        more = true;
      }
    }
  }
  // `load` stops at the end mark and never reads the footer, whose offsets no longer hold.
  write(Buffer.of(0, 0x74, 0x70, 0x83));
  closeSync(file);
}

function shuffleEach(records: Map<number, Buffer[]>, seed: number): void {
  const random = openRandom(seed, "scan order");
  for (const all of records.values()) {
    for (let i = all.length - 1; i > 0; i--) {
      const j = random.below(i + 1);
      [all[i], all[j]] = [all[j], all[i]];
    }
  }
}

/** The end of the length-delimited protobuf field that begins at `at`, whose tag is one byte. */
function endOfField(input: Buffer, at: number): number {
  let length = 0;
  let position = at + 1;
  for (let factor = 1; ; factor *= 128) {
    const byte = input[position++];
    length += (byte & 0x7f) * factor;
    if (byte < 0x80) {
      return position + length;
    }
  }
}
