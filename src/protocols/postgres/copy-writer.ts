/** One column of the rows to be sent. Values that are absent are 0, or no bytes. */
export type CopyValues =
  | { readonly type: "int4"; readonly values: Uint32Array | undefined }
  /** Two elements a row, the low half first. */
  | { readonly type: "int8"; readonly values: Uint32Array | undefined }
  /** As `int8`, for a column of 32 bits: only the low halves are sent. */
  | { readonly type: "int4-of-8"; readonly values: Uint32Array | undefined }
  /** Numbers that count up from `first`. */
  | { readonly type: "serial"; readonly first: number }
  /** Row `r` is `arena[offsets[r] … offsets[r + 1])`. */
  | { readonly type: "bytes"; readonly offsets: Uint32Array | undefined; readonly arena: Uint8Array };

/** Encodes rows for `COPY … FROM STDIN (FORMAT binary)`. */
export interface CopyWriter {
  /**
   * Yields messages as they become full, each with five free bytes in front for the header; what is left stays for the next rows. The
   * consumer gives each message's buffer back through `recycle` when it has been sent.
   */
  add(columns: readonly CopyValues[], count: number): Generator<Uint8Array>;
  /** The last message, with the end mark. */
  end(): Uint8Array;
  recycle(message: Uint8Array): void;
}

const headerBytes = 5;
const messageBytes = 256 << 10;
const fileHeader = Uint8Array.of(
  0x50,
  0x47,
  0x43,
  0x4f,
  0x50,
  0x59,
  0x0a,
  0xff,
  0x0d,
  0x0a,
  0x00,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
);

export function openCopyWriter(): CopyWriter {
  const free: Uint8Array<ArrayBuffer>[] = [];
  let buffer = new Uint8Array(messageBytes);
  buffer.set(fileHeader, headerBytes);
  let at = headerBytes + fileHeader.length;

  function takeBuffer(bytes: number): Uint8Array<ArrayBuffer> {
    if (bytes > messageBytes) return new Uint8Array(bytes);
    return free.pop() ?? new Uint8Array(messageBytes);
  }

  /** Empties the buffer for a row of so many bytes. */
  function* makeRoom(bytes: number): Generator<Uint8Array> {
    if (at > headerBytes) yield buffer.subarray(0, at);
    else free.push(buffer);
    buffer = takeBuffer(headerBytes + bytes);
    at = headerBytes;
  }

  return {
    *add(columns, count) {
      const fixed = columns.reduce((sum, column) => sum + 4 + fixedBytes(column), 2);
      const variable = columns.filter((column) => column.type === "bytes");
      for (let row = 0; row < count; row++) {
        let bytes = fixed;
        for (const { offsets } of variable) if (offsets !== undefined) bytes += offsets[row + 1] - offsets[row];
        if (at + bytes > buffer.length) yield* makeRoom(bytes);
        at = putRow(buffer, at, columns, row);
      }
    },
    end() {
      // Room for the mark: a buffer of exactly one large row has none.
      if (at + 2 > buffer.length) {
        const longer = new Uint8Array(at + 2);
        longer.set(buffer.subarray(0, at));
        buffer = longer;
      }
      buffer[at] = 0xff;
      buffer[at + 1] = 0xff;
      return buffer.subarray(0, at + 2);
    },
    recycle(message) {
      const whole = new Uint8Array(message.buffer as ArrayBuffer);
      if (whole.length === messageBytes) free.push(whole);
    },
  };
}

function fixedBytes({ type }: CopyValues): number {
  if (type === "bytes") return 0;
  return type === "int8" || type === "serial" ? 8 : 4;
}

function putRow(buffer: Uint8Array, start: number, columns: readonly CopyValues[], row: number): number {
  let at = start;
  buffer[at] = columns.length >>> 8;
  buffer[at + 1] = columns.length;
  at += 2;
  for (const column of columns) {
    switch (column.type) {
      case "int4": {
        at = putWord(buffer, at, 4);
        at = putWord(buffer, at, column.values === undefined ? 0 : column.values[row]);
        break;
      }
      case "int8": {
        at = putWord(buffer, at, 8);
        const { values } = column;
        at = putWord(buffer, at, values === undefined ? 0 : values[2 * row + 1]);
        at = putWord(buffer, at, values === undefined ? 0 : values[2 * row]);
        break;
      }
      case "int4-of-8": {
        at = putWord(buffer, at, 4);
        at = putWord(buffer, at, column.values === undefined ? 0 : column.values[2 * row]);
        break;
      }
      case "serial": {
        at = putWord(buffer, at, 8);
        const value = column.first + row;
        at = putWord(buffer, at, Math.floor(value / 4294967296));
        at = putWord(buffer, at, value);
        break;
      }
      case "bytes": {
        const { offsets, arena } = column;
        const from = offsets === undefined ? 0 : offsets[row];
        const length = offsets === undefined ? 0 : offsets[row + 1] - from;
        at = putWord(buffer, at, length);
        // Short values byte by byte: a view for `set` costs more than thirty of them.
        if (length <= 32) for (let byte = 0; byte < length; byte++) buffer[at + byte] = arena[from + byte];
        else buffer.set(arena.subarray(from, from + length), at);
        at += length;
        break;
      }
    }
  }
  return at;
}

function putWord(buffer: Uint8Array, at: number, value: number): number {
  buffer[at] = value >>> 24;
  buffer[at + 1] = value >>> 16;
  buffer[at + 2] = value >>> 8;
  buffer[at + 3] = value;
  return at + 4;
}
