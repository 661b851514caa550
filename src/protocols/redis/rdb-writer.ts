import { closeSync } from "node:fs";
import type { CollectionType, CollectionWriter, KeyWriter } from "./key-writer.ts";
import { openNameless, writeAll } from "./spill-output.ts";
import type { SpillOutput } from "./spill-output.ts";

/**
 * Redis' RDB format, version 9 (Redis 5 and later, Valkey; `src/rdb.h`, `src/rdb.c`). Collections are written in their plain forms, which
 * every version reads and turns into what it keeps in memory.
 */
const header = "REDIS0009";

/** Opcodes and types of values. */
const opcode = { resize: 0xfb, database: 0xfe, end: 0xff } as const;
const valueType = { string: 0, list: 1, set: 2, hash: 4, zset: 5 } as const;

/** Bytes of one key's contents that are held in memory; the rest goes to a temporary file until their number is known. */
const heldBytes = 4 << 20;

export interface RdbWriter extends KeyWriter {
  /** The beginning: header and database. `keys` is an estimate that lets the server make room at once. */
  start(database: number, keys: number): void;
  /** A whole string key. */
  putString(key: Uint8Array, value: Uint8Array): void;
  /** Ends the file, but for the checksum of eight bytes, least first, that follows. */
  endMark(): void;
}

/** Writes keys as records of an RDB. `folder` takes the contents of large keys. */
export function rdbWriter(output: SpillOutput, folder: string): RdbWriter & Disposable {
  const held = new Set<HeldBody>();

  function putKey(type: number, key: Uint8Array, keyLength: number, more: number): number {
    const at = output.reserve(6 + keyLength + more);
    const out = output.bytes;
    out[at] = type;
    const place = putLength(out, at + 1, keyLength);
    for (let index = 0; index < keyLength; index++) out[place + index] = key[index];
    return place + keyLength;
  }

  function string(key: Uint8Array, keyLength: number, valueLength: number): number {
    const place = putKey(valueType.string, key, keyLength, 5 + valueLength);
    const at = putLength(output.bytes, place, valueLength);
    output.giveBack(output.length - (at + valueLength));
    return at;
  }

  function collection(type: CollectionType): CollectionWriter {
    const code = valueType[type];
    const body = new HeldBody(folder);
    held.add(body);
    let key = new Uint8Array(0);
    let count = 0;
    return {
      get bytes() {
        return body.bytes;
      },
      begin(newKey, keyLength) {
        key = newKey.slice(0, keyLength);
        count = 0;
      },
      field(name, start, end, valueLength) {
        count++;
        const at = body.reserve(10 + (end - start) + valueLength);
        const place = putString(body.bytes, at, name, start, end);
        const valueAt = putLength(body.bytes, place, valueLength);
        body.length = valueAt + valueLength;
        return valueAt;
      },
      member(name, start, end) {
        count++;
        const at = body.reserve(5 + (end - start));
        body.length = putString(body.bytes, at, name, start, end);
      },
      scored(name, start, end, score) {
        count++;
        const at = body.reserve(13 + (end - start));
        const place = putString(body.bytes, at, name, start, end);
        new DataView(body.bytes.buffer, body.bytes.byteOffset).setFloat64(place, Number(score), true);
        body.length = place + 8;
      },
      end() {
        if (count === 0) return;
        const place = putKey(code, key, key.length, 5);
        const end = putLength(output.bytes, place, count);
        output.giveBack(output.length - end);
        body.moveTo(output);
        count = 0;
      },
    };
  }

  return {
    get bytes() {
      return output.bytes;
    },
    start(database, keys) {
      output.write(Buffer.from(header));
      const at = output.reserve(1 + 5 + 1 + 10);
      const out = output.bytes;
      out[at] = opcode.database;
      let place = putLength(out, at + 1, database);
      out[place] = opcode.resize;
      place = putLength(out, place + 1, Math.min(keys, 0xffffffff));
      place = putLength(out, place, 0);
      output.giveBack(output.length - place);
    },
    string,
    putString(key, value) {
      const at = string(key, key.length, value.length);
      output.bytes.set(value, at);
    },
    list(key, keyLength, bytes, start, end, elementLength) {
      const count = Math.ceil((end - start) / elementLength);
      let place = putKey(valueType.list, key, keyLength, 5 + count * 5 + (end - start));
      const out = output.bytes;
      place = putLength(out, place, count);
      for (let from = start; from < end; from += elementLength) {
        place = putString(out, place, bytes, from, Math.min(end, from + elementLength));
      }
      output.giveBack(output.length - place);
    },
    collection,
    endMark() {
      const at = output.reserve(1);
      output.bytes[at] = opcode.end;
    },
    [Symbol.dispose]() {
      for (const body of held) body.drop();
    },
  };
}

/** The contents of one key, whose number stands before them. */
class HeldBody {
  bytes = new Uint8Array(64 << 10);
  length = 0;
  readonly #folder: string;
  #file: number | undefined;
  #inFile = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes room and returns where it begins; the caller sets `length`. */
  reserve(count: number): number {
    if (this.length > heldBytes) this.#spill();
    if (this.length + count > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.length + count, 2 * this.bytes.length));
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    return this.length;
  }

  #spill(): void {
    this.#file ??= openNameless(this.#folder);
    writeAll(this.#file, this.bytes.subarray(0, this.length), this.#inFile);
    this.#inFile += this.length;
    this.length = 0;
  }

  moveTo(output: SpillOutput): void {
    if (this.#file !== undefined) {
      output.appendFile(this.#file, this.#inFile);
      this.#file = undefined;
      this.#inFile = 0;
    }
    output.write(this.bytes.subarray(0, this.length));
    this.length = 0;
  }

  drop(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

/** A length of up to 32 bits in the fewest bytes; 5 must be left. Returns where it ends. */
function putLength(out: Uint8Array, at: number, length: number): number {
  if (length < 64) {
    out[at] = length;
    return at + 1;
  }
  if (length < 16_384) {
    out[at] = 0x40 | (length >>> 8);
    out[at + 1] = length;
    return at + 2;
  }
  out[at] = 0x80;
  out[at + 1] = length >>> 24;
  out[at + 2] = length >>> 16;
  out[at + 3] = length >>> 8;
  out[at + 4] = length;
  return at + 5;
}

function putString(out: Uint8Array, at: number, bytes: Uint8Array, start: number, end: number): number {
  const place = putLength(out, at, end - start);
  if (end - start > 64) {
    out.set(bytes.subarray(start, end), place);
    return place + end - start;
  }
  for (let from = start, to = place; from < end; from++, to++) out[to] = bytes[from];
  return place + end - start;
}
