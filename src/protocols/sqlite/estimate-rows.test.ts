import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { estimateRows } from "./estimate-rows.ts";
import { runSql, scratchFolder } from "./testing.ts";
import { openPrivateView } from "./view-of-private-file.ts";

test("estimates rows from a few pages, exactly for small tables", (context) => {
  const path = join(scratchFolder(context), "a.db");
  const fill = (table: string, count: number): string =>
    `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${count}) INSERT INTO ${table} SELECT randomblob(20 + i % 30) FROM c`;
  runSql(
    path,
    "PRAGMA page_size = 512",
    "CREATE TABLE none (a)",
    "CREATE TABLE few (a)",
    "CREATE TABLE many (a)",
    fill("few", 7),
    fill("many", 40000),
  );
  using view = openPrivateView(path);
  assert.equal(estimateRows(view.database, "none"), 0);
  assert.equal(estimateRows(view.database, "few"), 7);
  const many = estimateRows(view.database, "many");
  assert.ok(many > 36000 && many < 44000, `${many} for 40000`);
});
