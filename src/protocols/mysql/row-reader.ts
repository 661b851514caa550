import type { BytesSink, ColumnSink } from "../../std/column-sink.ts";
import { sinkRowCount } from "../../std/column-sink.ts";
import type { ResultColumn } from "./connection.ts";
import type { PacketLink } from "./packet-link.ts";
import { packetBytesMax, packetLength } from "./packet-link.ts";
import { errorOfPacket, MysqlProtocolError, MysqlValueError } from "./server-error.ts";

/** Fills sinks with the rows of one result, as they arrive. */
export interface RowReader {
  /**
   * Fills the sinks from their first element; returns how many rows, 0 after the last. Fewer than fit where `arenaBytesMax` bytes are reached in one of
   * the sinks of bytes.
   */
  next(arenaBytesMax: number): Promise<number>;
  /** Bytes of all rows so far, as they came over the line. */
  readonly bytesRead: number;
}

/** How a value is decoded: the form on the line, and the sink. */
const decoding = {
  int32ToU32: 0,
  int32ToI64: 1,
  int64ToI64: 2,
  int64ToU32: 3,
  bytes: 4,
  shortToU32: 5,
  shortToI64: 6,
} as const;

type Decoding = (typeof decoding)[keyof typeof decoding];

interface Field {
  readonly name: string;
  readonly how: Decoding;
  /** Bytes of a fixed form. */
  readonly width: number;
  readonly isUnsigned: boolean;
  readonly sink: ColumnSink;
  values: Uint32Array;
}

/** MySQL's type numbers (`enum_field_types`). */
const integerWidths = new Map([
  [1, 1],
  [2, 2],
  [13, 2],
  [9, 4],
  [3, 4],
  [8, 8],
]);
const bytesTypes = new Set([15, 249, 250, 251, 252, 253, 254]);

/** The rows of a binary result (protocol, "Binary Protocol Resultset"): 0x00, a bit for each NULL from bit 2 on, values. */
export function openRowReader(
  link: PacketLink,
  columns: readonly ResultColumn[],
  sinks: readonly ColumnSink[],
  onEnd: () => void,
): RowReader {
  if (columns.length !== sinks.length) throw new MysqlProtocolError("a result has other columns than were asked for");
  const fields = columns.map((column, at) => fieldOf(column, sinks[at]));
  const rowCountMax = Math.min(...sinks.map(sinkRowCount));
  const nullBytes = (columns.length + 9) >> 3;
  const decoder = new RowDecoder(fields, nullBytes);
  let isAtEnd = false;
  let bytesRead = 0;

  function endWith(at: number, length: number): void {
    const { window } = link;
    const packet = window.subarray(at, at + length);
    if (packet[0] === 0xff) throw errorOfPacket(packet);
    if (packet[0] !== 0xfe || length >= 9) throw new MysqlProtocolError("a row begins with an unknown byte");
    isAtEnd = true;
    onEnd();
  }

  /** Decodes whole packets of the window until the sinks are full or a packet is missing; returns the rows in the sinks then. */
  function decodeWindow(rows: number, arenaBytesMax: number): number {
    const { window, to } = link;
    let from = link.from;
    let row = rows;
    while (row < rowCountMax && to - from >= 4) {
      const length = packetLength(window, from);
      if (length === packetBytesMax || to - from < 4 + length) break;
      link.noteSequence(window[from + 3]);
      const at = from + 4;
      from = at + length;
      link.from = from;
      if (window[at] !== 0 || length === 0) {
        endWith(at, length);
        break;
      }
      bytesRead += 4 + length;
      decoder.decode(window, at, from, row++);
      if (decoder.arenaBytes >= arenaBytesMax) break;
    }
    return row;
  }

  return {
    get bytesRead() {
      return bytesRead;
    },
    async next(arenaBytesMax) {
      decoder.begin();
      let rows = 0;
      while (!isAtEnd) {
        rows = decodeWindow(rows, arenaBytesMax);
        if (isAtEnd || rows === rowCountMax || decoder.arenaBytes >= arenaBytesMax) break;
        if (link.to - link.from >= 4 && packetLength(link.window, link.from) === packetBytesMax) {
          // A row of 16 MiB or more comes in parts.
          const packet = await link.packet();
          bytesRead += packet.length;
          decoder.decode(packet, 0, packet.length, rows++);
        } else await link.more();
      }
      return rows;
    },
  };
}

function fieldOf(column: ResultColumn, sink: ColumnSink): Field {
  const { name, type, isUnsigned } = column;
  const values = sink.type === "bytes" ? new Uint32Array(0) : sink.values;
  if (sink.type === "bytes") {
    if (!bytesTypes.has(type)) throw unexpectedType(name, type);
    return { name, how: decoding.bytes, width: 0, isUnsigned, sink, values };
  }
  const width = integerWidths.get(type);
  if (width === undefined) throw unexpectedType(name, type);
  const isSmallSink = sink.type === "u32";
  let how: Decoding = isSmallSink ? decoding.shortToU32 : decoding.shortToI64;
  if (width === 4) how = isSmallSink ? decoding.int32ToU32 : decoding.int32ToI64;
  if (width === 8) how = isSmallSink ? decoding.int64ToU32 : decoding.int64ToI64;
  return { name, how, width, isUnsigned, sink, values };
}

function unexpectedType(name: string, type: number): MysqlValueError {
  return new MysqlValueError(`column ${name} has an unexpected type (${type})`);
}

/** Decodes one row after the other; the hot path of a backup. */
class RowDecoder {
  readonly #fields: readonly Field[];
  readonly #nullBytes: number;
  /** The greatest number of bytes in a sink of bytes. */
  arenaBytes = 0;

  constructor(fields: readonly Field[], nullBytes: number) {
    this.#fields = fields;
    this.#nullBytes = nullBytes;
  }

  /** The arrays of the sinks may be others than before. */
  begin(): void {
    this.arenaBytes = 0;
    for (const field of this.#fields) if (field.sink.type !== "bytes") field.values = field.sink.values;
  }

  decode(bytes: Uint8Array, from: number, end: number, row: number): void {
    const fields = this.#fields;
    const nulls = from + 1;
    let at = nulls + this.#nullBytes;
    for (let index = 0; index < fields.length; index++) {
      const field = fields[index];
      const bit = index + 2;
      if ((bytes[nulls + (bit >> 3)] & (1 << (bit & 7))) !== 0) {
        putNull(field, row);
        continue;
      }
      switch (field.how) {
        case decoding.int32ToU32: {
          const value = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
          if (value < 0 && !field.isUnsigned) throw outOfRange(field.name);
          field.values[row] = value;
          at += 4;
          break;
        }
        case decoding.int64ToI64: {
          const { values } = field;
          values[2 * row] = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
          values[2 * row + 1] = bytes[at + 4] | (bytes[at + 5] << 8) | (bytes[at + 6] << 16) | (bytes[at + 7] << 24);
          at += 8;
          break;
        }
        case decoding.int32ToI64: {
          const value = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
          field.values[2 * row] = value;
          field.values[2 * row + 1] = field.isUnsigned ? 0 : value >> 31;
          at += 4;
          break;
        }
        case decoding.bytes:
          at = this.#takeBytes(field.sink as BytesSink, bytes, at, end, row);
          break;
        case decoding.int64ToU32:
          if ((bytes[at + 4] | bytes[at + 5] | bytes[at + 6] | bytes[at + 7]) !== 0) throw outOfRange(field.name);
          field.values[row] = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
          at += 8;
          break;
        default:
          putShort(field, bytes, at, row);
          at += field.width;
      }
    }
    if (at !== end) throw new MysqlProtocolError("a row is not as long as it says");
  }

  #takeBytes(sink: BytesSink, bytes: Uint8Array, from: number, end: number, row: number): number {
    let at = from;
    let length = bytes[at++];
    if (length >= 0xfb) {
      if (length === 0xfc) {
        length = bytes[at] | (bytes[at + 1] << 8);
        at += 2;
      } else if (length === 0xfd) {
        length = packetLength(bytes, at);
        at += 3;
      } else {
        length = bytes[at] + bytes[at + 1] * 0x100 + bytes[at + 2] * 0x10000 + bytes[at + 3] * 0x1000000;
        at += 8;
      }
    }
    const stop = at + length;
    if (stop > end) throw new MysqlProtocolError("a value reaches beyond its row");
    const { offsets } = sink;
    const start = row === 0 ? 0 : offsets[row];
    if (row === 0) offsets[0] = 0;
    const used = start + length;
    if (used > sink.arena.length) grow(sink, start, used);
    const { arena } = sink;
    if (length > 40) arena.set(bytes.subarray(at, stop), start);
    else for (let to = start; at < stop;) arena[to++] = bytes[at++];
    offsets[row + 1] = used;
    if (used > this.arenaBytes) this.arenaBytes = used;
    return stop;
  }
}

function grow(sink: BytesSink, used: number, needed: number): void {
  const larger = new Uint8Array(Math.max(2 * sink.arena.length, needed));
  larger.set(sink.arena.subarray(0, used));
  sink.arena = larger;
}

function putNull(field: Field, row: number): void {
  const { sink, values } = field;
  sink.nullCount++;
  if (sink.type === "bytes") {
    if (row === 0) sink.offsets[0] = 0;
    sink.offsets[row + 1] = sink.offsets[row];
  } else if (sink.type === "u32") values[row] = sink.nullValue;
  else {
    values[2 * row] = Number(BigInt.asUintN(32, sink.nullValue));
    values[2 * row + 1] = Number(BigInt.asUintN(32, sink.nullValue >> 32n));
  }
}

/** TINYINT and SMALLINT, which JuiceFS does not declare itself. */
function putShort(field: Field, bytes: Uint8Array, at: number, row: number): void {
  const { width, isUnsigned, values } = field;
  const raw = width === 1 ? bytes[at] : bytes[at] | (bytes[at + 1] << 8);
  const shift = 32 - 8 * width;
  const value = isUnsigned ? raw : (raw << shift) >> shift;
  if (field.how === decoding.shortToI64) {
    values[2 * row] = value;
    values[2 * row + 1] = value >> 31;
    return;
  }
  if (value < 0) throw outOfRange(field.name);
  values[row] = value;
}

function outOfRange(name: string): MysqlValueError {
  return new MysqlValueError(`a value of column ${name} is out of its range`);
}
