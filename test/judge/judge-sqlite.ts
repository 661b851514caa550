import { checkVolume } from "./check.ts";
import type { Finding } from "./finding.ts";
import { openFindingList } from "./finding.ts";
import { checkIntegrity, checkSequences, checkStorageClasses, readSqliteVolume } from "./read-sqlite.ts";
import { openSqliteFile } from "./sqlite-file.ts";
import type { SqlSchema } from "./sql-schema.ts";
import { checkSchema, compareSchemas, tablePrefixOf } from "./sql-schema.ts";
import { readSqliteSchema } from "./sqlite-schema.ts";

export interface SqliteJudgeOptions {
  /** The URL option `table_prefix` of the volume. */
  readonly tablePrefix?: string | undefined;
  /** A database that a real JuiceFS of the same line made, to compare the schema with. */
  readonly referenceDatabase?: string | undefined;
  /** The `table_prefix` of the reference database. */
  readonly referenceTablePrefix?: string | undefined;
}

/**
 * Judges the JuiceFS volume in a SQLite database: schema, storage and every record. Returns all findings; a healthy volume has none of
 * severity `error`. Throws only where the file is no SQLite database.
 */
export function judgeSqliteVolume(path: string, options: SqliteJudgeOptions = {}): Finding[] {
  const { report, findings } = openFindingList();
  const file = openSqliteFile(path);
  try {
    const prefix = tablePrefixOf(options.tablePrefix);
    const schema = readSqliteSchema(file, prefix);
    if (options.referenceDatabase !== undefined) {
      compareSchemas(schema, readReference(options.referenceDatabase, options.referenceTablePrefix), report);
    }
    checkSchema(schema, report);
    checkIntegrity(file, report);
    checkStorageClasses(file, schema, prefix, report);
    checkSequences(file, schema, prefix, report);
    checkVolume(readSqliteVolume(file, schema, prefix, report), report);
  } finally {
    file.close();
  }
  return findings();
}

/** Compares the schema of a database with that of one a real JuiceFS made (`tablePrefix` as in the URLs). */
export function compareSchema(path: string, referencePath: string, options: SqliteJudgeOptions = {}): Finding[] {
  const { report, findings } = openFindingList();
  const file = openSqliteFile(path);
  try {
    const schema = readSqliteSchema(file, tablePrefixOf(options.tablePrefix));
    compareSchemas(schema, readReference(referencePath, options.referenceTablePrefix), report);
  } finally {
    file.close();
  }
  return findings();
}

function readReference(path: string, tablePrefix: string | undefined): SqlSchema {
  const file = openSqliteFile(path);
  try {
    return readSqliteSchema(file, tablePrefixOf(tablePrefix));
  } finally {
    file.close();
  }
}
