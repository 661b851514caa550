/**
 * RESP2, Redis' wire protocol (https://redis.io/docs/latest/develop/reference/protocol-spec/): commands as arrays of bulk
 * strings, and an incremental parser of replies.
 */

/** One argument of a command; numbers are written in decimal. */
export type CommandPart = string | number | bigint | Uint8Array;

export type Command = readonly CommandPart[];

/**
 * One reply: a simple string as `string`, an integer as `number` (as `bigint` above 2^53), a bulk string as `Buffer`, an absent one
 * as `null`, an error as `RespError`, an array as array.
 */
export type Reply = string | number | bigint | Buffer | null | RespError | Reply[];

/** An error that the server replied with: a value, not an exception, since one of a pipeline's replies may be one. */
export class RespError {
  /** The whole text: `WRONGTYPE Operation against …`. */
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** The first word, which says what kind of error it is: `ERR`, `NOPERM`, `LOADING`, … */
  get kind(): string {
    return /^[A-Z]+/.exec(this.text)?.[0] ?? "ERR";
  }
}

/** What a server sent is no RESP2, or beyond the bounds. */
export class RespSyntaxError extends Error {
  override name = "RespSyntaxError";
}

/** The bytes of a command. */
export function encodeCommand(command: Command): Buffer {
  return encodeCommands([command]);
}

/** The bytes of several commands, one after the other. */
export function encodeCommands(commands: readonly Command[]): Buffer {
  let length = 0;
  const sizes: number[] = [];
  for (const command of commands) {
    length += 3 + digitsOf(command.length);
    for (const part of command) {
      const size = sizeOf(part);
      sizes.push(size);
      length += 5 + digitsOf(size) + size;
    }
  }
  const bytes = Buffer.allocUnsafe(length);
  let at = 0;
  let next = 0;
  for (const command of commands) {
    at += bytes.write(`*${command.length}\r\n`, at, "latin1");
    for (const part of command) {
      const size = sizes[next++];
      at += bytes.write(`$${size}\r\n`, at, "latin1");
      if (part instanceof Uint8Array) bytes.set(part, at);
      else bytes.write(String(part), at, "utf8");
      at += size;
      bytes[at++] = 0x0d;
      bytes[at++] = 0x0a;
    }
  }
  return bytes;
}

function sizeOf(part: CommandPart): number {
  return part instanceof Uint8Array ? part.length : Buffer.byteLength(String(part));
}

function digitsOf(value: number): number {
  return String(value).length;
}

export interface ReplyBounds {
  /** Largest bulk string. */
  bulkBytesMax?: number;
  /** Most elements of one array. */
  elementsMax?: number;
  /** Most bytes and elements of one whole reply, each element counted as 16 bytes. */
  replyBytesMax?: number;
}

/** Redis' own bound of a bulk string (`proto-max-bulk-len`) unless it is configured. */
const defaultBulkBytesMax = 512 << 20;
const lineBytesMax = 64 << 10;
const depthMax = 16;

/** An array that is not complete yet. */
interface OpenArray {
  readonly items: Reply[];
  missing: number;
}

/**
 * Parses replies from pieces of any size. `push` a piece, then call `next` until it gives `undefined`. What lies behind the last complete
 * reply stays inside; `takeRest` gives it up, for a connection that stops to speak RESP (a full synchronisation).
 */
export class ReplyParser {
  readonly #bulkBytesMax: number;
  readonly #elementsMax: number;
  readonly #replyBytesMax: number;
  #data: Buffer = Buffer.alloc(0);
  #at = 0;
  readonly #open: OpenArray[] = [];
  #bulk: Buffer | undefined;
  #bulkFilled = 0;
  #replyBytes = 0;

  constructor(bounds: ReplyBounds = {}) {
    this.#bulkBytesMax = bounds.bulkBytesMax ?? defaultBulkBytesMax;
    this.#elementsMax = bounds.elementsMax ?? 1 << 24;
    this.#replyBytesMax = bounds.replyBytesMax ?? 2 * defaultBulkBytesMax;
  }

  /** Takes a piece over: it must not change afterwards. All complete replies must have been taken before. */
  push(piece: Buffer): void {
    this.#data = this.#at === this.#data.length ? piece : Buffer.concat([this.#data.subarray(this.#at), piece]);
    this.#at = 0;
  }

  /** The next complete reply, or `undefined` when more bytes are needed. Throws `RespSyntaxError`; the parser is useless then. */
  next(): Reply | undefined {
    for (;;) {
      const value = this.#bulk === undefined ? this.#readHead() : this.#fillBulk(this.#bulk);
      if (value === undefined) return undefined;
      const whole = this.#close(value);
      if (whole !== undefined) {
        this.#replyBytes = 0;
        return whole;
      }
    }
  }

  /** The bytes that are not parsed yet; only between replies. */
  takeRest(): Buffer {
    const rest = this.#data.subarray(this.#at);
    this.#data = Buffer.alloc(0);
    this.#at = 0;
    return rest;
  }

  /** Puts a complete value where it belongs; gives it back when it is a reply of its own. */
  #close(value: Reply): Reply | undefined {
    let done = value;
    for (;;) {
      const array = this.#open.at(-1);
      if (array === undefined) return done;
      array.items.push(done);
      if (--array.missing > 0) return undefined;
      this.#open.pop();
      done = array.items;
    }
  }

  /** A value, or `undefined` when bytes are missing. Arrays are opened on the way. */
  #readHead(): Reply | undefined {
    for (;;) {
      if (this.#at === this.#data.length) return undefined;
      switch (this.#data[this.#at]) {
        case 0x24: {
          // $
          const length = this.#readLength(this.#bulkBytesMax);
          if (length === undefined) return undefined;
          if (length < 0) return null;
          this.#account(16 + length);
          if (this.#data.length - this.#at >= length + 2) return this.#takeBulk(length);
          // Filled as it arrives, so that a large value costs one copy and not one for each piece.
          this.#bulk = Buffer.allocUnsafeSlow(length + 2);
          this.#bulkFilled = 0;
          return this.#fillBulk(this.#bulk);
        }
        case 0x2a: {
          // *
          const length = this.#readLength(this.#elementsMax);
          if (length === undefined) return undefined;
          if (length < 0) return null;
          if (length === 0) return [];
          this.#account(16);
          if (this.#open.length === depthMax) throw new RespSyntaxError("arrays nested too deep");
          this.#open.push({ items: [], missing: length });
          break;
        }
        default:
          return this.#readLine();
      }
    }
  }

  /** The number behind the type byte, -1 for an absent value; `undefined` when bytes are missing. */
  #readLength(most: number): number | undefined {
    const data = this.#data;
    const start = this.#at + 1;
    let at = start;
    let length = 0;
    if (data[at] === 0x2d) {
      // Only -1 is one.
      if (at + 4 > data.length) return undefined;
      if (data[at + 1] !== 0x31) throw new RespSyntaxError("a length that is none");
      length = -1;
      at += 2;
    } else {
      for (; at < data.length; at++) {
        const digit = data[at] - 0x30;
        if (digit < 0 || digit > 9) break;
        length = length * 10 + digit;
        if (length > most) throw new RespSyntaxError(`a length of ${length} or more, beyond the bound of ${most}`);
      }
      if (at + 2 > data.length) return undefined;
      if (at === start) throw new RespSyntaxError("a length that is none");
    }
    requireEnd(data, at);
    this.#at = at + 2;
    return length;
  }

  /** A simple string, an error or an integer. */
  #readLine(): Reply | undefined {
    const lineEnd = this.#data.indexOf("\r\n", this.#at, "latin1");
    if (lineEnd < 0) {
      if (this.#data.length - this.#at > lineBytesMax) throw new RespSyntaxError("a line without end");
      return undefined;
    }
    const type = this.#data[this.#at];
    const text = this.#data.toString("utf8", this.#at + 1, lineEnd);
    this.#at = lineEnd + 2;
    this.#account(16 + text.length);
    switch (type) {
      case 0x2b: // +
        return text;
      case 0x2d: // -
        return new RespError(text);
      case 0x3a: // :
        return integerOf(text);
      default:
        throw new RespSyntaxError(`unknown type byte 0x${type.toString(16)}`);
    }
  }

  #takeBulk(length: number): Buffer {
    const end = this.#at + length;
    requireEnd(this.#data, end);
    const value = this.#data.subarray(this.#at, end);
    this.#at = end + 2;
    return value;
  }

  #fillBulk(bulk: Buffer): Buffer | undefined {
    const copied = this.#data.copy(bulk, this.#bulkFilled, this.#at);
    this.#at += copied;
    this.#bulkFilled += copied;
    if (this.#bulkFilled < bulk.length) return undefined;
    this.#bulk = undefined;
    requireEnd(bulk, bulk.length - 2);
    return bulk.subarray(0, -2);
  }

  #account(bytes: number): void {
    this.#replyBytes += bytes;
    if (this.#replyBytes > this.#replyBytesMax) throw new RespSyntaxError("a reply beyond the bound");
  }
}

function requireEnd(data: Buffer, end: number): void {
  if (data[end] !== 0x0d || data[end + 1] !== 0x0a) throw new RespSyntaxError("a value that does not end with CR LF");
}

function integerOf(text: string): number | bigint {
  if (!/^[+-]?\d{1,20}$/.test(text)) throw new RespSyntaxError("an integer that is none");
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : BigInt(text);
}
