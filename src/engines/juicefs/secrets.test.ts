import assert from "node:assert/strict";
import { test } from "node:test";
import { CairnError } from "../../model/errors.ts";
import { unwrapSecret, wrapSecret } from "./key-wrapping.ts";
import { joinSecrets, splitAddress, splitSecrets } from "./secrets.ts";
import { formatSetting, parseSetting, settingRows, settingText } from "./setting.ts";

const uuid = "547a2fd6-7fb7-4392-afc5-92ad32c6b918";
const protectedKey = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
const openKey = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n";

function settingWith(more: Record<string, unknown>): ReturnType<typeof parseSetting> {
  return parseSetting(
    JSON.stringify({ Name: "v", UUID: uuid, Storage: "s3", Bucket: "https://b", BlockSize: 4096, ...more }),
  );
}

test("secrets leave the table, and their names stay as a fact", () => {
  const split = splitSecrets(
    settingWith({
      AccessKey: "me",
      SecretKey: "s1",
      SessionToken: "s2",
      KerbConf: "s3",
      EncryptKey: openKey,
      Bucket: "https://u:p@host/x",
    }),
  );
  assert.deepEqual(split.secrets, {
    SecretKey: "s1",
    SessionToken: "s2",
    KerbConf: "s3",
    EncryptKey: openKey,
    BucketUserInfo: "u:p",
  });
  assert.equal(split.removed, "BucketUserInfo,EncryptKey,KerbConf,SecretKey,SessionToken");
  assert.equal(settingText(split.fields, "Bucket"), "https://host/x");
  assert.equal(settingText(split.fields, "AccessKey"), "me");
  for (const name of ["SecretKey", "SessionToken", "KerbConf", "EncryptKey"])
    assert.equal(settingText(split.fields, name), undefined);
});

test("the user info of Ranger's address leaves the table like that of the bucket, and comes back", () => {
  const RangerRestUrl = "http://admin:s3cret@ranger:6080";
  const stored = settingWith({ RangerRestUrl, RangerService: "jfs", Bucket: "https://u:p@host/x" });
  const split = splitSecrets(stored);
  assert.deepEqual(split.secrets, { BucketUserInfo: "u:p", RangerUserInfo: "admin:s3cret" });
  assert.equal(split.removed, "BucketUserInfo,RangerUserInfo");
  assert.equal(settingText(split.fields, "RangerRestUrl"), "http://ranger:6080");
  assert.deepEqual(joinSecrets(split.fields, split.secrets, split.removed), stored);
  const without = joinSecrets(split.fields, {}, split.removed);
  assert.equal(settingText(without, "RangerRestUrl"), "http://ranger:6080");
  assert.equal(settingText(without, "RangerUserInfo"), undefined);
});

test("a wrapped setting is unwrapped, and wrapped anew", () => {
  for (const EncryptAlgo of ["aes256gcm-rsa", "sm4gcm"]) {
    const wrap = (value: string): string => wrapSecret(value, uuid, EncryptAlgo);
    const stored = settingWith({
      EncryptAlgo,
      KeyEncrypted: true,
      SecretKey: wrap("geheim"),
      EncryptKey: wrap(protectedKey),
    });
    const split = splitSecrets(stored);
    assert.deepEqual(split.secrets, { SecretKey: "geheim" });
    assert.equal(settingText(split.fields, "EncryptKey"), protectedKey);
    const joined = parseSetting(formatSetting(joinSecrets(split.fields, split.secrets, split.removed), "1.4"));
    assert.notEqual(settingText(joined, "SecretKey"), settingText(stored, "SecretKey"));
    assert.deepEqual(settingRows(splitSecrets(joined).fields), settingRows(split.fields));
    assert.deepEqual(splitSecrets(joined).secrets, split.secrets);
  }
});

test("a secret that is not at hand becomes `removed`, which counts as one that was removed", () => {
  const split = splitSecrets(
    settingWith({ KeyEncrypted: true, SecretKey: wrapSecret("x", uuid, ""), Bucket: "redis://:pw@h/1" }),
  );
  const joined = joinSecrets(split.fields, {}, split.removed);
  assert.equal(settingText(joined, "SecretKey"), "removed");
  assert.equal(settingText(joined, "Bucket"), "redis://h/1");
  const again = splitSecrets(joined);
  assert.deepEqual(again.secrets, {});
  assert.equal(again.removed, "SecretKey");
});

test("the user info of a bucket URL is found; paths and plain names are left alone", () => {
  for (const [text, address, userInfo] of [
    ["https://u:p%40x@host:9000/b?x=@", "https://host:9000/b?x=@", "u:p%40x"],
    ["redis://:pw@host/1", "redis://host/1", ":pw"],
    ["user:p@ss/w@tcp(127.0.0.1:3306)/db", "tcp(127.0.0.1:3306)/db", "user:p@ss/w"],
    ["user:pass@(127.0.0.1:3306)/db", "(127.0.0.1:3306)/db", "user:pass"],
    ["/var/jfs@home/", "/var/jfs@home/", undefined],
    ["https://host/a@b", "https://host/a@b", undefined],
    ["user@host:/path", "user@host:/path", undefined],
    ["my-bucket", "my-bucket", undefined],
  ] as const) {
    assert.deepEqual(splitAddress(text), { address, userInfo }, text);
  }
});

test("a value wrapped for another UUID is refused without being shown", () => {
  const value = wrapSecret("very-secret", "another", "");
  assert.throws(
    () => unwrapSecret("SecretKey", value, uuid, ""),
    (error: unknown) =>
      error instanceof CairnError && error.code === "secret-unreadable" && !error.message.includes(value),
  );
});
