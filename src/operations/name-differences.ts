import { bytesAt, rowAt } from "../model/batch.ts";
import type { BytesColumn, Value } from "../model/batch.ts";
import type { TableSchema } from "../model/schema.ts";
import { describeKey } from "../format/describe-key.ts";
import { compareKeys, encodeKey } from "../format/key.ts";
import { decodeLargeReference } from "../format/large-value.ts";
import { decodePage } from "../format/page.ts";
import type { DecodedPage } from "../format/page.ts";
import type { RawPage } from "../format/pager.ts";
import type { Snapshot } from "../repository/snapshot.ts";

const namesMax = 10;
/** Places that differ and are kept to name records by. */
const suspectsMax = 8;

/** A page as an index knows it. */
export interface PageMark {
  firstKey: Uint8Array;
  id: string;
}

/** A range of keys in which the records that were found are not the expected ones. */
interface Suspect {
  table: number;
  /** The found records; none where a whole run is missing. */
  page: RawPage | undefined;
  /** The found page before it: what is missing in between belongs to the range, too. */
  previous: RawPage | undefined;
  /** The first key of the found page after it; undefined at the table's end. */
  before: Uint8Array | undefined;
}

interface TableState {
  expected: AsyncIterator<PageMark> | Iterator<PageMark>;
  head: PageMark | undefined;
  previous: RawPage | undefined;
  /** The last suspect, as long as the page after it did not come. */
  open: Suspect | undefined;
}

/**
 * Compares pages read from an engine with those that are expected, and names the records that differ. Takes the pages of each table in
 * order, as they are made, and keeps only the few that a failed proof needs.
 */
export class PageDifferences {
  readonly #snapshot: Snapshot;
  readonly #changed: ReadonlyMap<number, readonly PageMark[]>;
  readonly #states = new Map<number, TableState>();
  readonly #suspects: Suspect[] = [];

  /** `changed`: the pages to expect of tables that are not to be the snapshot's, by their position. */
  constructor(snapshot: Snapshot, changed: ReadonlyMap<number, readonly PageMark[]>) {
    this.#snapshot = snapshot;
    this.#changed = changed;
  }

  async see(page: RawPage, id: string): Promise<void> {
    const { table, firstKey } = page;
    const state = await this.#stateOf(table);
    let isSame = true;
    while (state.head !== undefined && Buffer.compare(state.head.firstKey, firstKey) < 0) {
      isSame = false;
      await advance(state);
    }
    if (state.head !== undefined && Buffer.compare(state.head.firstKey, firstKey) === 0) {
      if (state.head.id !== id) isSame = false;
      await advance(state);
    } else isSame = false;
    if (state.open !== undefined) state.open.before = firstKey;
    state.open = undefined;
    if (!isSame && this.#suspects.length < suspectsMax) {
      state.open = { table, page, previous: state.previous, before: undefined };
      this.#suspects.push(state.open);
    }
    state.previous = page;
  }

  async #stateOf(table: number): Promise<TableState> {
    const known = this.#states.get(table);
    if (known !== undefined) return known;
    const { kind } = this.#snapshot;
    const expected =
      this.#changed.get(table)?.values() ??
      this.#snapshot.index(kind.tables[table].name).entries()[Symbol.asyncIterator]();
    const state: TableState = { expected, head: undefined, previous: undefined, open: undefined };
    await advance(state);
    this.#states.set(table, state);
    return state;
  }

  /**
   * The records that differ in the tables at these positions, a few at most: `node inode=5: mode 420 instead of 384`. After the last page.
   * What is named is compared with the snapshot, so beside a wrong record a change that was asked for may be named as well.
   */
  async names(tables: readonly number[]): Promise<string[]> {
    const suspects = this.#suspects.filter(({ table }) => tables.includes(table));
    for (const table of tables) {
      const { head, previous } = await this.#stateOf(table);
      if (head !== undefined) suspects.push({ table, page: undefined, previous, before: undefined });
    }
    const names = new Set<string>();
    for (const suspect of suspects) {
      if (names.size >= namesMax) break;
      await compareRange(this.#snapshot, suspect, names);
    }
    return [...names];
  }
}

async function advance(state: TableState): Promise<void> {
  const next = await state.expected.next();
  state.head = next.done === true ? undefined : next.value;
}

async function compareRange(snapshot: Snapshot, suspect: Suspect, names: Set<string>): Promise<void> {
  const { table, page, previous, before } = suspect;
  const schema = snapshot.kind.tables[table];
  const found = page === undefined ? undefined : decodePage(schema, table, page.raw);
  const after = previous === undefined ? undefined : lastKey(schema, previous);
  const count = found?.batch.count ?? 0;
  let row = 0;
  const unexpected = (decoded: DecodedPage, at: number): unknown =>
    names.add(`${nameOf(schema, decoded, at)}: not in the snapshot`);
  for await (const entry of snapshot.index(schema.name).entries(after)) {
    // Large values stay references, which hold length and hash: enough to compare, and the found page has no more.
    const stored = decodePage(schema, table, await snapshot.reader.read(entry, schema));
    for (let at = 0; at < stored.batch.count; at += 1) {
      const key = encodeKey(schema, stored.batch, at);
      if (after !== undefined && Buffer.compare(key, after) <= 0) continue;
      if (names.size >= namesMax) return;
      while (found !== undefined && row < count && compareKeys(schema, found.batch, row, stored.batch, at) < 0) {
        unexpected(found, row);
        row += 1;
      }
      if (before !== undefined && Buffer.compare(key, before) >= 0) return;
      if (found !== undefined && row < count && compareKeys(schema, found.batch, row, stored.batch, at) === 0) {
        const difference = describeChange(schema, stored, at, found, row);
        if (difference !== "") names.add(`${nameOf(schema, found, row)}: ${difference}`);
        row += 1;
      } else names.add(`${nameOf(schema, stored, at)}: missing`);
    }
  }
  for (; found !== undefined && row < count && names.size < namesMax; row += 1) unexpected(found, row);
}

function lastKey(schema: TableSchema, page: RawPage): Uint8Array {
  const { batch } = decodePage(schema, page.table, page.raw);
  return encodeKey(schema, batch, batch.count - 1);
}

function nameOf(schema: TableSchema, { batch }: DecodedPage, row: number): string {
  return `${schema.name} ${describeKey(schema, encodeKey(schema, batch, row))}`;
}

function describeChange(
  schema: TableSchema,
  stored: DecodedPage,
  storedRow: number,
  found: DecodedPage,
  foundRow: number,
): string {
  const before = rowAt(schema, stored.batch, storedRow);
  const after = rowAt(schema, found.batch, foundRow);
  return schema.columns
    .map(({ name }, index) =>
      same(before[index], after[index]) && isLarge(stored, index, storedRow) === isLarge(found, index, foundRow)
        ? ""
        : `${name} ${show(found, index, foundRow, after[index])} instead of ${show(stored, index, storedRow, before[index])}`,
    )
    .filter((text) => text !== "")
    .join(", ");
}

function same(a: Value, b: Value): boolean {
  return a instanceof Uint8Array && b instanceof Uint8Array ? Buffer.compare(a, b) === 0 : a === b;
}

function isLarge(page: DecodedPage, column: number, row: number): boolean {
  return page.large.some((one) => one.column === column && one.row === row);
}

function show(page: DecodedPage, column: number, row: number, value: Value): string {
  if (!(value instanceof Uint8Array)) return String(value);
  if (isLarge(page, column, row)) {
    const reference = decodeLargeReference(bytesAt(page.batch.columns[column] as BytesColumn, row));
    const hash = Buffer.from(reference?.hash ?? []).toString("hex");
    return `(${reference?.length ?? "?"} bytes, SHA-256 ${hash.slice(0, 16)}…)`;
  }
  const hex = Buffer.from(value.subarray(0, 48)).toString("hex");
  return `0x${hex}${value.length > 48 ? `… (${value.length} bytes)` : ""}`;
}
