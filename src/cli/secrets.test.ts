import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { shellQuote } from "./command-text.ts";
import { withoutPassword, withPassword } from "./meta-url.ts";
import { howToSetSecrets, secretsGiven, secretsMissing } from "./secrets.ts";

test("secrets come from the environment and from files, never from values", async () => {
  const folder = mkdtempSync(join(tmpdir(), "cairn-secrets-"));
  try {
    writeFileSync(join(folder, "key"), "s3cret\nnot this\n");
    writeFileSync(join(folder, "pem"), "-----BEGIN\nlines\n-----END\n");
    const files = [`SecretKey=${join(folder, "key")}`, `EncryptKey=${join(folder, "pem")}`];
    assert.deepEqual(await secretsGiven(files, { CAIRN_SESSION_TOKEN: "t", CAIRN_SECRET_KEY: "other" }), {
      SecretKey: "s3cret",
      SessionToken: "t",
      EncryptKey: "-----BEGIN\nlines\n-----END\n",
    });
    await assert.rejects(secretsGiven(["Bucket=/x"], {}), { code: "usage" });
    await assert.rejects(secretsGiven([`SecretKey=${join(folder, "none")}`], {}), { code: "password-file" });
    await assert.rejects(secretsGiven(["SecretKey"], {}), { code: "usage" });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("what is missing is named with the way to set it", () => {
  assert.deepEqual(secretsMissing("SecretKey,SessionToken", { SecretKey: "x" }), ["SessionToken"]);
  assert.deepEqual(secretsMissing(undefined, {}), []);
  assert.deepEqual(howToSetSecrets(["SecretKey", "EncryptKey"], "sqlite3:///x.db"), [
    "  SecretKey: juicefs config sqlite3:///x.db --secret-key …",
    "  EncryptKey: restore again with --secret-file EncryptKey=FILE or CAIRN_ENCRYPT_KEY",
  ]);
});

test("passwords go into a metadata URL and never out again", async () => {
  const url = "postgres://ann@host:5432/db";
  assert.equal(await withPassword(url, { META_PASSWORD: "a@b" }), "postgres://ann:a%40b@host:5432/db");
  assert.equal(await withPassword("sqlite3://a@b.db", { META_PASSWORD: "x" }), "sqlite3://a@b.db");
  assert.equal(await withPassword("postgres://ann:y@host/db", { META_PASSWORD: "x" }), "postgres://ann:y@host/db");
  assert.equal(await withPassword("postgres://host/db", { META_PASSWORD: "x" }), "postgres://host/db");
  assert.equal(await withPassword("redis://host/1", { META_PASSWORD: "x" }), "redis://:x@host/1");
  assert.equal(await withPassword("host:6379/1", { META_PASSWORD: "x" }), ":x@host:6379/1");
  assert.equal(
    await withPassword("redis://ann@m,h1:1,h2:2/1", { REDIS_PASSWORD: "y", META_PASSWORD: "x" }),
    "redis://ann:y@m,h1:1,h2:2/1",
  );
  assert.equal(await withPassword("redis://:z@host/1", { META_PASSWORD: "x" }), "redis://:z@host/1");
  assert.equal(
    await withPassword("unix:///run/redis.sock?db=1", { META_PASSWORD: "x" }),
    "unix://:x@/run/redis.sock?db=1",
  );
  assert.equal(
    await withPassword("mysql://ann@(host:3306)/db", { META_PASSWORD: "a/b" }),
    "mysql://ann:a%2Fb@(host:3306)/db",
  );
  assert.equal(withoutPassword("mysql://ann:a/b@c?d@(host:3306)/db"), "mysql://ann:***@(host:3306)/db");
  assert.equal(withoutPassword("postgres://ann:p/s?s#x@host/db"), "postgres://ann:***@host/db");
  assert.equal(
    withoutPassword("postgres://host/db?user=u&password=pw&sslpassword=k&sslmode=require"),
    "postgres://host/db?user=u&password=***&sslpassword=***&sslmode=require",
  );
  assert.equal(withoutPassword("redis://:pw@host/1"), "redis://:***@host/1");
  assert.equal(withoutPassword("redis://h1:1,h2:2/1"), "redis://h1:1,h2:2/1");
  assert.equal(withoutPassword("postgres://ann:p@ss@host/db"), "postgres://ann:***@host/db");
  assert.equal(withoutPassword("sqlite3:///a/b@c.db"), "sqlite3:///a/b@c.db");
});

test("commands are quoted for a shell where they must be", () => {
  assert.equal(shellQuote("/a/b@latest:/x"), "/a/b@latest:/x");
  assert.equal(shellQuote("a b'c"), `'a b'\\''c'`);
});
