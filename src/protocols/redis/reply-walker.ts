import type { RedisSink } from "./rdb-sink.ts";
import { redisType } from "./rdb-sink.ts";
import { RespError } from "./resp.ts";

/** Keys of one type that were asked for: strings with one MGET, lists and hashes with an LRANGE or HGETALL each. */
export interface AskedKeys {
  readonly type: number;
  readonly count: number;
  /** Their names, one behind the other. */
  readonly names: Uint8Array;
  /** `count + 1` offsets into the names. */
  readonly offsets: Uint32Array;
}

/** The server answered with an error. */
export class ReplyRefused extends Error {
  override name = "ReplyRefused";
  readonly reply: RespError;
  /** That was refused. */
  readonly command: string;

  constructor(reply: RespError, command: string) {
    super(reply.text);
    this.reply = reply;
    this.command = command;
  }
}

const star = 0x2a;
const dollar = 0x24;
const minus = 0x2d;

/**
 * Hands the replies to MGET, LRANGE and HGETALL to a sink, key by key, as they come: no object for a reply or an element, which a parser of all
 * RESP needs most of its time for. A key that is not there is passed over.
 */
export class ReplyWalker {
  readonly #sink: RedisSink;
  readonly #asked: AskedKeys[] = [];
  #rest: Buffer = Buffer.alloc(0);
  /** The key of the first question that is under way, and the elements of it that are missing; below 0: not begun. */
  #key = 0;
  #missing = -1;
  #isWanted = false;
  /** Keys that were found. */
  found = 0;
  /** Called when all keys of a question are answered. */
  readonly #answered: (asked: AskedKeys) => void;

  constructor(sink: RedisSink, answered: (asked: AskedKeys) => void) {
    this.#sink = sink;
    this.#answered = answered;
  }

  /** A question that was sent after all others. */
  expect(asked: AskedKeys): void {
    this.#asked.push(asked);
  }

  /** Takes the next bytes of the connection. Throws `ReplyRefused` where the server answered with an error, and a `RangeError` for what is no reply. */
  feed(bytes: Buffer): void {
    const data = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    let at = 0;
    for (;;) {
      const asked = this.#asked[0];
      if (asked === undefined) break;
      const next = asked.type === redisType.string ? this.#strings(asked, data, at) : this.#elements(asked, data, at);
      if (next === at) break;
      at = next;
    }
    this.#rest = at === data.length ? Buffer.alloc(0) : Buffer.from(data.subarray(at));
  }

  /** Walks through the reply to MGET as far as it is there; returns the position of what is not. */
  #strings(asked: AskedKeys, data: Buffer, start: number): number {
    let at = start;
    if (this.#missing < 0) {
      const line = lineEnd(data, at);
      if (line < 0) return at;
      if (lengthAt(data, at, line, star, "MGET") !== asked.count)
        throw new RangeError("MGET answered another number of values");
      this.#missing = asked.count;
      at = line + 2;
    }
    while (this.#missing > 0) {
      const line = lineEnd(data, at);
      if (line < 0) return at;
      const length = lengthAt(data, at, line, dollar, "MGET");
      const from = line + 2;
      if (length >= 0) {
        if (from + length + 2 > data.length) return at;
        if (this.#begin(asked)) {
          this.#sink.string(data, from, from + length);
          this.#sink.end();
        }
      }
      at = length < 0 ? from : from + length + 2;
      this.#key++;
      this.#missing--;
    }
    this.#finish(asked);
    return at;
  }

  /** The same for one reply after the other, each the elements of one key. */
  #elements(asked: AskedKeys, data: Buffer, start: number): number {
    let at = start;
    const isHash = asked.type === redisType.hash;
    const command = isHash ? "HGETALL" : "LRANGE";
    while (this.#key < asked.count) {
      if (this.#missing < 0) {
        const line = lineEnd(data, at);
        if (line < 0) return at;
        this.#missing = lengthAt(data, at, line, star, command);
        at = line + 2;
        this.#isWanted = this.#missing > 0 && this.#begin(asked);
      }
      while (this.#missing > 0) {
        const line = lineEnd(data, at);
        if (line < 0) return at;
        const from = line + 2;
        const end = from + lengthAt(data, at, line, dollar, command);
        if (end + 2 > data.length) return at;
        if (isHash) {
          const valueLine = lineEnd(data, end + 2);
          if (valueLine < 0) return at;
          const valueFrom = valueLine + 2;
          const valueEnd = valueFrom + lengthAt(data, end + 2, valueLine, dollar, command);
          if (valueEnd + 2 > data.length) return at;
          if (this.#isWanted) this.#sink.field(data, from, end, data, valueFrom, valueEnd);
          at = valueEnd + 2;
          this.#missing -= 2;
        } else {
          if (this.#isWanted) this.#sink.element(data, from, end);
          at = end + 2;
          this.#missing--;
        }
      }
      if (this.#isWanted) this.#sink.end();
      this.#isWanted = false;
      this.#missing = -1;
      this.#key++;
    }
    this.#finish(asked);
    return at;
  }

  #begin({ type, names, offsets }: AskedKeys): boolean {
    this.found++;
    return this.#sink.begin(type, names, offsets[this.#key], offsets[this.#key + 1], false);
  }

  #finish(asked: AskedKeys): void {
    this.#asked.shift();
    this.#key = 0;
    this.#missing = -1;
    this.#answered(asked);
  }
}

/** Where the `\r\n` of a line begins; -1 when it is not there yet. Lines of lengths are short; those of errors may not be. */
function lineEnd(data: Buffer, at: number): number {
  for (let place = at; place + 1 < data.length; place++) {
    if (data[place] === 13 && data[place + 1] === 10) return place;
  }
  return -1;
}

/** The number of a line `*12` or `$12`; -1 for one that is not there. `command`: that it answers. */
function lengthAt(data: Buffer, at: number, end: number, kind: number, command: string): number {
  if (data[at] === minus) throw new ReplyRefused(new RespError(data.toString("utf8", at + 1, end)), command);
  if (data[at] !== kind) throw new RangeError("a reply of another kind than the command has");
  if (data[at + 1] === minus) return -1;
  let value = 0;
  for (let place = at + 1; place < end; place++) {
    const digit = data[place] - 48;
    if (digit < 0 || digit > 9) throw new RangeError("a length that is no number");
    value = value * 10 + digit;
  }
  return value;
}
