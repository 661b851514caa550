import assert from "node:assert/strict";
import { test } from "node:test";
import { sqlTables } from "./tables.ts";
import { readVolumeSchema, volumeTables } from "./volume-schema.ts";

const tablesWith = (prefix: string): string[] => sqlTables.map((table) => prefix + table.name);

test("two volumes in one database keep to their own tables, also where a prefix is the beginning of a table's name", () => {
  for (const inner of ["dir", "chunk", "user", "user_group", "change", "delegation", "abc"]) {
    const first = tablesWith("jfs_");
    const second = tablesWith(`jfs_${inner}_`);
    const names = [...first, ...second, "other_app"];
    assert.deepEqual(volumeTables(names, "jfs_"), first, inner);
    assert.deepEqual(volumeTables(names, `jfs_${inner}_`), second, inner);
  }
});

test("a table that no release has is refused, a column that every release has must be there", () => {
  const columnsOf = (name: string): string[] =>
    (sqlTables.find((table) => `jfs_${table.name}` === name)?.columns ?? []).map((column) => column.name);
  const names = tablesWith("jfs_");
  assert.equal(readVolumeSchema({ place: "here", names, columnsOf }, "jfs_").line, "1.4");
  assert.throws(() => readVolumeSchema({ place: "here", names: [...names, "jfs_new"], columnsOf }, "jfs_"), {
    code: "unknown-schema",
  });
  const without = (table: string, column: string) => (name: string) =>
    columnsOf(name).filter((one) => name !== table || one !== column);
  assert.throws(() => readVolumeSchema({ place: "here", names, columnsOf: without("jfs_node", "length") }, "jfs_"), {
    code: "not-a-volume",
    message: /column length of table jfs_node/,
  });
  assert.doesNotThrow(() =>
    readVolumeSchema({ place: "here", names, columnsOf: without("jfs_node", "tier_id") }, "jfs_"),
  );
});
