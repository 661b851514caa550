import type { Batch } from "../../../model/batch.ts";
import type { LoadStream, MysqlConnection, Outcome } from "../../../protocols/mysql/connection.ts";
import { insertForm, loadForm, RowText } from "../../../protocols/mysql/row-text.ts";
import { MysqlProtocolError, MysqlServerError } from "../../../protocols/mysql/server-error.ts";
import { quoted } from "./session.ts";
import type { RowField, RowLayout } from "./table-rows.ts";

/** How rows go to the server. */
export interface LoadWay {
  /** LOAD DATA LOCAL where the server takes it, else INSERT statements. */
  readonly isLocalData: boolean;
  /** Several statements may number the rows of one table at a time (innodb_autoinc_lock_mode = 2). */
  readonly numbersAtOnce: boolean;
  /** The server's max_allowed_packet. */
  readonly packetBytes: number;
}

/** Fills one table. Rows come in the order of its primary key. */
export interface TableLoader {
  write(batch: Batch): Promise<void>;
  /** Rows so far are committed. */
  end(): Promise<void>;
}

/** What one LOAD DATA statement is given: its transaction should not grow with the volume. */
const loadStatementBytes = 64 << 20;
const insertStatementBytes = 1 << 20;
const insertsPerTransaction = 32;
/** Rows between two looks at how long the text is. */
const rowsPerLook = 256;

/** Asks the server how rows can be sent. */
export async function findLoadWay(connection: MysqlConnection): Promise<LoadWay> {
  const rows = await connection.query(
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('local_infile', 'max_allowed_packet', 'innodb_autoinc_lock_mode')",
  );
  const values = new Map(rows.map(([name, value]) => [String(name), String(value)]));
  return {
    isLocalData: values.get("local_infile")?.toUpperCase() === "ON",
    numbersAtOnce: values.get("innodb_autoinc_lock_mode") === "2",
    packetBytes: Number(values.get("max_allowed_packet") ?? 1 << 20),
  };
}

/**
 * A loader for a table that has the given columns. With several connections the rows go over all of them at a time, where the server does not make one
 * statement wait for the other.
 */
export function openTableLoader(
  connections: readonly [MysqlConnection, ...MysqlConnection[]],
  way: LoadWay,
  prefix: string,
  { table, fields }: RowLayout,
  columns: readonly string[],
): TableLoader {
  const present = fields.filter(({ name }) => columns.includes(name));
  const [first] = connections;
  if (!way.isLocalData) return new InsertLoader(first, way, prefix + table, present);
  const isNumbered = present.some(({ from }) => from.length === 0);
  const used = isNumbered && !way.numbersAtOnce ? [first] : connections;
  return new LocalDataLoader(used.map((connection) => new LocalDataStream(connection, prefix + table, present)));
}

/** The values of one batch, row by row. */
function bindFields(fields: readonly RowField[], batch: Batch, firstId: number): (text: RowText, row: number) => void {
  const values = fields.map((field) => field.bind(batch, firstId));
  return (text, row) => {
    text.raw(text.form.rowStart);
    for (let index = 0; index < values.length; index++) {
      if (index > 0) text.separator();
      values[index](text, row);
    }
    text.raw(text.form.rowEnd);
  };
}

/** What LOAD DATA LOCAL does not take is left out with a warning, and so it is an error here. */
async function requireAllRows(
  connection: MysqlConnection,
  { affectedRows, warnings }: Outcome,
  rows: number,
): Promise<void> {
  if (warnings === 0 && affectedRows === rows) return;
  const [warning] = await connection.query("SHOW WARNINGS LIMIT 1");
  if (warning !== undefined) throw new MysqlServerError(Number(String(warning[1])), "HY000", String(warning[2]));
  throw new MysqlProtocolError(`the server took ${affectedRows} of ${rows} rows`);
}

/** Hands each batch to the stream that is ready for one. */
class LocalDataLoader implements TableLoader {
  readonly #streams: readonly LocalDataStream[];
  #nextId = 1;

  constructor(streams: readonly LocalDataStream[]) {
    this.#streams = streams;
  }

  async write(batch: Batch): Promise<void> {
    const ready = this.#streams.find((stream) => stream.isReady);
    const stream = ready ?? (await Promise.race(this.#streams.map((one) => one.ready())));
    await stream.write(batch, this.#nextId);
    this.#nextId += batch.count;
  }

  async end(): Promise<void> {
    await Promise.all(this.#streams.map((stream) => stream.end()));
  }
}

/**
 * One LOAD DATA LOCAL after the other. Columns in which all records are default are not sent but set by the statement; when a batch needs more
 * columns than the statement has, another one begins.
 */
class LocalDataStream {
  readonly #connection: MysqlConnection;
  readonly #table: string;
  readonly #fields: readonly RowField[];
  /** One is being sent while the other is being written. */
  readonly #texts = [new RowText(loadForm), new RowText(loadForm)];
  #sent: RowField[] = [];
  #stream: LoadStream | undefined;
  #sending: Promise<void> | undefined;
  #isSending = false;
  #statementBytes = 0;
  #statementRows = 0;

  constructor(connection: MysqlConnection, table: string, fields: readonly RowField[]) {
    this.#connection = connection;
    this.#table = table;
    this.#fields = fields;
  }

  /** Whether nothing is on its way that a write would wait for. */
  get isReady(): boolean {
    return !this.#isSending;
  }

  async ready(): Promise<this> {
    await this.#sending;
    return this;
  }

  async write(batch: Batch, firstId: number): Promise<void> {
    const isNeeded = ({ from }: RowField): boolean =>
      from.length === 0 || from.some((index) => batch.columns[index] !== undefined);
    const isMissing = this.#fields.some((field) => isNeeded(field) && !this.#sent.includes(field));
    if (isMissing || this.#statementBytes >= loadStatementBytes) {
      await this.end();
      this.#sent = this.#fields.filter((field) => this.#sent.includes(field) || isNeeded(field));
    }
    this.#stream ??= await this.#begin();
    const put = bindFields(this.#sent, batch, firstId);
    for (let row = 0; row < batch.count;) {
      const [text] = this.#texts;
      text.clear();
      while (row < batch.count && text.length < insertStatementBytes) {
        const stop = Math.min(batch.count, row + rowsPerLook);
        while (row < stop) put(text, row++);
      }
      await this.#sending;
      this.#send(this.#stream, text);
      this.#texts.reverse();
    }
    this.#statementRows += batch.count;
  }

  #send(stream: LoadStream, text: RowText): void {
    this.#isSending = true;
    const sending = stream.write(text.bytes).finally(() => (this.#isSending = false));
    // Its failure is seen by the next wait.
    sending.catch(() => {});
    this.#sending = sending;
    this.#statementBytes += text.length;
  }

  #begin(): Promise<LoadStream> {
    const name = `cairn:${this.#table}`;
    const zeros = this.#fields
      .filter((field) => !this.#sent.includes(field))
      .map(({ name: column, isBytes }) => `${quoted(column)} = ${isBytes ? "''" : "0"}`);
    const sql =
      `LOAD DATA LOCAL INFILE '${name}' INTO TABLE ${quoted(this.#table)} CHARACTER SET binary ` +
      String.raw`FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n' ` +
      `(${this.#sent.map((field) => quoted(field.name)).join(", ")})` +
      (zeros.length === 0 ? "" : ` SET ${zeros.join(", ")}`);
    return this.#connection.load(sql, name);
  }

  async end(): Promise<void> {
    if (this.#stream === undefined) return;
    await this.#sending;
    const outcome = await this.#stream.finish();
    const rows = this.#statementRows;
    this.#stream = undefined;
    this.#sending = undefined;
    this.#statementBytes = 0;
    this.#statementRows = 0;
    await requireAllRows(this.#connection, outcome, rows);
  }
}

/** INSERT statements of many rows, some dozens in a transaction. */
class InsertLoader implements TableLoader {
  readonly #connection: MysqlConnection;
  readonly #fields: readonly RowField[];
  readonly #head: Uint8Array;
  readonly #statementBytes: number;
  readonly #texts = [new RowText(insertForm), new RowText(insertForm)];
  #running: Promise<Outcome> | undefined;
  #runningRows = 0;
  #rows = 0;
  #statements = 0;
  #nextId = 1;

  constructor(connection: MysqlConnection, { packetBytes }: LoadWay, table: string, fields: readonly RowField[]) {
    this.#connection = connection;
    this.#fields = fields;
    const names = fields.map(({ name }) => quoted(name)).join(", ");
    this.#head = Buffer.from(`INSERT INTO ${quoted(table)} (${names}) VALUES `);
    // The longest row has two values of 64 KiB, each byte of which may take two.
    this.#statementBytes = Math.max(1024, Math.min(insertStatementBytes, packetBytes - (300 << 10)));
  }

  async write(batch: Batch): Promise<void> {
    const put = bindFields(this.#fields, batch, this.#nextId);
    for (let row = 0; row < batch.count; row++) {
      const [text] = this.#texts;
      if (text.length === 0) text.raw(this.#head);
      put(text, row);
      this.#rows++;
      if (text.length >= this.#statementBytes) await this.#send();
    }
    this.#nextId += batch.count;
  }

  /** Sends what is there, once the statement before is done. */
  async #send(): Promise<void> {
    const [text] = this.#texts;
    await this.#finished();
    if (text.length === 0) return;
    if (this.#statements === 0) await this.#connection.run("START TRANSACTION");
    const running = this.#connection.run(Buffer.from(text.bytes.subarray(0, -1)));
    // Its failure is seen by the next wait.
    running.catch(() => {});
    this.#running = running;
    this.#runningRows = this.#rows;
    this.#rows = 0;
    text.clear();
    this.#texts.reverse();
    this.#statements++;
    if (this.#statements >= insertsPerTransaction) await this.#commit();
  }

  async #finished(): Promise<void> {
    if (this.#running === undefined) return;
    const outcome = await this.#running;
    this.#running = undefined;
    await requireAllRows(this.#connection, { ...outcome, warnings: 0 }, this.#runningRows);
  }

  async #commit(): Promise<void> {
    await this.#finished();
    if (this.#statements > 0) await this.#connection.run("COMMIT");
    this.#statements = 0;
  }

  async end(): Promise<void> {
    await this.#send();
    await this.#commit();
  }
}
