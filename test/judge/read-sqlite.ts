import type { Report } from "./finding.ts";
import type { RawVolume } from "./raw-volume.ts";
import type { SqlValue } from "./read-sql.ts";
import { readSqlVolume, toBigInt } from "./read-sql.ts";
import type { SqlSchema } from "./sql-schema.ts";
import { EXPECTED_TABLES } from "./sql-tables.ts";
import type { SqliteFile } from "./sqlite-file.ts";
import { quoteName, quoteText } from "./sqlite-file.ts";

/** Reads the raw records of a volume in SQLite (§3). */
export function readSqliteVolume(file: SqliteFile, schema: SqlSchema, prefix: string, report: Report): RawVolume {
  return readSqlVolume((table, columns) => readRows(file, schema, prefix, table, columns), report);
}

/** The rows of a table with the named columns; what the schema lacks is NULL or no row. */
function* readRows(
  file: SqliteFile,
  schema: SqlSchema,
  prefix: string,
  table: string,
  columns: readonly string[],
): Generator<SqlValue[]> {
  const known = schema.tables.get(table)?.columns;
  if (known === undefined) {
    return;
  }
  // Texts and bytes are both read as the bytes that are stored. A text need not be UTF-8, and SQLite makes a text of bytes that JuiceFS
  // appends to (`slices || ?`), which may hold NUL and anything else.
  const selected = columns.map((name) => {
    const quoted = quoteName(name);
    const bytes = EXPECTED_TABLES[table].columns[name].storage !== "integer";
    return known.has(name) ? (bytes ? `CAST(${quoted} AS BLOB)` : quoted) : "NULL";
  });
  yield* file.iterate(`SELECT ${selected.join(", ")} FROM ${quoteName(prefix + table)}`);
}

/**
 * Checks that every value is stored in the class its column needs. SQLite takes anything anywhere, but a name stored as a text is never
 * equal to the bytes that JuiceFS looks it up by.
 */
export function checkStorageClasses(file: SqliteFile, schema: SqlSchema, prefix: string, report: Report): void {
  for (const [name, { columns }] of Object.entries(EXPECTED_TABLES)) {
    const known = schema.tables.get(name)?.columns;
    const checked = Object.entries(columns).filter(([column]) => known?.has(column) === true);
    if (checked.length === 0) {
      continue;
    }
    const sums = checked.map(([column, { storage, nullable, appended }]) => {
      const classes = [storage, ...(nullable ? ["null"] : []), ...(appended === true ? ["text"] : [])];
      const allowed = `(${classes.map(quoteText).join(", ")})`;
      return `SUM(typeof(${quoteName(column)}) NOT IN ${allowed})`;
    });
    const [counts] = file.all(`SELECT ${sums.join(", ")} FROM ${quoteName(prefix + name)}`);
    for (const [at, [column, { storage }]] of checked.entries()) {
      const count = toBigInt(counts[at]);
      if (count > 0n) {
        report("storage-class", `column ${name}.${column}`, `holds ${count} values that are not of class ${storage}`);
      }
    }
  }
}

/** Checks that no sequence of generated ids is below the ids that its table holds. */
export function checkSequences(file: SqliteFile, schema: SqlSchema, prefix: string, report: Report): void {
  const generated = [...schema.tables].filter(([, table]) => table.generated);
  if (generated.length === 0) {
    return;
  }
  const sequences = new Map(
    file.all("SELECT name, seq FROM sqlite_sequence").map(([name, seq]) => [String(name), seq]),
  );
  for (const [name] of generated) {
    const [[highest]] = file.all(`SELECT MAX(id) FROM ${quoteName(prefix + name)}`);
    if (highest === null) {
      continue;
    }
    const sequence = sequences.get(prefix + name);
    if (sequence === undefined || sequence === null) {
      report("sequence-missing", `sequence of ${name}`, `does not exist, the highest id is ${String(highest)}`);
    } else if (toBigInt(sequence) < toBigInt(highest)) {
      report("sequence-low", `sequence of ${name}`, `is ${String(sequence)}, the highest id is ${String(highest)}`);
    }
  }
}

/** Checks that SQLite finds its file in order: pages, indexes against tables, NOT NULL and unique rules. */
export function checkIntegrity(file: SqliteFile, report: Report): void {
  for (const [message] of file.all("PRAGMA integrity_check(20)")) {
    if (message !== "ok") {
      report("integrity", "database", String(message));
    }
  }
}
