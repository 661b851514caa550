import type { BytesSink, ColumnSink } from "../../std/column-sink.ts";
import { sinkRowCount } from "../../std/column-sink.ts";
import { ProtocolError } from "./protocol-error.ts";

/** One column of the rows, in their order: its name for messages, and where it goes. */
export interface CopyColumn {
  readonly name: string;
  readonly sink: ColumnSink;
}

export interface CopyReaderOptions {
  readonly columns: readonly CopyColumn[];
  /** A batch ends with this many bytes of names and values in one column, or when the sinks' arrays are full. */
  readonly arenaBytesMax: number;
  /** The sinks hold `count` rows. New arrays may be put into them before it returns. */
  onRows(count: number): void;
}

/** Decodes the rows of `COPY … TO STDOUT (FORMAT binary)` straight into columns, no object a row. */
export interface CopyReader {
  /**
   * The payload of one CopyData message: `bytes[start … end)`. Servers send each row in one message, the header alone or before the first
   * one (protocol manual, "COPY Operations"); several rows in a message are taken, a row in two is an error.
   */
  readMessage(bytes: Uint8Array, start: number, end: number): void;
  /** After the last message: hands on what is left. Throws when the stream did not end as it should. */
  finish(): void;
}

/** `PGCOPY\n\377\r\n\0`, flags, length of an extension (PostgreSQL manual, COPY, "Binary Format"). */
const signature = [0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00];
const headerBytes = signature.length + 8;

const unsigned32 = 0;
const integer64 = 1;
const bytesKind = 2;

export function openCopyReader(options: CopyReaderOptions): CopyReader {
  const { columns, arenaBytesMax } = options;
  const columnCount = columns.length;
  const kinds = columns.map(({ sink }) =>
    sink.type === "bytes" ? bytesKind : sink.type === "u32" ? unsigned32 : integer64,
  );
  const rowCountMax = Math.min(...columns.map(({ sink }) => sinkRowCount(sink)));
  let hasHeader = false;
  let hasTrailer = false;
  let row = 0;
  // The sinks' arrays, taken out once for each batch.
  let values: Uint32Array[] = [];
  let arenas: Uint8Array[] = [];
  takeArrays();

  function takeArrays(): void {
    values = columns.map(({ sink }) => (sink.type === "bytes" ? sink.offsets : sink.values));
    arenas = columns.map(({ sink }) => (sink.type === "bytes" ? sink.arena : noBytes));
    for (const { sink } of columns) if (sink.type === "bytes") sink.offsets[0] = 0;
  }

  function readHeader(bytes: Uint8Array, start: number, end: number): number {
    if (end - start < headerBytes || signature.some((byte, at) => bytes[start + at] !== byte))
      throw new ProtocolError("the rows do not begin with the signature of binary COPY");
    const flags = wordAt(bytes, start + 11);
    if (flags >>> 16 !== 0) throw new ProtocolError(`the rows have the unknown flags ${flags >>> 0}`);
    const extension = wordAt(bytes, start + 15);
    if (extension < 0 || start + headerBytes + extension > end)
      throw new ProtocolError("the header of the rows is cut off");
    return start + headerBytes + extension;
  }

  function handOn(): void {
    const count = row;
    row = 0;
    if (count > 0) options.onRows(count);
    takeArrays();
  }

  /** Reads one row from `at`; returns where the next one begins. */
  function readRow(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    let isFull = false;
    for (let index = 0; index < columnCount; index++) {
      if (at + 4 > end) throw cutOff();
      const length = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
      at += 4;
      if (length > end - at) throw cutOff();
      const kind = kinds[index];
      if (kind === bytesKind) {
        const offset = values[index][row];
        if (length > 0) {
          if (offset + length > arenas[index].length) growArena(index, offset, length);
          copyBytes(bytes, at, length, arenas[index], offset);
          at += length;
        } else if (length < 0) columns[index].sink.nullCount++;
        const next = length > 0 ? offset + length : offset;
        values[index][row + 1] = next;
        if (next >= arenaBytesMax) isFull = true;
      } else if (kind === unsigned32 && length === 4) {
        const value = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
        if (value < 0) throw outOfRange(index);
        values[index][row] = value;
        at += 4;
      } else if (kind === integer64 && length === 8) {
        const column = values[index];
        column[2 * row + 1] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
        column[2 * row] = (bytes[at + 4] << 24) | (bytes[at + 5] << 16) | (bytes[at + 6] << 8) | bytes[at + 7];
        at += 8;
      } else at = readOther(bytes, at, length, index);
    }
    row++;
    if (isFull || row === rowCountMax) handOn();
    return at;
  }

  /** NULL, and integers of another width than the sink's. */
  function readOther(bytes: Uint8Array, at: number, length: number, index: number): number {
    const { sink } = columns[index];
    if (sink.type === "bytes") return at;
    const column = values[index];
    if (length < 0) {
      sink.nullCount++;
      if (sink.type === "u32") column[row] = sink.nullValue;
      else {
        const wide = BigInt.asUintN(64, sink.nullValue);
        column[2 * row] = Number(wide & 0xffffffffn);
        column[2 * row + 1] = Number(wide >> 32n);
      }
      return at;
    }
    if (length !== 2 && length !== 4 && length !== 8)
      throw new ProtocolError(`column ${columns[index].name} has a value of ${length} bytes, which is no integer`);
    const low = length === 2 ? ((bytes[at] << 24) >> 16) | bytes[at + 1] : wordAt(bytes, length === 8 ? at + 4 : at);
    const high = length === 8 ? wordAt(bytes, at) : low >> 31;
    if (sink.type === "u32") {
      if (high !== 0) throw outOfRange(index);
      column[row] = low;
    } else {
      column[2 * row] = low;
      column[2 * row + 1] = high;
    }
    return at + length;
  }

  function outOfRange(index: number): ProtocolError {
    return new ProtocolError(`column ${columns[index].name} has a value outside 0 to 4294967295`);
  }

  function growArena(index: number, used: number, length: number): void {
    const sink = columns[index].sink as BytesSink;
    const bigger = new Uint8Array(Math.max(2 * sink.arena.length, used + length));
    bigger.set(sink.arena.subarray(0, used));
    sink.arena = bigger;
    arenas[index] = bigger;
  }

  return {
    readMessage(bytes, start, end) {
      let at = start;
      if (!hasHeader) {
        at = readHeader(bytes, start, end);
        hasHeader = true;
      }
      while (at < end) {
        if (hasTrailer) throw new ProtocolError("rows follow the end mark of binary COPY");
        if (at + 2 > end) throw cutOff();
        const count = (bytes[at] << 8) | bytes[at + 1];
        at += 2;
        if (count === 0xffff) hasTrailer = true;
        else if (count === columnCount) at = readRow(bytes, at, end);
        else throw new ProtocolError(`a row has ${count} columns instead of ${columnCount}`);
      }
    },
    finish() {
      if (!hasTrailer) throw new ProtocolError("the rows ended without the end mark of binary COPY");
      handOn();
    },
  };
}

const noBytes = new Uint8Array(0);

function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
}

/** Short values byte by byte: a view for `set` costs more than thirty of them. */
function copyBytes(from: Uint8Array, start: number, length: number, to: Uint8Array, offset: number): void {
  if (length <= 32) for (let at = 0; at < length; at++) to[offset + at] = from[start + at];
  else to.set(from.subarray(start, start + length), offset);
}

function cutOff(): ProtocolError {
  return new ProtocolError("a row is cut off");
}
