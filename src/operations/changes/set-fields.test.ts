import assert from "node:assert/strict";
import { test } from "node:test";
import type { Row } from "../../model/batch.ts";
import { CairnError } from "../../model/errors.ts";
import { makeSyntheticSnapshot, settingRows } from "../../../test/support/synthetic-snapshot.ts";
import { changedRows, planInTest } from "./testing.ts";

const s3 = { AccessKey: "AKIAOLD", Bucket: "https://old.example", Name: "v", Storage: "s3" };

async function set(
  setting: Record<string, unknown>,
  fields: Record<string, string>,
): Promise<{ descriptions: string[]; after: Record<string, string>; records: number }> {
  const snapshot = await makeSyntheticSnapshot({ tables: { setting: settingRows(setting) } });
  const changes = await planInTest(snapshot, { set: fields });
  const rows = await changedRows(snapshot, "setting", changes);
  const names = rows.map(([name]) => Buffer.from(name as Uint8Array));
  assert.ok(
    names.every((name, at) => at === 0 || Buffer.compare(names[at - 1], name) < 0),
    "in key order",
  );
  return {
    descriptions: changes.map(({ description }) => description),
    after: Object.fromEntries(
      rows.map((row: Row) => [String(Buffer.from(row[0] as Uint8Array)), String(Buffer.from(row[2] as Uint8Array))]),
    ),
    records: changes.reduce((sum, change) => sum + change.changedRecords(), 0),
  };
}

test("a bucket is replaced", async () => {
  const { descriptions, after, records } = await set(s3, { Bucket: "https://new.example" });
  assert.deepEqual(descriptions, ['Bucket "https://old.example" becomes "https://new.example"']);
  assert.deepEqual(after, { ...s3, Bucket: "https://new.example" });
  assert.equal(records, 1);
});

test("fields are added and removed", async () => {
  const { after } = await set(s3, { AccessKey: "", StorageClass: "STANDARD_IA" });
  assert.deepEqual(after, { Bucket: s3.Bucket, Name: "v", Storage: "s3", StorageClass: "STANDARD_IA" });
});

test("access keys are not repeated", async () => {
  const { descriptions } = await set(s3, { AccessKey: "AKIANEW" });
  assert.deepEqual(descriptions, ["AccessKey is replaced"]);
});

test("values that are there already change nothing", async () => {
  const { descriptions } = await set(s3, { Bucket: s3.Bucket, Storage: "s3", StorageClass: "" });
  assert.deepEqual(descriptions, []);
});

test("the folder of a file bucket ends with a slash and is absolute", async () => {
  const file = { Bucket: "/old/", Storage: "file" };
  assert.equal((await set(file, { Bucket: "/new/place" })).after["Bucket"], "/new/place/");
  assert.equal((await set(s3, { Bucket: "/new", Storage: "file" })).after["Bucket"], "/new/");
  await assert.rejects(set(file, { Bucket: "place" }), { code: "usage" });
});

test("the storage class is that of tier 0 where there are tiers", async () => {
  const tiers = { "0": { ID: 0, StorageClass: "", Tag: "a" }, "1": { ID: 1, StorageClass: "GLACIER", Tag: "" } };
  const { descriptions, after } = await set({ ...s3, Tiers: tiers }, { StorageClass: "STANDARD_IA" });
  assert.deepEqual(descriptions, ['StorageClass "" becomes "STANDARD_IA"']);
  assert.equal(
    after["Tiers"],
    '{"0":{"ID":0,"StorageClass":"STANDARD_IA","Tag":"a"},"1":{"ID":1,"StorageClass":"GLACIER","Tag":""}}',
  );
  assert.equal(after["StorageClass"], undefined);
  const odd = { ...s3, Tiers: { "1": {}, "0": { StorageClass: "", ID: 0 } } };
  await assert.rejects(set(odd, { StorageClass: "X" }), { code: "usage" });
});

test("secrets, unknown fields and empty values are refused without repeating them", async () => {
  const wrong: [Record<string, string>, string][] = [
    [{ SecretKey: "hunter2" }, "secret-on-command-line"],
    [{ SessionToken: "hunter2" }, "secret-on-command-line"],
    [{ EncryptKey: "hunter2" }, "secret-on-command-line"],
    [{ Bucket: "https://me:hunter2@new.example/b" }, "secret-on-command-line"],
    [{ Bucket: "redis://:hunter2@host/1" }, "secret-on-command-line"],
    [{ Bucket: "me:hunter2@(host:3306)/db" }, "secret-on-command-line"],
    [{ Bucket: "" }, "usage"],
    [{ Storage: "" }, "usage"],
    [{ bucket: "https://x" }, "usage"],
    [{ Name: "other" }, "usage"],
    [{ UUID: "other" }, "usage"],
    [{ Bucket: "https://x\n" }, "usage"],
    [{ AccessKey: " x" }, "usage"],
  ];
  for (const [fields, code] of wrong) {
    await assert.rejects(set(s3, fields), (error) => {
      assert.ok(error instanceof CairnError);
      assert.equal(error.code, code, JSON.stringify(fields));
      assert.equal(error.exit, "wrongUse");
      assert.ok(!`${error.message} ${error.next ?? ""}`.includes("hunter2"));
      assert.notEqual(error.next, undefined);
      return true;
    });
  }
});

test("an at sign in a path is no user", async () => {
  assert.equal((await set(s3, { Bucket: "https://host/a@b" })).after["Bucket"], "https://host/a@b");
});
