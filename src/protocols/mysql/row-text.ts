/** How rows are written: for LOAD DATA, or as the VALUES of an INSERT. */
export interface RowForm {
  readonly rowStart: Uint8Array;
  readonly rowEnd: Uint8Array;
  readonly bytesStart: Uint8Array;
  readonly bytesEnd: Uint8Array;
  /** Between two values. */
  readonly separator: number;
  /** By byte: what follows a backslash in its place, or 0 where it stands for itself. */
  readonly escapes: Uint8Array;
}

const backslash = 0x5c;
const none = new Uint8Array(0);

/** `FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n'`, character set binary. */
export const loadForm: RowForm = {
  rowStart: none,
  rowEnd: Buffer.from("\n"),
  bytesStart: none,
  bytesEnd: none,
  separator: 0x09,
  escapes: escapesOf({ "\t": "t", "\n": "n", "\\": "\\" }),
};

/** `(1,_binary'name'),…`: a comma stands after the last row, too. */
export const insertForm: RowForm = {
  rowStart: Buffer.from("("),
  rowEnd: Buffer.from("),"),
  bytesStart: Buffer.from("_binary'"),
  bytesEnd: Buffer.from("'"),
  separator: 0x2c,
  escapes: escapesOf({ "'": "'", "\\": "\\" }),
};

function escapesOf(pairs: Readonly<Record<string, string>>): Uint8Array {
  const table = new Uint8Array(256);
  for (const [from, to] of Object.entries(pairs)) table[from.charCodeAt(0)] = to.charCodeAt(0);
  return table;
}

/** The four digits of 0 … 9999, one group after the other. */
const digitGroups = new Uint8Array(40_000);
for (let group = 0; group < 10_000; group++) digitGroups.set(Buffer.from(String(group).padStart(4, "0")), 4 * group);

/** Bytes that a number takes at most. */
const numberBytesMax = 24;

/** Rows as text, in one buffer that is used again: the hot path of a restore. */
export class RowText {
  readonly form: RowForm;
  #buffer: Uint8Array;
  #length = 0;

  constructor(form: RowForm, firstBytes = 1 << 20) {
    this.form = form;
    this.#buffer = new Uint8Array(firstBytes);
  }

  get length(): number {
    return this.#length;
  }

  /** What was written since `clear`: a view that the next write makes invalid. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#buffer.length, this.#length + bytes));
    larger.set(this.bytes);
    this.#buffer = larger;
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    for (const byte of bytes) this.#buffer[this.#length++] = byte;
  }

  separator(): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = this.form.separator;
  }

  /** A whole number of at most 2^53, with its sign. */
  number(value: number): void {
    this.#reserve(numberBytesMax);
    if (value >= 0) this.#unsigned(value);
    else {
      this.#buffer[this.#length++] = 0x2d;
      this.#unsigned(-value);
    }
  }

  /** A 64-bit number in two halves, as signed. */
  signed64(low: number, high: number): void {
    const top = high | 0;
    if (top < 0x200000 && top >= -0x200000) this.number(top * 4294967296 + low);
    else this.big((BigInt(top) << 32n) | BigInt(low));
  }

  big(value: bigint): void {
    this.raw(Buffer.from(value.toString()));
  }

  #unsigned(value: number): void {
    if (value < 10_000) this.#small(value);
    else if (value < 100_000_000) {
      const upper = (value / 10_000) | 0;
      this.#small(upper);
      this.#group(value - upper * 10_000);
    } else {
      const upper = Math.floor(value / 100_000_000);
      const lower = value - upper * 100_000_000;
      this.#unsigned(upper);
      const middle = (lower / 10_000) | 0;
      this.#group(middle);
      this.#group(lower - middle * 10_000);
    }
  }

  #small(value: number): void {
    const buffer = this.#buffer;
    const group = 4 * value;
    if (value >= 1000) buffer[this.#length++] = digitGroups[group];
    if (value >= 100) buffer[this.#length++] = digitGroups[group + 1];
    if (value >= 10) buffer[this.#length++] = digitGroups[group + 2];
    buffer[this.#length++] = digitGroups[group + 3];
  }

  #group(value: number): void {
    const buffer = this.#buffer;
    const group = 4 * value;
    const at = this.#length;
    buffer[at] = digitGroups[group];
    buffer[at + 1] = digitGroups[group + 1];
    buffer[at + 2] = digitGroups[group + 2];
    buffer[at + 3] = digitGroups[group + 3];
    this.#length = at + 4;
  }

  /** Bytes as a value, escaped as the form wants it. */
  value(bytes: Uint8Array, from: number, to: number): void {
    const { bytesStart, bytesEnd, escapes } = this.form;
    this.#reserve(2 * (to - from) + bytesStart.length + bytesEnd.length);
    if (bytesStart.length > 0) this.raw(bytesStart);
    const buffer = this.#buffer;
    let at = this.#length;
    for (let index = from; index < to; index++) {
      const byte = bytes[index];
      const escape = escapes[byte];
      if (escape === 0) buffer[at++] = byte;
      else {
        buffer[at++] = backslash;
        buffer[at++] = escape;
      }
    }
    this.#length = at;
    if (bytesEnd.length > 0) this.raw(bytesEnd);
  }
}
