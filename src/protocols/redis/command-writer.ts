import type { CollectionType, CollectionWriter, KeyWriter } from "./key-writer.ts";
import { putSmall, putText } from "./put-decimal.ts";
import type { SpillOutput } from "./spill-output.ts";

/** Keys that one MSET sets: 1,000,000 of them take Redis 0.3 s so, and 0.7 s one by one. */
const stringsPerCommand = 128;

/** What a command carries at most, unless one value has more: a server does nothing else while it works on one. */
const commandBytes = 32 << 10;
const elementsPerCommand = 256;

export interface CommandWriter extends KeyWriter {
  /** Commands written so far; each is answered by one line. */
  readonly commands: number;
  /** Ends commands that wait for more. */
  flush(): void;
}

/** Writes keys as RESP commands: MSET, RPUSH, HSET, SADD, ZADD. Every reply is one line: `+OK` or a number. */
export function commandWriter(output: SpillOutput): CommandWriter {
  let commands = 0;
  const strings = new Body();
  let stringCount = 0;

  function flush(): void {
    if (stringCount === 0) return;
    commands++;
    const at = output.reserve(32 + strings.length);
    let end = putText(output.bytes, at, "*");
    end = putSmall(output.bytes, end, 1 + 2 * stringCount);
    end = putText(output.bytes, end, "\r\n$4\r\nMSET\r\n");
    end = strings.moveTo(output.bytes, end);
    output.giveBack(at + 32 + strings.length - end);
    strings.length = 0;
    stringCount = 0;
  }

  function list(
    key: Uint8Array,
    keyLength: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    elementLength: number,
  ): void {
    for (let from = start; from < end; from += elementsPerCommand * elementLength) {
      const to = Math.min(end, from + elementsPerCommand * elementLength);
      const count = Math.ceil((to - from) / elementLength);
      const room = 48 + keyLength + count * 16 + (to - from);
      const at = output.reserve(room);
      const out = output.bytes;
      let place = putText(out, at, "*");
      place = putSmall(out, place, 2 + count);
      place = putText(out, place, "\r\n$5\r\nRPUSH\r\n");
      place = putBulk(out, place, key, 0, keyLength);
      for (let element = from; element < to; element += elementLength) {
        place = putBulk(out, place, bytes, element, Math.min(to, element + elementLength));
      }
      output.giveBack(at + room - place);
      commands++;
    }
  }

  function collection(type: CollectionType): CollectionWriter {
    const verb = { hash: "$4\r\nHSET\r\n", set: "$4\r\nSADD\r\n", zset: "$4\r\nZADD\r\n" }[type];
    const partsPerElement = type === "set" ? 1 : 2;
    const body = new Body();
    let key = new Uint8Array(0);
    let count = 0;
    function ship(): void {
      if (count === 0) return;
      commands++;
      const room = 48 + key.length + 16 + body.length;
      const at = output.reserve(room);
      const out = output.bytes;
      let place = putText(out, at, "*");
      place = putSmall(out, place, 2 + count * partsPerElement);
      place = putText(out, place, "\r\n");
      place = putText(out, place, verb);
      place = putBulk(out, place, key, 0, key.length);
      place = body.moveTo(out, place);
      output.giveBack(at + room - place);
      body.length = 0;
      count = 0;
    }
    /** Before an element; what was written before is complete. */
    function begin(): void {
      if (count === elementsPerCommand || body.length > commandBytes) ship();
      count++;
    }
    return {
      get bytes() {
        return body.bytes;
      },
      begin(newKey, keyLength) {
        key = newKey.slice(0, keyLength);
      },
      field(name, start, end, valueLength) {
        begin();
        const at = body.reserve(32 + (end - start) + valueLength);
        const place = putBulk(body.bytes, at, name, start, end);
        const valueAt = putLength(body.bytes, place, valueLength);
        body.bytes[valueAt + valueLength] = 13;
        body.bytes[valueAt + valueLength + 1] = 10;
        body.length = valueAt + valueLength + 2;
        return valueAt;
      },
      member(name, start, end) {
        begin();
        const at = body.reserve(16 + (end - start));
        body.length = putBulk(body.bytes, at, name, start, end);
      },
      scored(name, start, end, score) {
        begin();
        const at = body.reserve(32 + score.length + (end - start));
        let place = putLength(body.bytes, at, score.length);
        place = putText(body.bytes, place, score);
        place = putText(body.bytes, place, "\r\n");
        body.length = putBulk(body.bytes, place, name, start, end);
      },
      end: ship,
    };
  }

  return {
    get commands() {
      return commands;
    },
    get bytes() {
      return strings.bytes;
    },
    flush,
    string(key, keyLength, valueLength) {
      if (stringCount === stringsPerCommand || strings.length > commandBytes) flush();
      stringCount++;
      const at = strings.reserve(32 + keyLength + valueLength);
      const place = putBulk(strings.bytes, at, key, 0, keyLength);
      const valueAt = putLength(strings.bytes, place, valueLength);
      strings.bytes[valueAt + valueLength] = 13;
      strings.bytes[valueAt + valueLength + 1] = 10;
      strings.length = valueAt + valueLength + 2;
      return valueAt;
    },
    list,
    collection,
  };
}

/** Arguments of a command whose number is not known yet. */
class Body {
  bytes = new Uint8Array(2 * commandBytes);
  length = 0;

  /** Makes room and returns where it begins; the caller sets `length`. */
  reserve(count: number): number {
    if (this.length + count > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.length + count, 2 * this.bytes.length));
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    return this.length;
  }

  moveTo(out: Uint8Array, at: number): number {
    out.set(this.bytes.subarray(0, this.length), at);
    return at + this.length;
  }
}

/** `$<length>\r\n`. */
function putLength(out: Uint8Array, at: number, length: number): number {
  out[at] = 36;
  let end: number;
  if (length < 10) {
    out[at + 1] = 48 + length;
    end = at + 2;
  } else if (length < 100) {
    const tens = (length * 205) >> 11;
    out[at + 1] = 48 + tens;
    out[at + 2] = 48 + length - 10 * tens;
    end = at + 3;
  } else end = putSmall(out, at + 1, length);
  out[end] = 13;
  out[end + 1] = 10;
  return end + 2;
}

/** A whole argument: its length and its bytes. */
function putBulk(out: Uint8Array, at: number, bytes: Uint8Array, start: number, end: number): number {
  let place = putLength(out, at, end - start);
  if (end - start > 64) {
    out.set(bytes.subarray(start, end), place);
    place += end - start;
  } else for (let from = start; from < end; from++) out[place++] = bytes[from];
  out[place] = 13;
  out[place + 1] = 10;
  return place + 2;
}
