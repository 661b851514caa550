/** A token of an SQL text; `text` is the name or string without its quotes. */
export interface SqlToken {
  readonly kind: "word" | "quoted" | "string" | "number" | "blob" | "sign";
  readonly text: string;
  /** Where it stands in the SQL text, for messages and slices. */
  readonly start: number;
  readonly end: number;
}

const wordStart = /[A-Za-z_\u0080-\uffff]/;
const wordPart = /[A-Za-z0-9_$\u0080-\uffff]/;
const numberPattern = /0[xX][0-9a-fA-F]+|(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]+)?/y;

/** Splits SQL as SQLite does: comments and white space go, four kinds of quotes are undone. Unclosed quotes end with the text. */
export function sqlTokens(sql: string): SqlToken[] {
  const tokens: SqlToken[] = [];
  let at = 0;
  while (at < sql.length) {
    const character = sql[at];
    const start = at;
    if (/\s/.test(character)) at++;
    else if (sql.startsWith("--", at)) at = endOf(sql, "\n", at + 2);
    else if (sql.startsWith("/*", at)) at = endOf(sql, "*/", at + 2);
    else if (character === "[") {
      at = endOf(sql, "]", at + 1);
      tokens.push({ kind: "quoted", text: sql.slice(start + 1, sql[at - 1] === "]" ? at - 1 : at), start, end: at });
    } else if (character === '"' || character === "`" || character === "'") {
      const quoted = unquote(sql, at);
      at = quoted.end;
      tokens.push({ kind: character === "'" ? "string" : "quoted", text: quoted.text, start, end: at });
    } else if ((character === "x" || character === "X") && sql[at + 1] === "'") {
      const quoted = unquote(sql, at + 1);
      at = quoted.end;
      tokens.push({ kind: "blob", text: quoted.text, start, end: at });
    } else if (wordStart.test(character)) {
      while (at < sql.length && wordPart.test(sql[at])) at++;
      tokens.push({ kind: "word", text: sql.slice(start, at), start, end: at });
    } else {
      numberPattern.lastIndex = at;
      const number = numberPattern.exec(sql);
      at += number === null ? 1 : number[0].length;
      tokens.push({ kind: number === null ? "sign" : "number", text: sql.slice(start, at), start, end: at });
    }
  }
  return tokens;
}

function endOf(sql: string, mark: string, from: number): number {
  const found = sql.indexOf(mark, from);
  return found < 0 ? sql.length : found + mark.length;
}

/** Undoes quotes that are doubled inside. */
function unquote(sql: string, at: number): { text: string; end: number } {
  const quote = sql[at];
  let text = "";
  let from = at + 1;
  for (;;) {
    const found = sql.indexOf(quote, from);
    if (found < 0) return { text: text + sql.slice(from), end: sql.length };
    text += sql.slice(from, found);
    if (sql[found + 1] !== quote) return { text, end: found + 1 };
    text += quote;
    from = found + 2;
  }
}
