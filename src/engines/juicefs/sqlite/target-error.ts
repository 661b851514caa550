import { CairnError, messageOf } from "../../../model/errors.ts";
import { sqliteResultCode } from "../../../protocols/sqlite/connection.ts";

const sqliteIoError = 10;
const sqliteFull = 13;
const sqliteConstraint = 19;

/** What SQLite says while a database is being filled, as an error that names the way out. Errors of our own pass. */
export function targetError(path: string, error: unknown): unknown {
  const unharmed = "the unfinished file was removed; nothing else was touched";
  if (error instanceof Error && "code" in error && error.code === "ERR_INVALID_ARG_VALUE") {
    return new CairnError(
      "does-not-fit",
      `a number of the snapshot does not fit into 64 bits of SQLite: ${error.message}`,
      {
        unharmed,
        next: "restore into another engine (docs/engines/limits.md)",
        exit: "targetRefused",
        cause: error,
      },
    );
  }
  const code = sqliteResultCode(error);
  if (error instanceof CairnError || code === undefined) return error;
  switch (code & 0xff) {
    case sqliteFull:
      return new CairnError(
        "no-space",
        `there is no room for ${path} or for sorting its indexes: ${messageOf(error)}`,
        {
          unharmed,
          next: "make room, restore elsewhere, or name another temporary folder (TMPDIR)",
          exit: "targetRefused",
          cause: error,
        },
      );
    case sqliteIoError:
      return new CairnError("target-io", `${path} cannot be written: ${messageOf(error)}`, {
        unharmed,
        next: "check the disk",
        cause: error,
      });
    case sqliteConstraint:
      return new CairnError("does-not-fit", `two records of the snapshot are one in SQLite: ${messageOf(error)}`, {
        unharmed,
        next: "restore into another engine (docs/engines/limits.md)",
        exit: "targetRefused",
        cause: error,
      });
    default:
      return new CairnError("target-failed", `${path} cannot be filled: ${messageOf(error)}`, {
        unharmed,
        cause: error,
      });
  }
}
