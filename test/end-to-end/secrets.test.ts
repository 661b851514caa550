import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { rowAt } from "../../src/model/batch.ts";
import { pathSchema } from "../../src/format/path-index.ts";
import { openStore } from "../../src/cli/registry.ts";
import { readTable } from "../../src/repository/snapshot.ts";
import type { Snapshot } from "../../src/repository/snapshot.ts";
import { openSnapshots } from "../support/run-backup.ts";
import { mountVolume, runJuicefs } from "../volumes/juicefs-cli.ts";
import { openBench } from "./bench.ts";
import type { Bench } from "./bench.ts";
import { runCairn } from "./run-cairn.ts";

const secretKey = "the-secret-key-of-the-store/+aB3";
const sessionToken = "the-session-token==of-the-store";
const passphrase = "opens the encryption key";
const content = randomBytes(300_000);

let bench: Bench;
let made = 0;

before(async () => {
  bench = await openBench("secrets");
});

after(() => bench[Symbol.asyncDispose]());

interface SecretVolume {
  readonly name: string;
  readonly url: string;
  /** The RSA key as it was given to `juicefs format`. */
  readonly pem: string;
  readonly keyPath: string;
  readonly env: NodeJS.ProcessEnv;
  /** Bytes that must be nowhere, by what they are. */
  readonly needles: ReadonlyMap<string, Buffer>;
}

interface Variant {
  /** Whether a passphrase protects the encryption key. */
  readonly isProtected: boolean;
  /** Whether the setting wraps its secrets (`KeyEncrypted`), as every client does today. */
  readonly isWrapped: boolean;
}

/** An encrypted volume with one file, made by the real client. */
async function makeSecretVolume({ isProtected, isWrapped }: Variant): Promise<SecretVolume> {
  made += 1;
  const name = `volume-${made}`;
  const keyPath = bench.at(`${name}.pem`);
  const cipher = isProtected ? ["-aes256", "-passout", `pass:${passphrase}`] : [];
  execFileSync("openssl", ["genrsa", ...cipher, "-traditional", "-out", keyPath, "2048"], { stdio: "ignore" });
  const pem = readFileSync(keyPath, "utf8");
  const env = isProtected ? { JFS_RSA_PASSPHRASE: passphrase } : {};
  const path = bench.at(`${name}.db`);
  const url = `sqlite3://${path}`;
  await withEnvironment(env, async () => {
    const keys = ["--access-key=me", `--secret-key=${secretKey}`, `--session-token=${sessionToken}`];
    const bucket = `--bucket=${bench.at(`bucket-${name}`)}/`;
    await runJuicefs(["format", "--storage=file", bucket, ...keys, `--encrypt-rsa-key=${keyPath}`, url, name]);
    const mount = await mountVolume(url, bench.at(`mnt-${name}`), { workFolder: bench.at(`work-${name}`) });
    bench.hold(mount);
    writeFileSync(join(mount.mountpoint, "file"), content);
    await mount.unmount();
  });
  const wrapped = settingOf(path);
  assert.equal(wrapped["KeyEncrypted"], true);
  if (!isWrapped) {
    update(path, { KeyEncrypted: false, SecretKey: secretKey, SessionToken: sessionToken, EncryptKey: pem });
  }
  const needles = new Map<string, Buffer>();
  for (const [field, plain] of [["SecretKey", secretKey] as const, ["SessionToken", sessionToken] as const]) {
    needles.set(field, Buffer.from(plain));
    needles.set(`${field} in base64`, Buffer.from(Buffer.from(plain).toString("base64").replace(/=+$/, "")));
    needles.set(`${field} as it was wrapped`, Buffer.from(String(wrapped[field]).slice(0, 40)));
    needles.set(`${field} as it was wrapped, in bytes`, Buffer.from(String(wrapped[field]), "base64").subarray(0, 30));
  }
  if (!isProtected) {
    const lines = pem.split("\n").filter((line) => /^[A-Za-z0-9+/]{40,}/.test(line));
    needles.set("EncryptKey", Buffer.from(lines[5]));
    needles.set("EncryptKey in bytes", Buffer.from(lines.join(""), "base64").subarray(300, 340));
    needles.set("EncryptKey as it was wrapped", Buffer.from(String(wrapped["EncryptKey"]).slice(100, 160)));
  }
  return { name, url, pem, keyPath, env, needles };
}

function settingOf(path: string): Record<string, unknown> {
  const database = new DatabaseSync(path, { readOnly: true });
  const value = database.prepare("SELECT value FROM jfs_setting").get()?.["value"];
  database.close();
  return JSON.parse(String(value)) as Record<string, unknown>;
}

function update(path: string, fields: Record<string, unknown>): void {
  const database = new DatabaseSync(path);
  const setting = JSON.stringify({ ...settingOf(path), ...fields }, undefined, "");
  database.prepare("UPDATE jfs_setting SET value = ?").run(setting);
  database.close();
}

/** The real client and its mounts take the passphrase from the environment. */
async function withEnvironment<T>(env: NodeJS.ProcessEnv, run: () => Promise<T>): Promise<T> {
  Object.assign(process.env, env);
  try {
    return await run();
  } finally {
    for (const name of Object.keys(env)) delete process.env[name];
  }
}

/** What of the needles is in any of the texts. */
function found(needles: SecretVolume["needles"], haystack: readonly (string | Uint8Array)[]): string[] {
  const buffers = haystack.map((one) => Buffer.from(one as Uint8Array));
  return [...needles].filter(([, needle]) => buffers.some((one) => one.includes(needle))).map(([what]) => what);
}

/** All that is in a repository: its objects as they lie there, every page unpacked and decoded, the manifests. */
async function everythingIn(repository: string): Promise<(string | Uint8Array)[]> {
  const files = readdirSync(repository, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const all: (string | Uint8Array)[] = files.map((entry) => readFileSync(join(entry.parentPath, entry.name)));
  await using store = await openStore(repository);
  for (const snapshot of await openSnapshots(store)) all.push(...(await everythingOf(snapshot)));
  return all;
}

async function everythingOf(snapshot: Snapshot): Promise<(string | Uint8Array)[]> {
  const all: (string | Uint8Array)[] = [JSON.stringify(snapshot.manifest)];
  const tables = [...snapshot.kind.tables.map(({ name }) => name), pathSchema.name];
  let pages = 0;
  for (const table of tables) {
    for await (const { entry } of snapshot.index(table).everyEntry()) {
      if (entry.chain.length > 0) continue;
      all.push(await snapshot.reader.readWhole(entry));
      pages += 1;
    }
  }
  assert.ok(pages > 5, `${pages} pages`);
  for (const schema of snapshot.kind.tables) {
    for await (const batch of readTable(snapshot, schema.name)) {
      for (let row = 0; row < batch.count; row += 1) {
        for (const value of rowAt(schema, batch, row)) if (value instanceof Uint8Array) all.push(value);
      }
    }
  }
  return all;
}

/** Whether the real client mounts the copy and decrypts the file. */
async function assertReadable(volume: SecretVolume, url: string, name: string): Promise<void> {
  await withEnvironment(volume.env, async () => {
    const mount = await mountVolume(url, bench.at(`mnt-${name}`), {
      workFolder: bench.at(`work-${name}`),
      readOnly: true,
      noBackgroundJobs: true,
    });
    bench.hold(mount);
    try {
      assert.ok(readFileSync(join(mount.mountpoint, "file")).equals(content));
    } finally {
      await mount.unmount();
    }
  });
}

for (const isProtected of [true, false]) {
  for (const isWrapped of [true, false]) {
    const key = isProtected ? "protected by a passphrase" : "without a passphrase";
    test(`secrets are kept only when asked for: a key ${key}, ${isWrapped ? "wrapped" : "plain"} in the setting`, async () => {
      const volume = await makeSecretVolume({ isProtected, isWrapped });
      const { name, url, needles } = volume;
      const [without, keeping] = [bench.at(`repository-${name}`), bench.at(`keeping-${name}`)];
      for (const repository of [without, keeping]) assert.equal((await runCairn(["init", repository])).code, 0);

      const bare = await runCairn(["backup", url, without, "--json"]);
      assert.equal(bare.code, 0, bare.stderr);
      assert.deepEqual(found(needles, await everythingIn(without)), [], "nothing of a secret is in the repository");
      const kept = await runCairn(["backup", url, keeping, "--json", "--keep-secrets"]);
      assert.equal(kept.code, 0, kept.stderr);
      assert.match(kept.stdout, /"code":"secrets-kept"/);
      assert.equal(kept.last["root"], bare.last["root"], "secrets are no part of the root");
      const inKeeping = found(needles, await everythingIn(keeping));
      for (const field of ["SecretKey", "SessionToken", ...(isProtected ? [] : ["EncryptKey"])]) {
        assert.ok(inKeeping.includes(field), `the search finds ${field} where it is`);
      }

      const shown = await runCairn(["show", `${without}@latest`, "--json"]);
      const shownKept = await runCairn(["show", `${keeping}@latest`, "--json"]);
      const bareCopy = `sqlite3://${bench.at(`bare-${name}.db`)}`;
      const bareRestore = await runCairn(["restore", `${without}@latest`, bareCopy]);
      assert.equal(bareRestore.code, 0, bareRestore.stderr);
      assert.match(bareRestore.stdout, /juicefs config \S+ --secret-key …/);
      const removed = ["SecretKey", "SessionToken", ...(isProtected ? [] : ["EncryptKey"])];
      for (const field of removed) assert.equal(settingOf(bench.at(`bare-${name}.db`))[field], "removed");
      // A client that has nothing to unwrap does not ask for the secrets of a store that is a folder, but for the key it does.
      const fsck = withEnvironment(volume.env, () => runJuicefs(["fsck", bareCopy]));
      if (isWrapped || !isProtected) await assert.rejects(fsck);
      else await fsck;

      const givenCopy = `sqlite3://${bench.at(`given-${name}.db`)}`;
      const keyFile = isProtected ? [] : ["--secret-file", `EncryptKey=${volume.keyPath}`];
      const given = await runCairn(["restore", `${without}@latest`, givenCopy, ...keyFile], {
        CAIRN_SECRET_KEY: secretKey,
        CAIRN_SESSION_TOKEN: sessionToken,
      });
      assert.equal(given.code, 0, given.stderr);
      assert.equal(settingOf(bench.at(`given-${name}.db`))["KeyEncrypted"] === true, isWrapped);
      await assertReadable(volume, givenCopy, `given-${name}`);
      assert.equal((await bench.backUp(givenCopy)).root, bare.last["root"]);

      const keptCopy = `sqlite3://${bench.at(`kept-${name}.db`)}`;
      const keptRestore = await runCairn(["restore", `${keeping}@latest`, keptCopy, "--json"]);
      assert.equal(keptRestore.code, 0, keptRestore.stderr);
      assert.deepEqual(keptRestore.last["secretsMissing"], []);
      await assertReadable(volume, keptCopy, `kept-${name}`);

      const outputs = [bare, kept, shown, shownKept, bareRestore, given, keptRestore];
      assert.deepEqual(
        found(
          needles,
          outputs.flatMap(({ stdout, stderr }) => [stdout, stderr]),
        ),
        [],
      );
    });
  }
}

test("errors about secrets do not tell them", async () => {
  const volume = await makeSecretVolume({ isProtected: false, isWrapped: true });
  const path = bench.at(`${volume.name}.db`);
  // Another UUID: what was wrapped under the old one cannot be unwrapped.
  update(path, { UUID: "00000000-1111-2222-3333-444444444444" });
  const unreadable = await runCairn(["backup", volume.url, bench.repositoryFolder, "--json"]);
  assert.equal(unreadable.last["code"], "secret-unreadable");
  const refused = await runCairn([
    "restore",
    `${bench.repositoryFolder}@latest`,
    `sqlite3://${bench.at("never.db")}`,
    `--secret-file=EncryptKey=${bench.at("missing.pem")}`,
    "--json",
  ]);
  assert.equal(refused.last["code"], "password-file");
  const texts = [unreadable, refused].flatMap(({ stdout, stderr }) => [stdout, stderr]);
  assert.deepEqual(found(volume.needles, texts), []);
});
