import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { CairnError } from "../model/errors.ts";
import { bytesToText } from "../std/byte-text.ts";
import { isAddress, parseAddress } from "./address.ts";
import { parseTime } from "./times.ts";

const now = Date.parse("2026-11-21T12:00:00Z");
const parse = (text: string, repository?: string) => parseAddress(text, now, repository);
const pathText = (text: string): string => Buffer.from(parse(text).path ?? []).toString("latin1");

test("takes the forms of selectors", () => {
  assert.deepEqual(parse("/r@latest").selector, { kind: "latest" });
  assert.deepEqual(parse("/r@0a1b").selector, { kind: "id", prefix: "0a1b" });
  assert.deepEqual(parse("/r@-2h").selector, { kind: "time", notAfter: now - 7_200_000 });
  assert.deepEqual(parse("/r@-90s").selector, { kind: "time", notAfter: now - 90_000 });
  assert.deepEqual(parse("/r@-1w").selector, { kind: "time", notAfter: now - 604_800_000 });
  assert.deepEqual(parse("/r@2026-11-20T10:00Z").selector, {
    kind: "time",
    notAfter: Date.parse("2026-11-20T10:00:00Z"),
  });
  assert.deepEqual(parse("/r@2026-11-20T10:00:30.5+01:00").selector, {
    kind: "time",
    notAfter: Date.parse("2026-11-20T09:00:30.500Z"),
  });
  assert.deepEqual(parse("/r@2026-11-20T10:00").selector, {
    kind: "time",
    notAfter: new Date(2026, 10, 20, 10, 0).getTime(),
  });
});

test("a date alone is the whole day", () => {
  assert.equal(parseTime("2026-11-20"), new Date(2026, 10, 20, 23, 59, 59, 999).getTime());
});

test("refuses days that do not exist", () => {
  assert.equal(parseTime("2026-02-30"), undefined);
  assert.equal(parseTime("2026-13-01"), undefined);
  assert.equal(parseTime("2028-02-29T00:00Z"), Date.parse("2028-02-29T00:00Z"));
  assert.throws(() => parse("/r@2026-02-30"), { code: "address-invalid" });
});

test("the path begins after the selector, and everything else may hold @ and :", () => {
  assert.equal(parse("/srv/a@b/c:d/repo@latest:/x@y:/z").repository, "/srv/a@b/c:d/repo");
  assert.equal(pathText("/srv/a@b/c:d/repo@latest:/x@y:/z"), "/x@y:/z");
  assert.equal(parse("/odd:/folder@latest:/x").repository, "/odd:/folder");
  assert.equal(parse("s3://bucket/p@0abc:/x").repository, "s3://bucket/p");
  assert.equal(parse("/me@home@-2d:/x").repository, "/me@home");
  assert.equal(pathText("r@latest:/a@latest:/b"), "/a@latest:/b");
  assert.equal(parse("r@latest@latest").repository, "r@latest");
  assert.equal(parse("r@latest").path, undefined);
  assert.equal(pathText("r@latest:/"), "/");
});

test("%XX in a path is a byte", () => {
  assert.equal(pathText("r@latest:/a%FF%25%zz"), "/a\u00ff%%zz");
});

test("CAIRN_REPO stands in for the repository", () => {
  assert.equal(parse("@latest:/x", "/r").repository, "/r");
  assert.throws(() => parse("@latest"), { code: "address-invalid", exit: "wrongUse" });
});

test("says what is wrong", () => {
  const messageOf = (text: string): string => {
    try {
      parse(text);
    } catch (error) {
      assert.ok(error instanceof CairnError);
      return `${error.message}; ${error.next}`;
    }
    return assert.fail(`${text} was taken`);
  };
  assert.match(messageOf("/r@lates:/x"), /"lates" selects no snapshot; write \/r@latest/);
  assert.match(messageOf("/r"), /it says no snapshot; write \/r@latest/);
  assert.match(messageOf("/r:/x"), /it says no snapshot; write \/r@latest/);
  assert.match(messageOf("/r@"), /it says no snapshot/);
  assert.match(messageOf("/r@abc"), /"abc" selects no snapshot/);
});

test("tells an address from a repository", () => {
  assert.equal(isAddress("/r@latest"), true);
  assert.equal(isAddress("/srv/a@b/repo"), false);
});

test("any repository without a selector in it and any path come back", () => {
  const repository = fc
    .stringMatching(/^[a-z/:@.]{1,20}$/)
    .filter((text) => !/@(latest|[0-9a-f]{4,32})(:\/|$)/.test(text));
  const path = fc
    .uint8Array({ maxLength: 30 })
    .map((bytes) => Uint8Array.from([0x2f, ...bytes.filter((one) => one !== 0)]));
  fc.assert(
    fc.property(repository, path, (where, bytes) => {
      const address = parse(`${where}@latest:${bytesToText(bytes)}`);
      assert.equal(address.repository, where);
      assert.deepEqual(address.path, bytes);
    }),
  );
});
