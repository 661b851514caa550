import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import type { JuicefsLine } from "../../src/engines/juicefs/lines.ts";
import { sqlTables, tablesOfLine } from "../../src/engines/juicefs/sql/tables.ts";
import { createIndexSql, createTableSql } from "../../src/engines/juicefs/sqlite/schema.ts";
import { runJuicefs } from "../volumes/juicefs-cli.ts";
import { schemaOf } from "./sqlite-contents.ts";
import { testFolder } from "./sqlite-copy.ts";
import { olderVolume } from "./sqlite-fixtures.ts";

const folder = testFolder("sqlite-schema");
after(() => rmSync(folder, { recursive: true }));

async function formatted(line: JuicefsLine): Promise<string> {
  if (line !== "1.4") return olderVolume(folder, line, "closed");
  const path = join(folder, "line-1.4.db");
  await runJuicefs(["format", "--storage=file", `--bucket=${join(folder, "bucket")}/`, `sqlite3://${path}`, "schema"]);
  return path;
}

for (const line of ["1.2", "1.3", "1.4"] as const) {
  test(`JuiceFS ${line} creates the schema that we write, letter for letter, and nothing that we do not know`, async () => {
    const path = await formatted(line);
    const ours = tablesOfLine(line).flatMap((table) => [
      createTableSql("jfs_", table),
      ...createIndexSql("jfs_", table),
    ]);
    assert.deepEqual(schemaOf(path), ours.toSorted());

    const database = new DatabaseSync(path, { readOnly: true });
    const real = database
      .prepare(
        "SELECT t.name AS tableName, c.name AS columnName FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name LIKE 'jfs\\_%' ESCAPE '\\'",
      )
      .all();
    database.close();
    assert.ok(real.length > 70);
    for (const { tableName, columnName } of real) {
      const known = sqlTables.find((table) => `jfs_${table.name}` === tableName);
      assert.ok(
        known?.columns.some((column) => column.name === columnName),
        `${String(tableName)}.${String(columnName)}`,
      );
    }
  });
}

test("a table prefix goes into the names of tables and indexes as the real client puts it", async () => {
  const path = join(folder, "prefixed.db");
  const url = `sqlite3://${path}?table_prefix=abc`;
  await runJuicefs(["format", "--storage=file", `--bucket=${join(folder, "bucket")}/`, url, "prefixed"]);
  const ours = tablesOfLine("1.4").flatMap((table) => [
    createTableSql("jfs_abc_", table),
    ...createIndexSql("jfs_abc_", table),
  ]);
  assert.deepEqual(schemaOf(path), ours.toSorted());
});
