import assert from "node:assert/strict";
import { resolve } from "node:path";
import { test } from "node:test";
import { CairnError } from "../../../model/errors.ts";
import { parseSqliteUrl } from "./url.ts";

test("paths and prefixes as JuiceFS reads them", () => {
  assert.deepEqual(parseSqliteUrl("sqlite3:///var/lib/my%20jfs.db"), {
    path: "/var/lib/my%20jfs.db",
    tablePrefix: "jfs_",
    location: "sqlite3:///var/lib/my%20jfs.db",
  });
  assert.equal(parseSqliteUrl("sqlite3://rel/a.db").path, resolve("rel/a.db"));
  assert.deepEqual(
    parseSqliteUrl("sqlite3:///a.db?cache=shared&_journal=WAL&_timeout=5000&table_prefix=abc&max_open_conns=3"),
    {
      path: "/a.db",
      tablePrefix: "jfs_abc_",
      location: "sqlite3:///a.db?table_prefix=abc",
    },
  );
});

test("what is no such URL is refused", () => {
  for (const url of [
    "redis://host/1",
    "sqlite3://",
    "sqlite3:///",
    "sqlite3://?cache=shared",
    "sqlite3://:memory:",
    "sqlite3://file:/a.db",
    "sqlite3:///a.db?tableprefix=x",
    "sqlite3:///a.db?table_prefix=a`b",
  ]) {
    assert.throws(
      () => parseSqliteUrl(url),
      (error: unknown) => error instanceof CairnError && error.code === "meta-url-invalid",
      url,
    );
  }
});
