import { CairnError } from "../../../model/errors.ts";
import type { JuicefsLine } from "../lines.ts";
import { lineReaches } from "../lines.ts";
import { openSyncDatabase, prepare, scalar } from "./sync-database.ts";

export interface SealRequest {
  readonly path: string;
  readonly tablePrefix: string;
  readonly line: JuicefsLine;
  /** The setting as JSON. */
  readonly setting: string;
}

/**
 * Writes the setting into a finished database, which makes it a volume, and leaves the file as that line's client leaves it: in WAL mode since
 * 1.3, without a log beside it.
 */
export function sealDatabase({ path, tablePrefix, line, setting }: SealRequest): void {
  const database = openSyncDatabase(path);
  try {
    setJournalMode(path, database, lineReaches(line, "1.3") ? "wal" : "delete");
    prepare(database, `INSERT INTO \`${tablePrefix}setting\` (name, value) VALUES ('format', ?)`).run(setting);
  } finally {
    database.close();
  }
}

function setJournalMode(path: string, database: ReturnType<typeof openSyncDatabase>, mode: string): void {
  const got = scalar(database, `PRAGMA journal_mode = ${mode}`);
  if (got === mode) return;
  throw new CairnError(
    "journal-mode",
    `${path} cannot be put into the journal mode ${mode}; SQLite says ${String(got)}`,
    {
      unharmed: "the target was not touched",
      next: "restore onto a local file system",
    },
  );
}
