import { closeSync, openSync, readSync, writeSync } from "node:fs";
import type { CollectionWriter, KeyWriter } from "../../../protocols/redis/key-writer.ts";
import { redisType } from "../../../protocols/redis/rdb-sink.ts";

/*
 * The names of the keys that a restore wrote, in a temporary file, for reading them back without SCAN: type u8; bytes that the name
 * shares with the one before, u8; further bytes, u8; those bytes; for all but strings the number of elements, u32, least byte first.
 */

const blockBytes = 256 << 10;
const entryBytesMax = 3 + 255 + 4;
const nameBytesMax = 255;

/** A key writer that notes the name of every key. `close` after the last one. */
export interface ListingKeyWriter extends KeyWriter {
  close(): void;
}

export function listKeys(keys: KeyWriter, path: string): ListingKeyWriter {
  const file = openSync(path, "wx", 0o600);
  const block = new Uint8Array(blockBytes);
  const last = new Uint8Array(nameBytesMax);
  let lastLength = 0;
  let length = 0;
  let isOpen = true;
  function flush(): void {
    for (let at = 0; at < length;) at += writeSync(file, block, at, length - at);
    length = 0;
  }
  function note(type: number, name: Uint8Array, nameLength: number, count: number): void {
    if (nameLength > nameBytesMax) throw new RangeError("the name of a key is longer than any of JuiceFS'");
    if (length + entryBytesMax > blockBytes) flush();
    let shared = 0;
    const most = Math.min(lastLength, nameLength);
    while (shared < most && last[shared] === name[shared]) shared++;
    block[length] = type;
    block[length + 1] = shared;
    block[length + 2] = nameLength - shared;
    length += 3;
    for (let at = shared; at < nameLength; at++) {
      last[at] = name[at];
      block[length++] = name[at];
    }
    lastLength = nameLength;
    if (type === redisType.string) return;
    block[length] = count;
    block[length + 1] = count >>> 8;
    block[length + 2] = count >>> 16;
    block[length + 3] = count >>> 24;
    length += 4;
  }
  function collection(type: "hash" | "set" | "zset"): CollectionWriter {
    const inner = keys.collection(type);
    let key = new Uint8Array(0);
    let count = 0;
    return {
      get bytes() {
        return inner.bytes;
      },
      begin(newKey, keyLength) {
        key = newKey.slice(0, keyLength);
        count = 0;
        inner.begin(newKey, keyLength);
      },
      field(name, start, end, valueLength) {
        count++;
        return inner.field(name, start, end, valueLength);
      },
      member(name, start, end) {
        count++;
        inner.member(name, start, end);
      },
      scored(name, start, end, score) {
        count++;
        inner.scored(name, start, end, score);
      },
      end() {
        inner.end();
        if (count > 0) note(redisType[type], key, key.length, count);
      },
    };
  }
  return {
    get bytes() {
      return keys.bytes;
    },
    string(key, keyLength, valueLength) {
      note(redisType.string, key, keyLength, 0);
      return keys.string(key, keyLength, valueLength);
    },
    list(key, keyLength, bytes, start, end, elementLength) {
      note(redisType.list, key, keyLength, Math.ceil((end - start) / elementLength));
      keys.list(key, keyLength, bytes, start, end, elementLength);
    },
    collection,
    close() {
      if (!isOpen) return;
      isOpen = false;
      flush();
      closeSync(file);
    },
  };
}

/** One key of the list; valid until the next one is asked for. */
export interface ListedKey {
  type: number;
  readonly name: Uint8Array;
  nameLength: number;
  /** Elements; 0 for a string. */
  count: number;
}

/** Reads the list from its beginning. */
export function* listedKeys(path: string): Generator<ListedKey, void> {
  const file = openSync(path, "r");
  try {
    const block = new Uint8Array(blockBytes);
    const key = { type: 0, name: new Uint8Array(nameBytesMax), nameLength: 0, count: 0 };
    let end = 0;
    let at = 0;
    for (;;) {
      if (end - at < entryBytesMax) {
        block.copyWithin(0, at, end);
        end -= at;
        at = 0;
        end += readSync(file, block, end, block.length - end, null);
        if (end === 0) return;
      }
      key.type = block[at];
      const shared = block[at + 1];
      const rest = block[at + 2];
      at += 3;
      for (let index = 0; index < rest; index++) key.name[shared + index] = block[at + index];
      at += rest;
      key.nameLength = shared + rest;
      key.count = 0;
      if (key.type !== redisType.string) {
        key.count = (block[at] | (block[at + 1] << 8) | (block[at + 2] << 16) | (block[at + 3] << 24)) >>> 0;
        at += 4;
      }
      yield key;
    }
  } finally {
    closeSync(file);
  }
}
