import assert from "node:assert/strict";
import { test } from "node:test";
import { parseMysqlUrl } from "./url.ts";

test("takes a URL apart as JuiceFS and its driver do", () => {
  const { address, tablePrefix, location } = parseMysqlUrl("mysql://jfs:secret@(db.example:3307)/meta");
  assert.equal(address.user, "jfs");
  assert.equal(address.password, "secret");
  assert.equal(address.host, "db.example");
  assert.equal(address.port, 3307);
  assert.equal(address.database, "meta");
  assert.equal(address.tls, "off");
  assert.equal(address.socketPath, undefined);
  assert.equal(tablePrefix, "jfs_");
  assert.equal(location, "mysql://jfs@(db.example:3307)/meta");
});

test("knows the forms of an address", () => {
  const at = (text: string): string => {
    const { host, port, socketPath } = parseMysqlUrl(`mysql://u:p@${text}/db`).address;
    return socketPath ?? `${host}:${port}`;
  };
  assert.equal(at("(h:1)"), "h:1");
  assert.equal(at("tcp(h:1)"), "h:1");
  assert.equal(at("(h)"), "h:3306");
  assert.equal(at("tcp([::1]:3307)"), "::1:3307");
  assert.equal(at(""), "127.0.0.1:3306");
  assert.equal(at("unix(/run/my.sock)"), "/run/my.sock");
  assert.equal(at("unix"), "/tmp/mysql.sock");
  assert.throws(() => at("host"), /parentheses/);
  assert.throws(() => at("(h:99999)"), { code: "meta-url-invalid" });
});

test("decodes a password where it could be one of a URL, and else takes it as it stands", () => {
  const password = (text: string): string => parseMysqlUrl(`mysql://u:${text}@(h:1)/db`).address.password;
  assert.equal(password("a%40b%2F"), "a@b/");
  assert.equal(password("a@b:c"), "a@b:c");
  assert.equal(password("a+b"), "a+b");
  assert.equal(password("100%"), "100%");
  assert.equal(password("a%40/b"), "a%40/b");
  assert.equal(password("x^%41"), "x^%41");
  assert.equal(password("é%41"), "é%41");
  assert.equal(password(""), "");
  assert.equal(parseMysqlUrl("mysql://u@(h:1)/db").address.password, "");
});

test("takes options, and refuses unknown ones by name", () => {
  const { address, tablePrefix } = parseMysqlUrl(
    "mysql://u:p@(h:1)/db?table_prefix=abc&tls=skip-verify&timeout=1m30s&readTimeout=500ms&max_open_conns=5&parseTime=true",
  );
  assert.equal(tablePrefix, "jfs_abc_");
  assert.equal(address.tls, "skip-verify");
  assert.equal(address.connectTimeoutMs, 90_000);
  assert.equal(address.silenceMs, 500);
  assert.equal(parseMysqlUrl("mysql://u:p@(h:1)/db?tls=true").address.tls, "verify");
  assert.equal(parseMysqlUrl("mysql://u:p@(h:1)/db?tls=preferred").address.tls, "preferred");
  assert.equal(parseMysqlUrl("mysql://u:p@(h:1)/db?tls=false").address.tls, "off");
  for (const [options, expected] of [
    ["table_prefx=abc", /table_prefx/],
    ["tls=mine", /tls/],
    ["charset=latin1", /charset/],
    ["timeout=soon", /timeout/],
    ["table_prefix=a'b", /table_prefix/],
  ] as const) {
    assert.throws(() => parseMysqlUrl(`mysql://u:p@(h:1)/db?${options}`), expected);
  }
});

test("tells no password in a message", () => {
  for (const url of [
    "mysql://u:geheim@host",
    "mysql://u:geheim@host/db",
    "mysql://u:geheim@(h:1)/db?x=1",
    "mysql://:geheim@(h)/db",
    "mysql://u:p@geheim/wd",
    "mysql://u:p?geheim@(h:1)/db",
    "mysql://u:p/x?tls=geheim@(h:1)/db",
    "mysql://u:p@(h:1)/db?charset=geheim",
    "mysql://u:p@(h:1)/db?a-geheim=1",
  ]) {
    assert.throws(
      () => parseMysqlUrl(url),
      (error: Error) => !error.message.includes("geheim"),
    );
  }
});
