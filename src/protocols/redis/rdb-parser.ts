import type { CompactEntries } from "./compact-entries.ts";
import { u32At } from "./compact-entries.ts";
import { IntsetEntries } from "./intset.ts";
import { ListpackEntries } from "./listpack.ts";
import { RdbInput, underflow } from "./rdb-input.ts";
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

const defaultStringBytesMax = 64 << 20;
const auxCountMax = 64;
const auxBytesMax = 1024;
const newestRedis = 15;
const newestValkey = 81;

const unknownType: RdbType = { type: undefined, name: "unknown", head: false, one: true, item: rdbItem.string };

const state = { magic: 0, opcode: 1, value: 2, items: 3, skip: 4, steps: 5, done: 6 } as const;

/**
 * Reads an RDB as it comes, cut anywhere: `feed` each piece, then `finish`. What it holds is a window that is as long as the longest piece
 * that must lie whole: a string, two for a field. It is re-read from that piece's start when more bytes have come. The sink is called
 * while `feed` runs. Throws `rdb-damaged` and `rdb-unsupported`, and what the sink throws; it is of no use after that.
 */
export class RdbParser {
  readonly #sink: RedisSink;
  readonly #wantedDatabase: number | undefined;
  readonly #input: RdbInput;
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
  #keyBytes: Uint8Array = new Uint8Array(0);
  #keyName: string | undefined;

  #pattern: readonly number[] = [];
  #patternAt = 0;
  #steps: SkipSteps | undefined;
  #request = 0;
  /** Steps that belong to a key, which ends with them. */
  #stepsEndKey = false;

  readonly #double = new DataView(new ArrayBuffer(8));

  readonly #listpack = new ListpackEntries();
  readonly #ziplist = new ZiplistEntries();
  readonly #zipmap = new ZipmapEntries();
  readonly #intset = new IntsetEntries();

  constructor(sink: RedisSink, options: RdbParserOptions) {
    this.#sink = sink;
    this.#wantedDatabase = options.database;
    this.#input = new RdbInput({
      stringBytesMax: options.stringBytesMax ?? defaultStringBytesMax,
      isSummed: options.unsummed !== true,
      beforeMove: () => this.#keepKeyName(),
      damaged: (what) => this.#damaged(what),
      unsupported: (what) => this.#unsupported(what),
    });
  }

  /** Bytes read so far. */
  get offset(): number {
    return this.#input.offset;
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
    return this.#input.heldBytes;
  }

  /** Takes the next bytes; they may be overwritten afterwards. */
  feed(chunk: Uint8Array): void {
    this.#input.feed(chunk, () => this.#run());
  }

  /** There are no more bytes. Throws `rdb-damaged` when the RDB is not complete. */
  finish(): RdbFacts {
    if (this.#state !== state.done) {
      const offset = this.#input.cameBytes;
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

  #run(): void {
    try {
      for (;;) {
        this.#input.piece = this.#input.at;
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
            if (this.#input.at < this.#input.limit) throw this.#damaged("there is more behind its end");
            throw underflow;
        }
      }
    } catch (error) {
      if (error !== underflow) throw error;
      this.#input.at = this.#input.piece;
    }
  }

  #magic(): void {
    this.#input.need(9);
    const text = Buffer.from(this.#input.window.subarray(this.#input.at, this.#input.at + 9)).toString("latin1");
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
    this.#input.at += 9;
    this.#state = state.opcode;
  }

  #opcode(): void {
    const code = this.#input.byte();
    if (code < rdbOpcode.keyMetadata) {
      this.#key(code);
      return;
    }
    switch (code) {
      case rdbOpcode.selectDatabase:
        this.#selectDatabase(this.#input.count());
        break;
      case rdbOpcode.expiresSeconds:
        this.#input.pass(4);
        this.#expires = true;
        break;
      case rdbOpcode.expiresMilliseconds:
        this.#input.pass(8);
        this.#expires = true;
        break;
      case rdbOpcode.resizeDatabase:
        this.#begin(numberSteps(2));
        break;
      case rdbOpcode.aux:
        this.#auxField();
        break;
      case rdbOpcode.frequency:
        this.#input.pass(1);
        break;
      case rdbOpcode.idle:
        this.#input.length();
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
    this.#input.string(0);
    const name = this.#text();
    this.#input.string(1);
    if (
      this.#aux.size < auxCountMax &&
      name.length <= auxBytesMax &&
      this.#input.end - this.#input.start <= auxBytesMax
    ) {
      this.#aux.set(name, this.#text());
    }
  }

  #text(): string {
    const { bytes, start, end } = this.#input;
    return Buffer.from(bytes.subarray(start, end)).toString();
  }

  #finishStream(): void {
    if (this.#version >= 5) this.#hasChecksum = this.#input.checksum();
    this.#countKeys();
    this.#state = state.done;
  }

  #key(code: number): void {
    const type = rdbTypes.get(code) ?? (this.#isValkey ? valkeyTypes : redisTypes).get(code);
    this.#input.string(0);
    this.#keyBytes = this.#input.bytes;
    this.#keyStart = this.#input.start;
    this.#keyEnd = this.#input.end;
    this.#keyName = undefined;
    this.#type = type ?? unknownType;
    // A name that was compressed, or a number, lies where the value's next such string will.
    if (this.#input.bytes !== this.#input.window) this.#keepKeyName();
    if (type === undefined) throw this.#unsupported(`the type ${code} is unknown${nameOfUnread(code)}`);
    this.#keyCount++;
    const wants =
      (this.#wantedDatabase === undefined || this.#database === this.#wantedDatabase) &&
      type.type !== undefined &&
      this.#sink.begin(type.type, this.#input.bytes, this.#input.start, this.#input.end, this.#expires);
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
    this.#input.trim();
  }

  #value(): void {
    const type = this.#type;
    if (type === undefined) throw new Error("no key is open");
    if (type.item === rdbItem.string) {
      this.#input.string(0);
      this.#sink.string(this.#input.bytes, this.#input.start, this.#input.end);
      this.#sink.end();
      this.#endKey();
      return;
    }
    if (type.head) {
      this.#input.pass(8);
    }
    this.#left = type.one ? 1 : this.#input.count();
    this.#item = type.item;
    this.#state = state.items;
  }

  #items(): void {
    while (this.#left > 0) {
      this.#readItem();
      this.#left--;
      this.#input.piece = this.#input.at;
    }
    this.#sink.end();
    this.#endKey();
  }

  #readItem(): void {
    switch (this.#item) {
      case rdbItem.quicklistNode: {
        const form = this.#input.length();
        this.#input.string(0);
        if (form === 2) this.#elements(this.#listpack);
        else if (form === 1) this.#sink.element(this.#input.bytes, this.#input.start, this.#input.end);
        else throw this.#damaged(`a node of a list has the unknown form ${form}`);
        break;
      }
      case rdbItem.field:
        this.#field();
        break;
      case rdbItem.element:
        this.#input.string(0);
        this.#sink.element(this.#input.bytes, this.#input.start, this.#input.end);
        break;
      case rdbItem.listpackFields:
        this.#input.string(0);
        this.#fields(this.#listpack, 2);
        break;
      case rdbItem.listpackTimedFields:
        this.#input.string(0);
        this.#fields(this.#listpack, 3);
        break;
      case rdbItem.ziplistFields:
        this.#input.string(0);
        this.#fields(this.#ziplist, 2);
        break;
      case rdbItem.zipmapFields:
        this.#input.string(0);
        this.#fields(this.#zipmap, 2);
        break;
      case rdbItem.timedField:
        this.#input.length();
        this.#field();
        break;
      case rdbItem.fieldWithTime:
        this.#fieldWithTime();
        break;
      case rdbItem.listpackElements:
        this.#input.string(0);
        this.#elements(this.#listpack);
        break;
      case rdbItem.ziplistElements:
        this.#input.string(0);
        this.#elements(this.#ziplist);
        break;
      case rdbItem.intsetElements:
        this.#input.string(0);
        this.#elements(this.#intset);
        break;
      case rdbItem.listpackScores:
        this.#input.string(0);
        this.#scores(this.#listpack);
        break;
      case rdbItem.ziplistScores:
        this.#input.string(0);
        this.#scores(this.#ziplist);
        break;
      case rdbItem.textScore:
        this.#input.string(0);
        this.#sink.member(this.#input.bytes, this.#input.start, this.#input.end, this.#textScore());
        break;
      case rdbItem.binaryScore:
        this.#input.string(0);
        this.#sink.member(this.#input.bytes, this.#input.start, this.#input.end, this.#binaryScore());
        break;
      default:
        throw new Error(`no item of layout ${this.#item} is read`);
    }
  }

  #field(): void {
    this.#input.string(0);
    const { bytes: name, start, end } = this.#input;
    this.#input.string(1);
    this.#sink.field(name, start, end, this.#input.bytes, this.#input.start, this.#input.end);
  }

  #fieldWithTime(): void {
    this.#input.string(0);
    const { bytes: name, start, end } = this.#input;
    this.#input.string(1);
    this.#input.pass(8);
    this.#sink.field(name, start, end, this.#input.bytes, this.#input.start, this.#input.end);
  }

  #elements(entries: CompactEntries): void {
    entries.open(this.#input.bytes, this.#input.start, this.#input.end);
    while (entries.next()) this.#sink.element(entries.bytes, entries.start, entries.end);
    if (entries.problem !== undefined) throw this.#damaged(entries.problem);
  }

  /** Names and values in turn; with a `width` of 3 each pair is followed by a time. */
  #fields(entries: CompactEntries, width: number): void {
    entries.open(this.#input.bytes, this.#input.start, this.#input.end);
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
    entries.open(this.#input.bytes, this.#input.start, this.#input.end);
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
    const length = this.#input.byte();
    if (length === 253) return Number.NaN;
    if (length === 254) return Number.POSITIVE_INFINITY;
    if (length === 255) return Number.NEGATIVE_INFINITY;
    this.#input.pass(length);
    return this.#scoreOf(this.#input.window, this.#input.at - length, this.#input.at);
  }

  #binaryScore(): number {
    this.#input.need(8);
    this.#double.setUint32(0, u32At(this.#input.window, this.#input.at), true);
    this.#double.setUint32(4, u32At(this.#input.window, this.#input.at + 4), true);
    this.#input.at += 8;
    return this.#double.getFloat64(0, true);
  }

  /** Passes over the contents of a key, string by string. */
  #skipItems(): void {
    if (this.#left < 0) {
      const type = this.#type;
      if (type === undefined) throw new Error("no key is open");
      if (type.head) {
        this.#input.pass(8);
      }
      this.#left = type.one ? 1 : this.#input.count();
      this.#input.piece = this.#input.at;
    }
    const pattern = this.#pattern;
    while (this.#left > 0) {
      while (this.#patternAt < pattern.length) {
        this.#skip(pattern[this.#patternAt]);
        this.#patternAt++;
        this.#input.piece = this.#input.at;
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
      this.#input.piece = this.#input.at;
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
        const length = this.#input.length();
        if (this.#input.form >= 0) throw this.#damaged("a number is none");
        return length;
      }
      case skipString:
        this.#input.skipString();
        return 0;
      case skipTextScore: {
        this.#input.need(1);
        const length = this.#input.window[this.#input.at];
        this.#input.pass(1 + (length < 253 ? length : 0));
        return 0;
      }
      default:
        this.#input.pass(request);
        return 0;
    }
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
