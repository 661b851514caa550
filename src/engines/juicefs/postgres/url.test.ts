import assert from "node:assert/strict";
import { test } from "node:test";
import { CairnError } from "../../../model/errors.ts";
import { parsePostgresUrl } from "./url.ts";

test("a URL is taken apart as JuiceFS and its driver do", () => {
  const url = parsePostgresUrl(
    "postgres://jfs%40x:p%3Aw%40@db.example:6000/meta?sslmode=verify-full&search_path=files&table_prefix=abc&max_open_conns=10",
  );
  assert.deepEqual(url.hosts, [{ host: "db.example", port: 6000 }]);
  assert.equal(url.user, "jfs@x");
  assert.equal(url.password, "p:w@");
  assert.equal(url.database, "meta");
  assert.equal(url.tlsMode, "verify-full");
  assert.equal(url.searchPath, "files");
  assert.equal(url.tablePrefix, "jfs_abc_");
  assert.equal(url.location, "postgres://db.example:6000/meta?search_path=files&table_prefix=abc");
});

test("what is not said has the driver's defaults", () => {
  const url = parsePostgresUrl("postgres://someone@host/db");
  assert.deepEqual(url.hosts, [{ host: "host", port: 5432 }]);
  assert.equal(url.tlsMode, "prefer");
  assert.equal(url.searchPath, undefined);
  assert.equal(url.tablePrefix, "jfs_");
  assert.equal(url.sessionKind, "any");
  assert.equal(parsePostgresUrl("postgres://someone@host").database, "someone");
});

test("sockets, several hosts and addresses of the sixth version", () => {
  assert.deepEqual(parsePostgresUrl("postgres://u:p@/db?host=/run/postgresql&port=5433").hosts, [
    { host: "/run/postgresql", port: 5433 },
  ]);
  const several = parsePostgresUrl("postgres://u@one:1,two/db?target_session_attrs=read-write");
  assert.deepEqual(several.hosts, [
    { host: "one", port: 1 },
    { host: "two", port: 5432 },
  ]);
  assert.equal(several.sessionKind, "read-write");
  assert.equal(several.location, "postgres://one:1,two:5432/db");
  assert.deepEqual(parsePostgresUrl("postgres://u@[::1]:7/db").hosts, [{ host: "::1", port: 7 }]);
});

test("an authority that is named is checked, even with sslmode=require", () => {
  assert.equal(parsePostgresUrl("postgres://u@h/d?sslmode=require&sslrootcert=/ca.pem").tlsMode, "verify-ca");
});

test("what is not known is refused by name, and no message shows the password", () => {
  const refused = (url: string, message: RegExp): void => {
    assert.throws(
      () => parsePostgresUrl(url),
      (error: unknown) =>
        error instanceof CairnError &&
        error.code === "meta-url-invalid" &&
        message.test(error.message) &&
        !JSON.stringify([error.message, error.next, error.details]).includes("hunter"),
    );
  };
  refused("postgres://u:hunter@h/d?table_prefx=a", /unknown option "table_prefx"/);
  refused("postgres://u:hunter@h/d?options=-csearch_path=x", /unknown option "options"/);
  refused("postgres://u:hunter@h/d?search_path=a,b", /more than one schema/);
  refused("postgres://u:hunter@h/d?sslmode=on", /sslmode is "on"/);
  refused("postgres://u:hunter@h:99999/d", /port/);
  refused("postgres://u:hunter@h/d?table_prefix=a%22b", /table_prefix/);
  refused("postgres://u:hunter%@h/d", /password has a %/);
  refused("postgres://u:hunter@h/d?sslcert=/c.pem", /sslcert and sslkey/);
  refused("postgres://u:hunter@h/d?search_path=a&search_path=b", /twice/);
  refused("mysql://u:hunter@h/d", /not of the form/);
  // A password that should have been encoded.
  refused("postgres://u:hunter/et@h/db", /an @ follows the first \//);
  refused("postgres://u:12/hunter@h/db", /an @ follows the first \//);
  refused("postgres://u:hunter?et@h/db", /unknown option/);
  refused("postgres://u:a?hunter&b=1@h/db", /an unknown option/);
  refused("postgres://u:1?sslmode=hunter@h/db", /sslmode is not known/);
  refused("postgres://u:hunter?sslmode=disable", /unreadable host or port/);
  refused("postgres://u:hunter#et@h/db", /not of the form/);
  refused("postgres://u:hunter@h:hunter/d", /unreadable host or port/);
});
