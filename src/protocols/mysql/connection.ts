import type { ColumnSink } from "../../std/column-sink.ts";
import { PacketCursor } from "./packet-cursor.ts";
import type { PacketLink } from "./packet-link.ts";
import type { RowReader } from "./row-reader.ts";
import { openRowReader } from "./row-reader.ts";
import { errorOfPacket, MysqlProtocolError } from "./server-error.ts";

/** A row of a small result: the bytes of each value as text, or null. */
export type TextRow = readonly (Buffer | null)[];

/** What the server says of a statement that gives no rows. */
export interface Outcome {
  readonly affectedRows: number;
  readonly warnings: number;
}

/** A column of a result. */
export interface ResultColumn {
  readonly name: string;
  /** MySQL's type number: 3 LONG, 8 LONGLONG, 253 VAR_STRING, 252 BLOB, … */
  readonly type: number;
  readonly isUnsigned: boolean;
}

/** Data on its way to a LOAD DATA LOCAL statement. */
export interface LoadStream {
  /** Sends a part of the announced file; resolves when its bytes may be used again. Throws what the server says meanwhile. */
  write(bytes: Uint8Array): Promise<void>;
  /** The file is complete. */
  finish(): Promise<Outcome>;
}

const comQuery = 3;
const comStmtPrepare = 0x16;
const comStmtExecute = 0x17;
const comStmtClose = 0x19;

/** Below the least max_allowed_packet that servers come with. */
const loadPacketBytes = 512 << 10;

const okHeader = 0x00;
const localInfileHeader = 0xfb;
const eofHeader = 0xfe;
const unsignedFlag = 0x20;

/** One connection that has logged in. One statement at a time; a failed protocol leaves it unusable. */
export class MysqlConnection implements Disposable {
  readonly #link: PacketLink;
  /** `10.11.6-MariaDB-…`, `8.0.36`. */
  readonly serverVersion: string;
  readonly threadId: number;

  constructor(link: PacketLink, serverVersion: string, threadId: number) {
    this.#link = link;
    this.serverVersion = serverVersion;
    this.threadId = threadId;
  }

  get isMariaDb(): boolean {
    return /mariadb/i.test(this.serverVersion);
  }

  /** Longest silence of the server that is waited for, in milliseconds. */
  set silenceMs(value: number) {
    this.#link.silenceMs = value;
  }

  /** Runs a statement and takes all its rows: for small results. */
  async query(sql: string): Promise<TextRow[]> {
    const first = await this.#send(sql);
    if (first[0] === okHeader) return [];
    const columns = await this.#columnCount(first);
    await this.#columns(columns);
    const rows: TextRow[] = [];
    for (;;) {
      const packet = await this.#link.answer();
      if (isEof(packet)) return rows;
      const cursor = new PacketCursor(packet);
      rows.push(Array.from({ length: columns }, () => cursor.value()));
    }
  }

  /** Runs a statement that gives no rows. */
  async run(sql: string | Buffer): Promise<Outcome> {
    const first = await this.#send(sql);
    if (first[0] !== okHeader) throw new MysqlProtocolError("a statement gave rows where none were expected");
    return outcomeOf(first);
  }

  /**
   * Runs a SELECT in the binary protocol, whose rows go straight into the sinks: one for each column, in order. Nothing else may be sent until the
   * reader is at its end.
   */
  async scan(sql: string, sinks: readonly ColumnSink[]): Promise<RowReader> {
    this.#link.command(Buffer.concat([Buffer.of(comStmtPrepare), Buffer.from(sql)]));
    const prepared = new PacketCursor(await this.#link.answer(), 1);
    const statement = prepared.fixed(4);
    const columnCount = prepared.fixed(2);
    const parameterCount = prepared.fixed(2);
    if (parameterCount > 0) throw new MysqlProtocolError("a scan cannot have parameters");
    if (columnCount > 0) await this.#columns(columnCount);
    const execute = Buffer.alloc(10);
    execute[0] = comStmtExecute;
    execute.writeUInt32LE(statement, 1);
    execute.writeUInt32LE(1, 6);
    this.#link.command(execute);
    const first = await this.#link.answer();
    const columns = await this.#columns(await this.#columnCount(first));
    return openRowReader(this.#link, columns, sinks, () => {
      const close = Buffer.alloc(5);
      close[0] = comStmtClose;
      close.writeUInt32LE(statement, 1);
      this.#link.command(close);
    });
  }

  /** Begins a LOAD DATA LOCAL INFILE of that name. The server gets what is written into the stream, and never a file. */
  async load(sql: string, name: string): Promise<LoadStream> {
    const link = this.#link;
    link.command(Buffer.concat([Buffer.of(comQuery), Buffer.from(sql)]));
    const first = await link.answer();
    if (first[0] !== localInfileHeader) throw new MysqlProtocolError("the server does not ask for the announced data");
    if (first.toString("utf8", 1) !== name) {
      link.destroy();
      throw new MysqlProtocolError("the server asks for another file than the announced data; nothing was sent");
    }
    return {
      async write(bytes) {
        for (let at = 0; at < bytes.length; at += loadPacketBytes) {
          await link.sendFlushed(bytes.subarray(at, at + loadPacketBytes));
          if (link.hasUnread) await refuse(link);
        }
      },
      async finish() {
        link.send(new Uint8Array(0));
        return outcomeOf(await link.answer());
      },
    };
  }

  async #send(sql: string | Buffer): Promise<Buffer> {
    const text = typeof sql === "string" ? Buffer.from(sql) : sql;
    this.#link.command(Buffer.concat([Buffer.of(comQuery), text]));
    const first = await this.#link.answer();
    if (first[0] !== localInfileHeader) return first;
    // Only `load` announces data: a server that asks for a file here is refused, whatever the file.
    this.#link.destroy();
    throw new MysqlProtocolError("the server asks for a local file that nobody offered; nothing was sent");
  }

  async #columnCount(first: Buffer): Promise<number> {
    const count = new PacketCursor(first).integer();
    if (count === 0 || count > 4096) throw new MysqlProtocolError(`a result has ${count} columns`);
    return count;
  }

  /** Column definitions and the EOF packet after them. */
  async #columns(count: number): Promise<ResultColumn[]> {
    const columns: ResultColumn[] = [];
    for (let at = 0; at < count; at++) columns.push(columnOf(await this.#link.answer()));
    if (!isEof(await this.#link.answer())) throw new MysqlProtocolError("a result has more columns than it says");
    return columns;
  }

  /** Says good-bye. */
  close(): void {
    this.#link.quit();
  }

  [Symbol.dispose](): void {
    this.#link.quit();
  }
}

/** Data was being sent and the server said something: that can only be an error. */
async function refuse(link: PacketLink): Promise<never> {
  const packet = await link.packet();
  if (packet[0] === 0xff) throw errorOfPacket(packet);
  throw new MysqlProtocolError("the server answers before all data is sent");
}

/** An EOF packet is shorter than 9 bytes; a row that begins with 0xfe is longer. */
function isEof(packet: Uint8Array): boolean {
  return packet[0] === eofHeader && packet.length < 9;
}

function outcomeOf(packet: Buffer): Outcome {
  const cursor = new PacketCursor(packet, 1);
  const affectedRows = cursor.integer();
  cursor.integer();
  cursor.fixed(2);
  return { affectedRows, warnings: cursor.fixed(2) };
}

/** A column definition (protocol 4.1); what stands between the names and the fixed part is of other servers' making. */
function columnOf(packet: Buffer): ResultColumn {
  const cursor = new PacketCursor(packet);
  for (let skipped = 0; skipped < 4; skipped++) cursor.bytes();
  const name = cursor.bytes().toString();
  cursor.bytes();
  // MariaDB's extended metadata, where it is agreed on, stands here; the fixed part is the last 13 bytes.
  const fixed = new PacketCursor(packet.subarray(packet.length - 13));
  if (fixed.fixed(1) !== 0x0c) throw new MysqlProtocolError("a column definition has an unknown form");
  fixed.fixed(2);
  fixed.fixed(4);
  const type = fixed.fixed(1);
  return { name, type, isUnsigned: (fixed.fixed(2) & unsignedFlag) !== 0 };
}
