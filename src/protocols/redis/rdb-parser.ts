import type { CompactEntries } from "./compact-entries.ts";
import { i32At, numberPlaceBytes, u16At, u32At } from "./compact-entries.ts";
import { Crc64 } from "./crc64.ts";
import { writeDecimal } from "./decimal.ts";
import { IntsetEntries } from "./intset.ts";
import { ListpackEntries } from "./listpack.ts";
import { expandLzf } from "./lzf.ts";
import { rdbDamaged, rdbUnsupported } from "./rdb-error.ts";
import type { RedisSink } from "./rdb-sink.ts";
import type { SkipSteps } from "./rdb-skip.ts";
import {
  keyMetadataSteps,
  moduleSteps,
  numberSteps,
  skipLength,
  skipPattern,
  skipString,
  skipTextScore,
  slotImportSteps,
  streamSteps,
  stringSteps,
} from "./rdb-skip.ts";
import type { RdbType } from "./rdb-types.ts";
import { rdbItem, rdbOpcode, rdbTypes, redisTypes, unreadTypes, valkeyTypes } from "./rdb-types.ts";
import { ZiplistEntries } from "./ziplist.ts";
import { ZipmapEntries } from "./zipmap.ts";

export interface RdbParserOptions {
  /** The database whose keys the sink gets, others are passed over; undefined: all. */
  readonly database: number | undefined;
  /** The longest string that is read whole, in bytes; in keys that nobody wants a longer one is passed over. 64 MiB unless said. */
  readonly stringBytesMax?: number;
  /** Pass the checksum over: for a look at a part of a file, which has none. */
  readonly unsummed?: boolean;
}

/** What an RDB says about itself, once it is read. */
export interface RdbFacts {
  readonly version: number;
  readonly isValkey: boolean;
  /** Its aux fields: `redis-ver`, `ctime`, `used-mem`, `repl-id`, … */
  readonly aux: ReadonlyMap<string, string>;
  /** Keys by database, all of them. */
  readonly keys: ReadonlyMap<number, number>;
  /** Whether it had a checksum, which was right then. */
  readonly hasChecksum: boolean;
  readonly bytes: number;
}

const windowBytes = 256 << 10;
const defaultStringBytesMax = 64 << 20;
/** An LZF match of three bytes gives 264: a string that claims more is not worth its memory. */
const lzfRatioMax = 132;
const auxCountMax = 64;
const auxBytesMax = 1024;
const newestRedis = 15;
const newestValkey = 81;

const unknownType: RdbType = { type: undefined, name: "unknown", head: false, one: true, item: rdbItem.string };

/** Thrown, and caught again, where the bytes at hand end inside the piece that is being read. */
const underflow = new Error("more bytes are needed");

const state = { magic: 0, opcode: 1, value: 2, items: 3, skip: 4, steps: 5, done: 6 } as const;

/**
 * Reads an RDB as it comes, cut anywhere: `feed` each piece, then `finish`. What it holds is a window that is as long as the longest piece
 * that must lie whole: a string, two for a field. It is re-read from that piece's start when more bytes have come. The sink is called
 * while `feed` runs. Throws `rdb-damaged` and `rdb-unsupported`, and what the sink throws; it is of no use after that.
 */
export class RdbParser {
  readonly #sink: RedisSink;
  readonly #wantedDatabase: number | undefined;
  readonly #stringBytesMax: number;

  #window = new Uint8Array(windowBytes);
  #at = 0;
  #limit = 0;
  /** Where in the RDB the window begins. */
  #base = 0;
  /** Where the piece that is being read begins. */
  #piece = 0;
  /** Bytes yet to come that are passed over without a look. */
  #discard = 0;
  readonly #crc = new Crc64();
  readonly #isSummed: boolean;
  /** Up to where the window is in the checksum. */
  #summed = 0;

  #state: number = state.magic;
  #version = 0;
  #isValkey = false;
  readonly #aux = new Map<string, string>();
  readonly #keys = new Map<number, number>();
  #hasChecksum = false;
  #database = 0;
  #keyCount = 0;

  #expires = false;
  #type: RdbType | undefined;
  #item = 0;
  #left = 0;
  #keyStart = 0;
  #keyEnd = 0;
  #keyBytes: Uint8Array = this.#window;
  #keyName: string | undefined;

  #pattern: readonly number[] = [];
  #patternAt = 0;
  #steps: SkipSteps | undefined;
  #request = 0;
  /** Steps that belong to a key, which ends with them. */
  #stepsEndKey = false;

  /** The string that was read last. */
  #bytes: Uint8Array = this.#window;
  #start = 0;
  #end = 0;
  /** The same in two places: a field's name, and its value. */
  readonly #numbers = new Uint8Array(2 * numberPlaceBytes);
  readonly #expanded = [new Uint8Array(windowBytes), new Uint8Array(windowBytes)];
  /** The special form that the length read last stands for; -1: it was a length. */
  #form = -1;
  readonly #double = new DataView(new ArrayBuffer(8));

  readonly #listpack = new ListpackEntries();
  readonly #ziplist = new ZiplistEntries();
  readonly #zipmap = new ZipmapEntries();
  readonly #intset = new IntsetEntries();

  constructor(sink: RedisSink, options: RdbParserOptions) {
    this.#sink = sink;
    this.#wantedDatabase = options.database;
    this.#stringBytesMax = options.stringBytesMax ?? defaultStringBytesMax;
    this.#isSummed = options.unsummed !== true;
  }

  /** Bytes read so far. */
  get offset(): number {
    return this.#base + this.#at;
  }

  /** The database of the key that is being read. */
  get database(): number {
    return this.#database;
  }

  /** The aux fields that came so far. */
  get aux(): ReadonlyMap<string, string> {
    return this.#aux;
  }

  /** Whether the RDB is complete; bytes behind it are an error. */
  get isDone(): boolean {
    return this.#state === state.done;
  }

  /** Bytes that the parser holds: the window, and expanded strings. */
  get heldBytes(): number {
    return this.#window.length + this.#expanded[0].length + this.#expanded[1].length;
  }

  /** Takes the next bytes; they may be overwritten afterwards. */
  feed(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#discard > 0) {
        const count = Math.min(this.#discard, chunk.length - at);
        if (this.#isSummed) this.#crc.update(chunk, at, at + count);
        this.#base += count;
        this.#discard -= count;
        at += count;
        continue;
      }
      this.#makeRoom();
      const count = Math.min(this.#window.length - this.#limit, chunk.length - at);
      this.#window.set(at === 0 && count === chunk.length ? chunk : chunk.subarray(at, at + count), this.#limit);
      this.#limit += count;
      at += count;
      this.#run();
    }
  }

  /** There are no more bytes. Throws `rdb-damaged` when the RDB is not complete. */
  finish(): RdbFacts {
    if (this.#state !== state.done) {
      const offset = this.#base + this.#limit;
      throw rdbDamaged(offset === 0 ? "it is empty" : "it ends too early", offset, this.#currentKey());
    }
    return {
      version: this.#version,
      isValkey: this.#isValkey,
      aux: this.#aux,
      keys: this.#keys,
      hasChecksum: this.#hasChecksum,
      bytes: this.offset,
    };
  }

  #makeRoom(): void {
    if (this.#limit < this.#window.length) return;
    this.#keepKeyName();
    if (this.#at === 0) {
      const grown = new Uint8Array(this.#window.length * 2);
      grown.set(this.#window);
      this.#window = grown;
      return;
    }
    this.#window.copyWithin(0, this.#at, this.#limit);
    this.#base += this.#at;
    this.#limit -= this.#at;
    this.#summed = 0;
    this.#at = 0;
  }

  #run(): void {
    try {
      for (;;) {
        this.#piece = this.#at;
        switch (this.#state) {
          case state.opcode:
            this.#opcode();
            break;
          case state.value:
            this.#value();
            break;
          case state.items:
            this.#items();
            break;
          case state.skip:
            this.#skipItems();
            break;
          case state.steps:
            this.#takeSteps();
            break;
          case state.magic:
            this.#magic();
            break;
          default:
            if (this.#at < this.#limit) throw this.#damaged("there is more behind its end");
            throw underflow;
        }
      }
    } catch (error) {
      if (error !== underflow) throw error;
      this.#at = this.#piece;
    }
    if (this.#isSummed) this.#crc.update(this.#window, this.#summed, this.#at);
    this.#summed = this.#at;
    if (this.#at === this.#limit) this.#emptyWindow();
  }

  #emptyWindow(): void {
    this.#keepKeyName();
    this.#base += this.#limit;
    this.#at = 0;
    this.#limit = 0;
    this.#summed = 0;
    if (this.#window.length > windowBytes) this.#window = new Uint8Array(windowBytes);
  }

  #need(count: number): void {
    if (this.#at + count > this.#limit) throw underflow;
  }

  #magic(): void {
    this.#need(9);
    const text = Buffer.from(this.#window.subarray(this.#at, this.#at + 9)).toString("latin1");
    const found = /^(REDIS|VALKEY)([0-9]{3,4})$/.exec(text);
    if (found === null) throw this.#damaged("it begins neither with REDIS nor with VALKEY and a version");
    this.#isValkey = found[1] === "VALKEY";
    this.#version = Number(found[2]);
    const newest = this.#isValkey ? newestValkey : newestRedis;
    if (this.#version < 1 || this.#version > newest) {
      throw this.#unsupported(
        `it has version ${this.#version} of the format of ${this.#isValkey ? "Valkey" : "Redis"}, and ${newest} is the newest known`,
      );
    }
    this.#at += 9;
    this.#state = state.opcode;
  }

  #opcode(): void {
    this.#need(1);
    const code = this.#window[this.#at++];
    if (code < rdbOpcode.keyMetadata) {
      this.#key(code);
      return;
    }
    switch (code) {
      case rdbOpcode.selectDatabase:
        this.#selectDatabase(this.#count());
        break;
      case rdbOpcode.expiresSeconds:
        this.#need(4);
        this.#at += 4;
        this.#expires = true;
        break;
      case rdbOpcode.expiresMilliseconds:
        this.#need(8);
        this.#at += 8;
        this.#expires = true;
        break;
      case rdbOpcode.resizeDatabase:
        this.#begin(numberSteps(2));
        break;
      case rdbOpcode.aux:
        this.#auxField();
        break;
      case rdbOpcode.frequency:
        this.#need(1);
        this.#at++;
        break;
      case rdbOpcode.idle:
        this.#length();
        break;
      case rdbOpcode.moduleAux:
        this.#begin(moduleSteps(3));
        break;
      case rdbOpcode.function2:
        this.#begin(stringSteps());
        break;
      case rdbOpcode.slotInfo:
        this.#begin(numberSteps(3));
        break;
      case rdbOpcode.keyMetadata:
        this.#begin(this.#isValkey ? slotImportSteps() : keyMetadataSteps());
        break;
      case rdbOpcode.end:
        this.#finishStream();
        break;
      default:
        throw this.#unsupported("it has functions in the form of a release candidate of Redis 7.0");
    }
  }

  #selectDatabase(database: number): void {
    this.#countKeys();
    this.#database = database;
  }

  #countKeys(): void {
    if (this.#keyCount > 0) this.#keys.set(this.#database, (this.#keys.get(this.#database) ?? 0) + this.#keyCount);
    this.#keyCount = 0;
  }

  #auxField(): void {
    this.#string(0);
    const name = this.#text();
    this.#string(1);
    if (this.#aux.size < auxCountMax && name.length <= auxBytesMax && this.#end - this.#start <= auxBytesMax) {
      this.#aux.set(name, this.#text());
    }
  }

  #text(): string {
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + this.#start, this.#end - this.#start).toString();
  }

  #finishStream(): void {
    if (this.#version >= 5) {
      this.#need(8);
      if (this.#isSummed) this.#crc.update(this.#window, this.#summed, this.#at);
      const low = u32At(this.#window, this.#at);
      const high = u32At(this.#window, this.#at + 4);
      this.#hasChecksum = this.#isSummed && (low !== 0 || high !== 0);
      if (this.#hasChecksum && (low !== this.#crc.low || high !== this.#crc.high)) {
        throw this.#damaged("its checksum is wrong");
      }
      this.#at += 8;
      this.#summed = this.#at;
    }
    this.#countKeys();
    this.#state = state.done;
  }

  #key(code: number): void {
    const type = rdbTypes.get(code) ?? (this.#isValkey ? valkeyTypes : redisTypes).get(code);
    this.#string(0);
    this.#keyBytes = this.#bytes;
    this.#keyStart = this.#start;
    this.#keyEnd = this.#end;
    this.#keyName = undefined;
    this.#type = type ?? unknownType;
    // A name that was compressed, or a number, lies where the value's next such string will.
    if (this.#bytes !== this.#window) this.#keepKeyName();
    if (type === undefined) throw this.#unsupported(`the type ${code} is unknown${nameOfUnread(code)}`);
    this.#keyCount++;
    const wants =
      (this.#wantedDatabase === undefined || this.#database === this.#wantedDatabase) &&
      type.type !== undefined &&
      this.#sink.begin(type.type, this.#bytes, this.#start, this.#end, this.#expires);
    this.#expires = false;
    if (wants) this.#state = state.value;
    else if (type.item === rdbItem.stream || type.item === rdbItem.module) {
      this.#begin(type.item === rdbItem.module ? moduleSteps(1) : streamSteps(code === 15 ? 1 : code === 19 ? 2 : 3));
      this.#stepsEndKey = true;
    } else {
      this.#pattern = skipPattern(type.item);
      this.#patternAt = 0;
      this.#left = -1;
      this.#state = state.skip;
    }
  }

  #endKey(): void {
    this.#type = undefined;
    this.#keyName = undefined;
    this.#state = state.opcode;
    // What a huge string needed is not needed for the next one.
    for (const place of [0, 1]) {
      if (this.#expanded[place].length > 1 << 20) this.#expanded[place] = new Uint8Array(windowBytes);
    }
  }

  #value(): void {
    const type = this.#type;
    if (type === undefined) throw new Error("no key is open");
    if (type.item === rdbItem.string) {
      this.#string(0);
      this.#sink.string(this.#bytes, this.#start, this.#end);
      this.#sink.end();
      this.#endKey();
      return;
    }
    if (type.head) {
      this.#need(8);
      this.#at += 8;
    }
    this.#left = type.one ? 1 : this.#count();
    this.#item = type.item;
    this.#state = state.items;
  }

  #items(): void {
    while (this.#left > 0) {
      this.#readItem();
      this.#left--;
      this.#piece = this.#at;
    }
    this.#sink.end();
    this.#endKey();
  }

  #readItem(): void {
    switch (this.#item) {
      case rdbItem.quicklistNode: {
        const form = this.#length();
        this.#string(0);
        if (form === 2) this.#elements(this.#listpack);
        else if (form === 1) this.#sink.element(this.#bytes, this.#start, this.#end);
        else throw this.#damaged(`a node of a list has the unknown form ${form}`);
        break;
      }
      case rdbItem.field:
        this.#field();
        break;
      case rdbItem.element:
        this.#string(0);
        this.#sink.element(this.#bytes, this.#start, this.#end);
        break;
      case rdbItem.listpackFields:
        this.#string(0);
        this.#fields(this.#listpack, 2);
        break;
      case rdbItem.listpackTimedFields:
        this.#string(0);
        this.#fields(this.#listpack, 3);
        break;
      case rdbItem.ziplistFields:
        this.#string(0);
        this.#fields(this.#ziplist, 2);
        break;
      case rdbItem.zipmapFields:
        this.#string(0);
        this.#fields(this.#zipmap, 2);
        break;
      case rdbItem.timedField:
        this.#length();
        this.#field();
        break;
      case rdbItem.fieldWithTime:
        this.#fieldWithTime();
        break;
      case rdbItem.listpackElements:
        this.#string(0);
        this.#elements(this.#listpack);
        break;
      case rdbItem.ziplistElements:
        this.#string(0);
        this.#elements(this.#ziplist);
        break;
      case rdbItem.intsetElements:
        this.#string(0);
        this.#elements(this.#intset);
        break;
      case rdbItem.listpackScores:
        this.#string(0);
        this.#scores(this.#listpack);
        break;
      case rdbItem.ziplistScores:
        this.#string(0);
        this.#scores(this.#ziplist);
        break;
      case rdbItem.textScore:
        this.#string(0);
        this.#sink.member(this.#bytes, this.#start, this.#end, this.#textScore());
        break;
      case rdbItem.binaryScore:
        this.#string(0);
        this.#sink.member(this.#bytes, this.#start, this.#end, this.#binaryScore());
        break;
      default:
        throw new Error(`no item of layout ${this.#item} is read`);
    }
  }

  #field(): void {
    this.#string(0);
    const name = this.#bytes;
    const start = this.#start;
    const end = this.#end;
    this.#string(1);
    this.#sink.field(name, start, end, this.#bytes, this.#start, this.#end);
  }

  #fieldWithTime(): void {
    this.#string(0);
    const name = this.#bytes;
    const start = this.#start;
    const end = this.#end;
    this.#string(1);
    this.#need(8);
    this.#at += 8;
    this.#sink.field(name, start, end, this.#bytes, this.#start, this.#end);
  }

  #elements(entries: CompactEntries): void {
    entries.open(this.#bytes, this.#start, this.#end);
    while (entries.next()) this.#sink.element(entries.bytes, entries.start, entries.end);
    if (entries.problem !== undefined) throw this.#damaged(entries.problem);
  }

  /** Names and values in turn; with a `width` of 3 each pair is followed by a time. */
  #fields(entries: CompactEntries, width: number): void {
    entries.open(this.#bytes, this.#start, this.#end);
    while (entries.next()) {
      const name = entries.bytes;
      const { start, end } = entries;
      if (!entries.next()) throw this.#damaged(entries.problem ?? "a field of a hash has no value");
      this.#sink.field(name, start, end, entries.bytes, entries.start, entries.end);
      if (width === 3 && !entries.next()) throw this.#damaged(entries.problem ?? "a field of a hash has no time");
    }
    if (entries.problem !== undefined) throw this.#damaged(entries.problem);
  }

  #scores(entries: CompactEntries): void {
    entries.open(this.#bytes, this.#start, this.#end);
    while (entries.next()) {
      const member = entries.bytes;
      const { start, end } = entries;
      if (!entries.next()) throw this.#damaged(entries.problem ?? "a member of a sorted set has no score");
      this.#sink.member(member, start, end, this.#scoreOf(entries.bytes, entries.start, entries.end));
    }
    if (entries.problem !== undefined) throw this.#damaged(entries.problem);
  }

  #scoreOf(bytes: Uint8Array, start: number, end: number): number {
    const text = Buffer.from(bytes.subarray(start, Math.min(end, start + 64))).toString("latin1");
    const number = /^([+-]?)inf/i.exec(text) === null ? Number(text) : text[0] === "-" ? -Infinity : Infinity;
    if (text === "" || Number.isNaN(number)) throw this.#damaged("a score is no number");
    return number;
  }

  #textScore(): number {
    this.#need(1);
    const length = this.#window[this.#at++];
    if (length === 253) return Number.NaN;
    if (length === 254) return Number.POSITIVE_INFINITY;
    if (length === 255) return Number.NEGATIVE_INFINITY;
    this.#need(length);
    this.#at += length;
    return this.#scoreOf(this.#window, this.#at - length, this.#at);
  }

  #binaryScore(): number {
    this.#need(8);
    this.#double.setUint32(0, u32At(this.#window, this.#at), true);
    this.#double.setUint32(4, u32At(this.#window, this.#at + 4), true);
    this.#at += 8;
    return this.#double.getFloat64(0, true);
  }

  /** A length, or the special form of the string that follows (`#form`). Above 2^53 it is not exact. */
  #length(): number {
    const at = this.#at;
    if (at >= this.#limit) throw underflow;
    const window = this.#window;
    const lead = window[at];
    this.#form = -1;
    if (lead < 64) {
      this.#at = at + 1;
      return lead;
    }
    if (lead < 128) {
      this.#need(2);
      this.#at = at + 2;
      return ((lead & 63) << 8) | window[at + 1];
    }
    if (lead >= 192) {
      this.#at = at + 1;
      this.#form = lead & 63;
      return 0;
    }
    if (lead === 0x80) {
      this.#need(5);
      this.#at = at + 5;
      return bigEndian32(window, at + 1);
    }
    if (lead !== 0x81) throw this.#damaged("a length has an unknown form");
    this.#need(9);
    this.#at = at + 9;
    return bigEndian32(window, at + 1) * 4294967296 + bigEndian32(window, at + 5);
  }

  /** A length that must be one. */
  #count(): number {
    const length = this.#length();
    if (this.#form >= 0 || length > Number.MAX_SAFE_INTEGER) throw this.#damaged("a count is none");
    return length;
  }

  /** Reads a string into `#bytes[#start … #end)`. Two can be held, in the places 0 and 1. */
  #string(place: 0 | 1): void {
    const length = this.#length();
    if (this.#form >= 0) {
      this.#specialString(place);
      return;
    }
    const at = this.#at;
    if (at + length > this.#limit) {
      this.#requireReadable(length);
      throw underflow;
    }
    this.#bytes = this.#window;
    this.#start = at;
    this.#end = at + length;
    this.#at = at + length;
  }

  #specialString(place: 0 | 1): void {
    const form = this.#form;
    if (form === 3) {
      this.#expand(place);
      return;
    }
    if (form > 3) throw this.#damaged(`a string has the unknown form ${form}`);
    const size = 1 << form;
    this.#need(size);
    const at = this.#at;
    const window = this.#window;
    const value =
      size === 1 ? (window[at] << 24) >> 24 : size === 2 ? (u16At(window, at) << 16) >> 16 : i32At(window, at);
    this.#at = at + size;
    this.#bytes = this.#numbers;
    this.#start = place * numberPlaceBytes;
    this.#end = writeDecimal(value, this.#numbers, this.#start);
  }

  #expand(place: 0 | 1): void {
    const packed = this.#count();
    const length = this.#count();
    this.#requireReadable(packed);
    this.#requireReadable(length);
    if (length > packed * lzfRatioMax) throw this.#damaged("a compressed string claims too great a length");
    this.#need(packed);
    const at = this.#at;
    if (this.#expanded[place].length < length) {
      this.#expanded[place] = new Uint8Array(Math.max(length, 2 * this.#expanded[place].length));
    }
    const to = this.#expanded[place];
    if (!expandLzf(this.#window, at, at + packed, to, length)) {
      throw this.#damaged("a compressed string cannot be expanded");
    }
    this.#at = at + packed;
    this.#bytes = to;
    this.#start = 0;
    this.#end = length;
  }

  #requireReadable(length: number): void {
    if (length > this.#stringBytesMax) {
      throw this.#unsupported(`a string has ${length} bytes, and ${this.#stringBytesMax} is the most that is read`);
    }
  }

  /** Passes over the contents of a key, string by string. */
  #skipItems(): void {
    if (this.#left < 0) {
      const type = this.#type;
      if (type === undefined) throw new Error("no key is open");
      if (type.head) {
        this.#need(8);
        this.#at += 8;
      }
      this.#left = type.one ? 1 : this.#count();
      this.#piece = this.#at;
    }
    const pattern = this.#pattern;
    while (this.#left > 0) {
      while (this.#patternAt < pattern.length) {
        this.#skip(pattern[this.#patternAt]);
        this.#patternAt++;
        this.#piece = this.#at;
      }
      this.#patternAt = 0;
      this.#left--;
    }
    this.#endKey();
  }

  #begin(steps: SkipSteps): void {
    this.#steps = steps;
    this.#stepsEndKey = false;
    const first = steps.next(0);
    this.#request = first.value as number;
    this.#state = state.steps;
  }

  #takeSteps(): void {
    const steps = this.#steps;
    if (steps === undefined) throw new Error("nothing is passed over");
    for (;;) {
      const result = this.#skip(this.#request);
      this.#piece = this.#at;
      const next = steps.next(result);
      if (next.done === true) {
        if (next.value !== undefined) throw this.#damaged(next.value);
        break;
      }
      this.#request = next.value;
    }
    this.#steps = undefined;
    if (this.#stepsEndKey) this.#endKey();
    else this.#state = state.opcode;
  }

  #skip(request: number): number {
    switch (request) {
      case skipLength: {
        const length = this.#length();
        if (this.#form >= 0) throw this.#damaged("a number is none");
        return length;
      }
      case skipString:
        this.#skipString();
        return 0;
      case skipTextScore: {
        this.#need(1);
        const length = this.#window[this.#at];
        this.#need(1 + (length < 253 ? length : 0));
        this.#at += 1 + (length < 253 ? length : 0);
        return 0;
      }
      default:
        this.#need(request);
        this.#at += request;
        return 0;
    }
  }

  #skipString(): void {
    let length = this.#length();
    if (this.#form === 3) {
      length = this.#count();
      this.#count();
    } else if (this.#form > 3) throw this.#damaged(`a string has the unknown form ${this.#form}`);
    else if (this.#form >= 0) length = 1 << this.#form;
    const here = this.#limit - this.#at;
    if (length <= here) {
      this.#at += length;
      return;
    }
    if (length > Number.MAX_SAFE_INTEGER) throw this.#damaged("a length is none");
    this.#discard = length - here;
    this.#at = this.#limit;
  }

  #damaged(what: string): Error {
    return rdbDamaged(what, this.offset, this.#currentKey());
  }

  #unsupported(what: string): Error {
    return rdbUnsupported(what, this.offset, this.#currentKey());
  }

  /** The name of the key that is being read, for messages: printable, and cut when long. */
  #currentKey(): string | undefined {
    if (this.#type === undefined) return undefined;
    this.#keepKeyName();
    return this.#keyName;
  }

  #keepKeyName(): void {
    if (this.#type === undefined || this.#keyName !== undefined) return;
    const end = Math.min(this.#keyEnd, this.#keyStart + 80);
    const text = JSON.stringify(Buffer.from(this.#keyBytes.subarray(this.#keyStart, end)).toString("latin1"));
    this.#keyName = end < this.#keyEnd ? `${text}…` : text;
  }
}

function nameOfUnread(code: number): string {
  const name = unreadTypes.get(code);
  return name === undefined ? "" : `: ${name}`;
}

function bigEndian32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}
