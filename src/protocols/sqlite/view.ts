import { CairnError } from "../../model/errors.ts";
import type { Consistency, Facts } from "../../model/ports.ts";
import type { ReadConnection } from "./connection.ts";
import { openDatabase } from "./database.ts";
import type { Database } from "./database.ts";
import type { PageSource, WalOverlay } from "./page-source.ts";

/** How a view got its consistency. */
export const viewMethods = ["wal-transaction", "idle-file", "idle-log", "copy-under-lock", "private-file"] as const;
export type ViewMethod = (typeof viewMethods)[number];

/** One consistent state of a database, held until it is closed. */
export interface DatabaseView extends Disposable {
  readonly database: Database;
  readonly method: ViewMethod;
  readonly consistency: Consistency;
  /** Which state it is: WAL frame and salts, change counter, schema cookie, pages. */
  readonly position: Facts;
  /**
   * To be called after the last read. Throws `source-changed` when what was read may not have been one state: then open a new
   * view and read again. Methods without a lock depend on it; for the others it is a second belt.
   */
  verifyUnchanged(): void;
  /** Releases locks, descriptors and the temporary copy. Also done by the signal's abort. Further calls do nothing. */
  close(): void;
}

export interface ViewOptions {
  readonly signal?: AbortSignal;
  /** Where a copy may be put, for databases with a rollback journal. */
  readonly temporaryFolder: string;
  /** Copy for as long as it takes, while writers wait. */
  readonly allowBlock?: boolean;
  /** How long writers may be kept waiting by a copy; 3 s unless said. */
  readonly copyMsMax?: number;
  /** How long to wait for somebody else's exclusive lock; 5 s unless said. */
  readonly lockWaitMsMax?: number;
}

/** What each method hands to `makeView`. */
export interface ViewParts {
  /** The path for messages: that of the database, even when its copy is read. */
  readonly path: string;
  readonly fd: number;
  readonly pageSize: number;
  readonly usableBytes: number;
  readonly pageCount: number;
  readonly wal: WalOverlay | undefined;
  readonly method: ViewMethod;
  /** One sentence for people. */
  readonly sentence: string;
  readonly position: Facts;
  readonly verifyUnchanged: () => void;
  /** Called once. */
  readonly release: () => void;
  readonly signal: AbortSignal | undefined;
}

/** Opens the database of a view and ties its life to the signal. Releases everything when that fails. */
export function makeView(parts: ViewParts): DatabaseView {
  let closed = false;
  function close(): void {
    if (closed) return;
    closed = true;
    parts.signal?.removeEventListener("abort", close);
    parts.release();
  }
  const pages: PageSource = {
    path: parts.path,
    fd: parts.fd,
    pageSize: parts.pageSize,
    usableBytes: parts.usableBytes,
    pageCount: parts.pageCount,
    wal: parts.wal,
    ensureOpen() {
      if (!closed) return;
      parts.signal?.throwIfAborted();
      throw new CairnError("sqlite-view-closed", `${parts.path}: the view was closed while it was being read`);
    },
  };
  try {
    parts.signal?.throwIfAborted();
    parts.signal?.addEventListener("abort", close);
    const database = openDatabase(pages);
    return {
      database,
      method: parts.method,
      consistency: { level: "snapshot", method: parts.sentence },
      position: {
        method: parts.method,
        pageSize: parts.pageSize,
        pageCount: parts.pageCount,
        changeCounter: database.header.changeCounter,
        schemaCookie: database.header.schemaCookie,
        ...parts.position,
      },
      verifyUnchanged() {
        pages.ensureOpen();
        parts.verifyUnchanged();
      },
      close,
      [Symbol.dispose]: close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** The error for a state that changed while it was read without a lock, or although a lock should have kept it. */
export function sourceChanged(path: string, what: string): CairnError {
  return new CairnError("source-changed", `${path}: ${what} while it was being read`, {
    unharmed: "the database was only read",
    next: "run it again",
    details: { path },
  });
}

/** Throws when SQLite, inside its own read transaction, sees another database than our reader does. */
export function compareWithConnection(database: Database, connection: ReadConnection): void {
  const { path, header, pages } = database;
  const number = (pragma: string): number => Number(connection.rows(`PRAGMA ${pragma}`)[0]?.[0]);
  const facts: [string, number, number][] = [
    ["page size", pages.pageSize, number("page_size")],
    ["page count", pages.pageCount, number("page_count")],
    ["schema cookie", header.schemaCookie, number("schema_version")],
    ["free pages", header.freePageCount, number("freelist_count")],
    ["user version", header.userVersion | 0, number("user_version")],
  ];
  for (const [name, ours, theirs] of facts) {
    if (ours !== theirs) throw differs(path, `the ${name} is ${ours} in the file and ${theirs} for SQLite`);
  }
  const rows = connection.rows(
    "SELECT type, name, tbl_name, coalesce(rootpage, 0), coalesce(sql, '') FROM sqlite_schema ORDER BY rowid",
  );
  const same =
    rows.length === database.schema.length &&
    database.schema.every((entry, index) => {
      const [type, name, tableName, rootPage, sql] = rows[index];
      return (
        type === entry.type &&
        name === entry.name &&
        tableName === entry.tableName &&
        rootPage === BigInt(entry.rootPage) &&
        sql === entry.sql
      );
    });
  if (!same) throw differs(path, "the schema in the file is not the one that SQLite sees");
}

function differs(path: string, what: string): CairnError {
  return new CairnError("sqlite-view-differs", `${path}: ${what}`, {
    unharmed: "the database was only read",
    next: 'run it again; if it happens again, run "PRAGMA integrity_check" on the database',
    details: { path },
  });
}
