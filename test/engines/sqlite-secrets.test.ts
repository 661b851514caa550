import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { splitSecrets } from "../../src/engines/juicefs/secrets.ts";
import { parseSetting, settingText } from "../../src/engines/juicefs/setting.ts";
import { juicefsTable } from "../../src/model/juicefs.ts";
import { runJuicefs } from "../volumes/juicefs-cli.ts";
import { settingOf } from "./sqlite-contents.ts";
import { copyVolume, portOptions, readVolume, testFolder, writeVolume } from "./sqlite-copy.ts";

const folder = testFolder("sqlite-secrets");
after(() => rmSync(folder, { recursive: true }));
const options = portOptions(folder);
const path = join(folder, "secret.db");
const url = `sqlite3://${path}`;

before(async () => {
  const keyPath = join(folder, "key.pem");
  const { privateKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem", cipher: "aes-256-cbc", passphrase: "12345678" },
  });
  writeFileSync(keyPath, privateKey);
  process.env["JFS_RSA_PASSPHRASE"] = "12345678";
  await runJuicefs([
    "format",
    "--storage=file",
    `--bucket=${join(folder, "bucket")}/`,
    "--access-key=me",
    "--secret-key=super-secret-key",
    `--encrypt-rsa-key=${keyPath}`,
    url,
    "secret",
  ]);
});

test("the real client's wrapped secrets are unwrapped: the key stays, the secret goes", async () => {
  assert.match(settingOf(path), /"KeyEncrypted": true/);
  const volume = await readVolume(url, options, { keepSecrets: true });
  assert.deepEqual(volume.summary.secrets, { SecretKey: "super-secret-key" });
  assert.equal(volume.summary.facts["secretsRemoved"], "SecretKey");
  const fields = new Map(
    volume.records[juicefsTable.setting].map(([name, , value]) => [
      Buffer.from(name as Uint8Array).toString(),
      Buffer.from(value as Uint8Array).toString(),
    ]),
  );
  assert.match(fields.get("EncryptKey") ?? "", /ENCRYPTED/);
  assert.equal(fields.get("SecretKey"), undefined);

  const without = await readVolume(url, options);
  assert.deepEqual(without.summary.secrets, {});
  assert.deepEqual(without.records, volume.records);
  const bytes = JSON.stringify([volume.records, volume.summary.facts, without.summary], (_, value: unknown) =>
    typeof value === "bigint"
      ? value.toString()
      : value instanceof Uint8Array
        ? Buffer.from(value).toString("latin1")
        : value,
  );
  assert.ok(!bytes.includes("super-secret-key"));
});

test("the real client opens a volume whose secrets we wrapped", async () => {
  const volume = await readVolume(url, options, { keepSecrets: true });
  const copy = join(folder, "with-secrets.db");
  {
    await using writer = await writeVolume(volume, `sqlite3://${copy}`, options, { secrets: volume.summary.secrets });
    await writer.publish();
  }
  const stored = parseSetting(settingOf(copy));
  assert.notEqual(settingText(stored, "SecretKey"), "super-secret-key");
  assert.equal(splitSecrets(stored).secrets["SecretKey"], "super-secret-key");
  // It decrypts all secrets, and needs the key's passphrase, to reach the blocks.
  await runJuicefs(["fsck", `sqlite3://${copy}`]);
});

test("without the secret the real client says what to do, and `config` sets it", async () => {
  const copy = join(folder, "without-secrets.db");
  await copyVolume(url, `sqlite3://${copy}`, options);
  assert.equal(settingText(parseSetting(settingOf(copy)), "SecretKey"), "removed");
  await assert.rejects(runJuicefs(["fsck", `sqlite3://${copy}`]), /secret was removed/);
  await runJuicefs(["config", `sqlite3://${copy}`, "--yes", "--secret-key=super-secret-key"]);
  await runJuicefs(["fsck", `sqlite3://${copy}`]);
  const again = await readVolume(`sqlite3://${copy}`, options);
  const before = await readVolume(url, options);
  assert.deepEqual(again.records[juicefsTable.setting], before.records[juicefsTable.setting]);
});
