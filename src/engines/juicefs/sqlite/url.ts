import { resolve } from "node:path";
import { CairnError } from "../../../model/errors.ts";

/** A JuiceFS metadata URL of SQLite, taken apart as JuiceFS does (`pkg/meta/sql.go`, `newSQLMeta`). */
export interface SqliteUrl {
  /** Absolute path of the database file. */
  readonly path: string;
  /** `jfs_`, or `jfs_abc_` with `table_prefix=abc`. */
  readonly tablePrefix: string;
  /** For messages. SQLite URLs hold no secrets. */
  readonly location: string;
}

const scheme = "sqlite3://";

/** Options of JuiceFS and of its SQLite driver that matter to a client only, not to what a backup reads or a restore writes. */
const clientOptions = new Set([
  "cache",
  "mode",
  "max_open_conns",
  "max_idle_conns",
  "max_idle_time",
  "max_life_time",
  "immutable",
  "vfs",
]);

/** Parses `sqlite3:///abs/path.db?table_prefix=abc` or `sqlite3://relative/path.db`. Throws `meta-url-invalid`. */
export function parseSqliteUrl(url: string): SqliteUrl {
  if (!url.startsWith(scheme)) throw invalid(url, `it does not begin with ${scheme}`);
  const rest = url.slice(scheme.length);
  const mark = rest.indexOf("?");
  const path = mark < 0 ? rest : rest.slice(0, mark);
  if (path === "" || path === "/") throw invalid(url, "it names no file");
  if (path.includes("\0")) throw invalid(url, "its path holds a NUL byte");
  if (path.startsWith("file:") || path.startsWith(":memory:"))
    throw invalid(url, "SQLite's own file: and :memory: names are not supported");
  const options = new URLSearchParams(mark < 0 ? "" : rest.slice(mark + 1));
  for (const name of options.keys()) {
    if (name !== "table_prefix" && !clientOptions.has(name) && !name.startsWith("_")) {
      throw invalid(url, `it has the unknown option ${JSON.stringify(name)}`);
    }
  }
  const prefix = options.get("table_prefix") ?? "";
  if (!/^[\w.-]*$/.test(prefix))
    throw invalid(url, "its table_prefix has characters other than letters, digits, `_`, `.`, `-`");
  const absolute = resolve(path);
  return {
    path: absolute,
    tablePrefix: prefix === "" ? "jfs_" : `jfs_${prefix}_`,
    location: scheme + absolute + (prefix === "" ? "" : `?table_prefix=${prefix}`),
  };
}

function invalid(url: string, what: string): CairnError {
  return new CairnError("meta-url-invalid", `${JSON.stringify(url)} is no SQLite metadata URL: ${what}`, {
    next: "give it as sqlite3:///absolute/path.db or sqlite3://relative/path.db",
    exit: "wrongUse",
  });
}
