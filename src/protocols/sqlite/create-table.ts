import { sqlTokens } from "./sql-tokens.ts";
import type { SqlToken } from "./sql-tokens.ts";
import type { SqlValue } from "./record.ts";

/** What a record holds in place of a column that was added after it was written. */
export type ColumnDefault =
  | { readonly kind: "value"; readonly value: SqlValue }
  /** An expression, which a column that was added later cannot have; `sql` is its text. */
  | { readonly kind: "expression"; readonly sql: string };

export interface TableColumn {
  readonly name: string;
  /** As declared, in upper case and with single spaces: `VARCHAR(255)`; empty when none is. */
  readonly type: string;
  readonly notNull: boolean;
  readonly default: ColumnDefault;
  /** `virtual` columns are computed and stand in no record. */
  readonly generated: "no" | "virtual" | "stored";
}

/** A table as its CREATE TABLE statement declares it. */
export interface TableDefinition {
  readonly columns: readonly TableColumn[];
  /** The column that stands for the row id (INTEGER PRIMARY KEY), by position; -1 when there is none. */
  readonly rowidColumn: number;
  readonly withoutRowid: boolean;
  readonly strict: boolean;
}

/** Words that end a column's type and begin a constraint. */
const constraintWords = new Set([
  "CONSTRAINT",
  "PRIMARY",
  "NOT",
  "NULL",
  "UNIQUE",
  "CHECK",
  "DEFAULT",
  "COLLATE",
  "REFERENCES",
  "GENERATED",
  "AS",
  "DEFERRABLE",
  "ON",
]);
const tableConstraintWords = new Set(["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"]);

/**
 * Parses the text of a CREATE TABLE statement, as `sqlite_schema` keeps it (ALTER TABLE ADD COLUMN edits it there). Tolerant: it
 * finds columns and what decides how records are read, and skips the rest. `undefined` when that is not possible.
 */
export function parseCreateTable(sql: string): TableDefinition | undefined {
  const tokens = sqlTokens(sql);
  const open = tokens.findIndex((token) => token.kind === "sign" && token.text === "(");
  if (open < 0 || !isWord(tokens[0], "CREATE")) return undefined;
  const head = tokens.slice(0, open);
  if (!head.some((token) => isWord(token, "TABLE")) || head.some((token) => isWord(token, "VIRTUAL"))) return undefined;
  const close = closing(tokens, open);
  if (close < 0) return undefined;

  const columns: TableColumn[] = [];
  let rowidColumn = -1;
  for (const part of splitAtCommas(tokens.slice(open + 1, close))) {
    // Table constraints follow the columns, and only the first constraint word of them needs a comma before it.
    const constraint =
      part.length > 1 && part[0].kind === "word" && tableConstraintWords.has(part[0].text.toUpperCase());
    if (part.length === 0) return undefined;
    const key = constraint ? tablePrimaryKey(part) : undefined;
    if (key !== undefined) {
      const index = columns.findIndex((column) => sameName(column.name, key));
      if (index >= 0 && columns[index].type === "INTEGER") rowidColumn = index;
    }
    if (constraint) continue;
    const column = parseColumn(part, sql);
    if (column.rowidKey) rowidColumn = columns.length;
    columns.push(column.column);
    // A table constraint may also follow its last column without a comma.
    const keyAfter = tablePrimaryKey(part);
    if (keyAfter !== undefined) {
      const index = columns.findIndex((candidate) => sameName(candidate.name, keyAfter));
      if (index >= 0 && columns[index].type === "INTEGER") rowidColumn = index;
    }
  }
  if (columns.length === 0) return undefined;
  const options = tokens.slice(close + 1);
  const withoutRowid = options.some((token, index) => isWord(token, "WITHOUT") && isWord(options[index + 1], "ROWID"));
  return {
    columns,
    rowidColumn: withoutRowid ? -1 : rowidColumn,
    withoutRowid,
    strict: options.some((token) => isWord(token, "STRICT")),
  };
}

/** SQLite compares names without regard to the case of ASCII letters. */
export function sameName(first: string, second: string): boolean {
  return asciiLower(first) === asciiLower(second);
}

function asciiLower(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function isWord(token: SqlToken | undefined, word: string): boolean {
  return token !== undefined && token.kind === "word" && token.text.toUpperCase() === word;
}

function isSign(token: SqlToken | undefined, sign: string): boolean {
  return token !== undefined && token.kind === "sign" && token.text === sign;
}

/** The position of the bracket that closes the one at `open`, or -1. */
function closing(tokens: readonly SqlToken[], open: number): number {
  let depth = 0;
  for (let index = open; index < tokens.length; index++) {
    if (isSign(tokens[index], "(")) depth++;
    else if (isSign(tokens[index], ")") && --depth === 0) return index;
  }
  return -1;
}

function splitAtCommas(tokens: readonly SqlToken[]): SqlToken[][] {
  const parts: SqlToken[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (isSign(token, "(")) depth++;
    else if (isSign(token, ")")) depth--;
    if (depth === 0 && isSign(token, ",")) parts.push([]);
    else parts[parts.length - 1].push(token);
  }
  return parts;
}

/** The only column of a `PRIMARY KEY (column)` constraint, if the part has such a one. */
function tablePrimaryKey(part: readonly SqlToken[]): string | undefined {
  const at = part.findIndex(
    (token, index) => isWord(token, "PRIMARY") && isWord(part[index + 1], "KEY") && isSign(part[index + 2], "("),
  );
  if (at < 0) return undefined;
  const keys = splitAtCommas(part.slice(at + 3, closing(part, at + 2)));
  return keys.length === 1 ? keys[0][0]?.text : undefined;
}

function parseColumn(part: readonly SqlToken[], sql: string): { column: TableColumn; rowidKey: boolean } {
  let at = 1;
  const type: string[] = [];
  while (
    at < part.length &&
    part[at].kind !== "sign" &&
    !(part[at].kind === "word" && constraintWords.has(part[at].text.toUpperCase()))
  ) {
    type.push(part[at++].text);
  }
  let size = "";
  if (type.length > 0 && isSign(part[at], "(")) {
    const close = closing(part, at);
    const end = close < 0 ? part.length : close + 1;
    size = part
      .slice(at, end)
      .map((token) => token.text)
      .join("");
    at = end;
  }
  let declared = type.join(" ");
  let generated: TableColumn["generated"] = "no";
  // "GENERATED ALWAYS" before AS may be taken for a part of the type, as SQLite itself does.
  declared = declared.replace(/\s*GENERATED ALWAYS$/i, "");

  let value: ColumnDefault = { kind: "value", value: null };
  let notNull = false;
  let key = false;
  while (at < part.length) {
    const token = part[at];
    if (isWord(token, "DEFAULT")) {
      const parsed = parseDefault(part, at + 1, sql);
      value = parsed.value;
      at = parsed.end;
    } else if (isWord(token, "NOT") && isWord(part[at + 1], "NULL")) {
      notNull = true;
      at += 2;
    } else if (isWord(token, "PRIMARY") && isWord(part[at + 1], "KEY")) {
      // By an old slip that SQLite keeps, DESC here, and only here, makes the column no alias of the row id.
      if (!isSign(part[at + 2], "(")) key = !isWord(part[at + 2], "DESC");
      at += 2;
    } else if (isWord(token, "AS")) {
      generated = "virtual";
      at++;
    } else if (isWord(token, "STORED") && generated === "virtual") {
      generated = "stored";
      at++;
    } else if (isSign(token, "(")) {
      const close = closing(part, at);
      at = close < 0 ? part.length : close + 1;
    } else if (isWord(token, "CONSTRAINT") || isWord(token, "COLLATE") || isWord(token, "REFERENCES")) {
      at += 2;
    } else at++;
  }
  const typeText = declared.replace(/\s+/g, " ").toUpperCase() + size;
  const column: TableColumn = {
    name: part[0].text,
    type: typeText,
    notNull,
    default: value.kind === "value" ? { kind: "value", value: withAffinity(value.value, typeText) } : value,
    generated,
  };
  return { column, rowidKey: key && typeText === "INTEGER" };
}

function parseDefault(part: readonly SqlToken[], at: number, sql: string): { value: ColumnDefault; end: number } {
  if (isSign(part[at], "(")) {
    const close = closing(part, at);
    const end = close < 0 ? part.length : close;
    const inner = part.slice(at + 1, end);
    const literal = inner.length > 0 ? parseLiteral(inner, 0) : undefined;
    if (literal !== undefined && literal.end === inner.length) {
      return { value: { kind: "value", value: literal.value }, end: end + 1 };
    }
    const text = inner.length === 0 ? "" : sql.slice(inner[0].start, inner[inner.length - 1].end);
    return { value: { kind: "expression", sql: text }, end: end + 1 };
  }
  const literal = parseLiteral(part, at);
  if (literal !== undefined) return { value: { kind: "value", value: literal.value }, end: literal.end };
  return { value: { kind: "expression", sql: part[at]?.text ?? "" }, end: at + 1 };
}

function parseLiteral(part: readonly SqlToken[], at: number): { value: SqlValue; end: number } | undefined {
  let negative = false;
  let index = at;
  while (isSign(part[index], "-") || isSign(part[index], "+")) {
    if (part[index].text === "-") negative = !negative;
    index++;
  }
  const token = part[index];
  if (token === undefined) return undefined;
  const end = index + 1;
  if (token.kind === "number") return { value: numberValue(token.text, negative), end };
  if (index !== at) return undefined;
  if (token.kind === "string" || token.kind === "quoted") return { value: token.text, end };
  if (token.kind === "blob") return { value: new Uint8Array(Buffer.from(token.text, "hex")), end };
  const word = token.text.toUpperCase();
  if (word === "NULL") return { value: null, end };
  if (word === "TRUE") return { value: 1n, end };
  if (word === "FALSE") return { value: 0n, end };
  if (word.startsWith("CURRENT_") || token.kind === "sign") return undefined;
  // A bare word is taken for a string.
  return { value: token.text, end };
}

function numberValue(text: string, negative: boolean): SqlValue {
  const digits = text.replaceAll("_", "");
  if (/^(0[xX][0-9a-fA-F]+|[0-9]+)$/.test(digits)) {
    const magnitude = BigInt(digits);
    if (digits.length > 1 && /[xX]/.test(digits)) return BigInt.asIntN(64, negative ? -magnitude : magnitude);
    const value = negative ? -magnitude : magnitude;
    if (value === BigInt.asIntN(64, value)) return value;
  }
  return negative ? -Number(digits) : Number(digits);
}

type Affinity = "integer" | "text" | "blob" | "real" | "numeric";

/** https://sqlite.org/datatype3.html, "Determination Of Column Affinity". */
function affinityOf(type: string): Affinity {
  if (/INT/.test(type)) return "integer";
  if (/CHAR|CLOB|TEXT/.test(type)) return "text";
  if (/BLOB/.test(type) || type === "") return "blob";
  return /REAL|FLOA|DOUB/.test(type) ? "real" : "numeric";
}

/** Converts a default as an insert into a column of that type would have done. */
function withAffinity(value: SqlValue, type: string): SqlValue {
  const affinity = affinityOf(type);
  if (affinity === "blob" || value === null || value instanceof Uint8Array) return value;
  if (affinity === "text") return String(value);
  let number: SqlValue = value;
  if (typeof value === "string") {
    if (!/^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$/.test(value)) return value;
    const trimmed = value.trim();
    number = numberValue(trimmed.replace(/^[+-]/, ""), trimmed.startsWith("-"));
  }
  if (affinity === "real") return Number(number);
  return typeof number === "number" && Number.isSafeInteger(number) ? BigInt(number) : number;
}
