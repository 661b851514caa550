/** What stands in a volume's database, read with SQLite itself, for comparison. */
import { DatabaseSync } from "node:sqlite";

/** Not carried by a backup, or numbered anew. */
const leftOut = ["session", "session2", "flock", "plock", "change_log", "delegation_token"];

/** Columns without meaning: numbers that rows get as they come. The ids of ACL rules have one. */
function isSerial(table: string, column: string): boolean {
  return column === "id" && table !== "acl";
}

/** Rows of every carried table, as sorted text; bytes and text alike in hex, since JuiceFS appends to BLOBs with `||`, which gives text. */
export function contentsOf(path: string, prefix = "jfs_"): Record<string, string[]> {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const contents: Record<string, string[]> = {};
    for (const table of tableNames(database, prefix)) {
      if (leftOut.includes(table)) continue;
      const columns = database
        .prepare(`SELECT name, type FROM pragma_table_info(?)`)
        .all(prefix + table)
        .filter((column) => !isSerial(table, String(column["name"])));
      const read = columns.map(({ name, type }) =>
        type === "INTEGER" ? `ifnull(\`${String(name)}\`, 0)` : `ifnull(hex(\`${String(name)}\`), '')`,
      );
      const statement = database.prepare(`SELECT ${read.join(" || '|' || ")} AS line FROM \`${prefix}${table}\``);
      const lines = statement.all().map(({ line }) => String(line));
      if (lines.length > 0) contents[table] = lines.toSorted();
    }
    return contents;
  } finally {
    database.close();
  }
}

function tableNames(database: DatabaseSync, prefix: string): string[] {
  return database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    .all()
    .map(({ name }) => String(name))
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length));
}

/** Every statement of the schema, sorted; without the tables that SQLite makes for itself. */
export function schemaOf(path: string): string[] {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    return database
      .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
      .all()
      .map(({ sql }) => String(sql))
      .toSorted();
  } finally {
    database.close();
  }
}

/** The setting as it is stored. */
export function settingOf(path: string, prefix = "jfs_"): string {
  return String(oneValue(path, `SELECT value FROM \`${prefix}setting\` WHERE name = 'format'`));
}

/** The first column of the first row of a query. */
export function oneValue(path: string, sql: string): unknown {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const row = database.prepare(sql).get();
    return row === undefined ? undefined : Object.values(row)[0];
  } finally {
    database.close();
  }
}

/** Changes a database by hand. */
export function execute(path: string, sql: string): void {
  const database = new DatabaseSync(path);
  try {
    database.exec(sql);
  } finally {
    database.close();
  }
}
