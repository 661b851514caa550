import { CairnError } from "../../model/errors.ts";

/** The error for a database whose bytes break the file format: `sqlite-corrupt`. */
export function corrupt(path: string, message: string, details: Record<string, string | number> = {}): CairnError {
  return new CairnError("sqlite-corrupt", `${path}: ${message}`, {
    unharmed: "the database was only read",
    next: `run "PRAGMA integrity_check" on the database, or read an older copy of it`,
    details: { path, ...details },
  });
}
