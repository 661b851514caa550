import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test, { after, before } from "node:test";
import { zstdDecompressSync } from "node:zlib";
import type { Command } from "commander";
import { buildProgram } from "../../src/cli/program.ts";
import { tool } from "../../src/cli/tool.ts";
import { runCli } from "./run-cli.ts";

const root = join(import.meta.dirname, "..", "..");
const folder = mkdtempSync(join(tmpdir(), "cairn-cli-test-"));
const repository = join(folder, "repository");
const monday = join(folder, "monday.db");
const tuesday = join(folder, "tuesday.db");
after(() => rmSync(folder, { recursive: true, force: true }));

const ids: string[] = [];

before(async () => {
  for (const day of ["monday", "tuesday"]) {
    const packed = readFileSync(join(root, "quickstart", `${day}.db.zst`));
    writeFileSync(join(folder, `${day}.db`), zstdDecompressSync(packed));
  }
  assert.equal((await runCli(["init", repository])).code, 0);
  for (const database of [monday, tuesday]) {
    const done = await runCli(["--json", "backup", `sqlite3://${database}`, repository, "--tag", "a=b", "--note", "n"]);
    assert.equal(done.code, 0, done.stdout);
    const result = done.json().at(-1) as { id: string; type: string; tags: object };
    assert.equal(result.type, "result");
    assert.deepEqual(result.tags, { a: "b" });
    ids.push(result.id);
  }
});

test("backup says how to restore, and that command works", async () => {
  const done = await runCli(["backup", `sqlite3://${tuesday}`, repository]);
  assert.match(done.stdout, /consistent {2}yes/);
  const command = /^Restore it with: cairn (restore .*) sqlite3:\/\/\/PATH\/TO\/NEW\.db$/m.exec(done.stdout)?.[1];
  const target = join(folder, "restored.db");
  const restored = await runCli([...(command ?? "").split(" "), `sqlite3://${target}`]);
  assert.equal(restored.code, 0, restored.stderr);
  const roots = [...restored.stdout.matchAll(/(?:snapshot|restored) {2}([0-9a-f]{64})/g)].map(([, root]) => root);
  assert.equal(roots.length, 2);
  assert.equal(roots[0], roots[1]);
  assert.match(restored.stdout, /--read-only --no-bgjob/);
  assert.match(restored.stdout, /never run juicefs gc --delete/);
  const again = await runCli(["restore", `${repository}@latest`, `sqlite3://${target}`]);
  assert.equal(again.code, 4);
  assert.match(again.stderr, /unharmed: /);
  rmSync(target);
});

test("a restore with changes names them and shows both roots", async () => {
  const target = join(folder, "changed.db");
  const args = [
    "restore",
    `${repository}@${ids[0]}`,
    `sqlite3://${target}`,
    "--advance-ids=5000",
    "--set",
    "Bucket=/other/",
  ];
  const done = await runCli(args);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stdout, /change {3}advance-ids: /);
  assert.match(done.stdout, /change {3}set: Bucket .* becomes "\/other\/"/);
  const [, from, to] = /snapshot {2}([0-9a-f]{64})\n {11}restored {2}([0-9a-f]{64})/.exec(done.stdout) ?? [];
  assert.ok(from !== undefined && from !== to);
  const database = new DatabaseSync(target, { readOnly: true });
  const setting = database.prepare("SELECT value FROM jfs_setting").get()?.["value"];
  database.close();
  assert.match(String(setting), /"Bucket": "\/other\/"/);
});

test("snapshots and show list what was backed up", async () => {
  const listed = await runCli(["snapshots"], { env: { CAIRN_REPO: repository } });
  assert.match(listed.stdout, new RegExp(`^${ids[0].slice(0, 8)} `, "m"));
  assert.match(listed.stdout, /n a=b$/m);
  const lines = (await runCli(["--json", "snapshots", repository])).json();
  assert.deepEqual(
    lines.slice(0, 2).map(({ type, id }) => [type, id]),
    ids.map((id) => ["entry", id]),
  );
  const shown = (await runCli(["--json", "show", `${repository}@${ids[1]}`])).json();
  assert.equal(shown.length, 1);
  assert.equal(shown[0]["parent"], ids[0]);
  assert.match((await runCli(["show", `${repository}@${ids[1]}`])).stdout, /^root +[0-9a-f]{64}$/m);
});

test("snapshots are chosen by id, time and age", async () => {
  const id = async (selector: string): Promise<unknown> =>
    (await runCli(["--json", "show", `${repository}@${selector}`])).json()[0]["id"];
  assert.equal(await id(ids[0].slice(0, 6)), ids[0]);
  const lines = (await runCli(["--json", "snapshots", repository])).json();
  assert.equal(await id(String(lines[1]["time"])), ids[1]);
  const early = await runCli(["show", `${repository}@-3w`]);
  assert.equal(early.code, 10);
  assert.match(early.stderr, /snapshot-not-found/);
  const later = await runCli(["--json", "show", `${repository}@-1h`], { clock: { now: () => Date.now() + 3_700_000 } });
  assert.ok(ids.includes(String(later.json()[0]["id"])) || later.code === 0);
});

test("paths of odd bytes are printed so that they can be typed again", async () => {
  const entries = (await runCli(["--json", "ls", "-R", `${repository}@${ids[0]}:/odd corners/names`])).json();
  const odd = entries.filter((entry) => typeof entry["pathBase64"] === "string");
  assert.ok(odd.length > 3, "names that are not UTF-8");
  for (const entry of odd.slice(0, 40)) {
    const stat = await runCli(["--json", "stat", `${repository}@${ids[0]}:${String(entry["path"])}`]);
    assert.equal(stat.code, 0, stat.stdout);
    const [facts] = stat.json();
    assert.equal(facts["inode"], entry["inode"]);
    assert.equal(facts["pathBase64"], entry["pathBase64"]);
  }
});

test("ls -l, stat, find and du agree with the database", async () => {
  const database = new DatabaseSync(monday, { readOnly: true });
  const count = (sql: string): number => Number(database.prepare(sql).get()?.["n"]);
  const files = count("SELECT count(*) AS n FROM jfs_edge WHERE type = 1 AND parent < 9223372032828243968");
  const big = count(
    "SELECT count(*) AS n FROM jfs_edge e JOIN jfs_node n ON n.inode = e.inode WHERE n.length > 1048576 AND e.parent < 9223372032828243968",
  );
  database.close();
  const at = `${repository}@${ids[0]}`;
  assert.equal((await runCli(["find", at, "--type", "f"])).stdout.split("\n").length - 1, files);
  assert.equal((await runCli(["find", at, "--size", "+1M"])).stdout.split("\n").length - 1, big);
  const long = await runCli(["ls", "-l", `${at}:/odd corners/special`]);
  assert.match(long.stdout, /^[bcps]rw/m);
  const stat = await runCli(["stat", `${at}:/odd corners/acl/named`]);
  assert.match(stat.stdout, /^acl +user::.*user:\d+:/m);
  const du = await runCli(["--json", "du", at, "--depth", "0"]);
  assert.equal(du.json().at(-1)?.["command"], "du");
  assert.match((await runCli(["du", at])).stdout, /SPACE {2}INODES {2}PATH/);
});

test("diff says what happened, in both forms", async () => {
  const args = ["diff", `${repository}@${ids[0]}`, `@${ids[1]}`];
  const text = (await runCli(args)).stdout;
  assert.match(text, /^\+ \//m);
  assert.match(text, /^> \/.* -> \//m);
  assert.match(text, /^M \/.* {2}\(.*(content|mtime).*\)$/m);
  const lines = (await runCli(["--json", ...args])).json();
  const result = lines.at(-1) as { tree: Record<string, number>; equal: boolean };
  assert.equal(result.equal, false);
  for (const [kind, count] of Object.entries(result.tree)) {
    assert.equal(lines.filter((line) => line["change"] === kind && line["table"] === undefined).length, count, kind);
  }
  const stat = (await runCli(["--json", ...args, "--stat"])).json().at(-1) as typeof result;
  assert.deepEqual(stat.tree, result.tree);
  assert.match((await runCli(["diff", args[1], args[1]])).stdout, /^The same metadata/);
});

test("verify takes one snapshot or all, and names damage", async () => {
  assert.equal((await runCli(["verify", `${repository}@${ids[0]}`])).code, 0);
  assert.match((await runCli(["verify", repository])).stdout, /^Checked \d snapshots: whole\.$/m);
  const damaged = join(folder, "damaged");
  await runCli(["init", damaged]);
  const first = await runCli(["--json", "backup", `sqlite3://${monday}`, damaged]);
  const packs = readdirSync(join(damaged, "packs"), { recursive: true, withFileTypes: true }).filter((one) =>
    one.isFile(),
  );
  const pack = join(packs[0].parentPath, packs[0].name);
  const bytes = readFileSync(pack);
  bytes[Math.floor(bytes.length / 3)] ^= 0xff;
  rmSync(pack);
  writeFileSync(pack, bytes);
  const found = await runCli(["--json", "verify", damaged]);
  assert.equal(found.code, 5);
  const lines = found.json();
  assert.ok(
    lines.some(
      (line) => line["type"] === "entry" && line["ok"] === false && line["snapshot"] === first.json().at(-1)?.["id"],
    ),
  );
  assert.equal(lines.at(-1)?.["type"], "error");
  assert.equal(lines.at(-1)?.["exit"], 5);
});

test("two volumes in one repository have to be told apart", async () => {
  const other = join(folder, "other.db");
  writeFileSync(other, readFileSync(monday));
  const database = new DatabaseSync(other);
  const setting = String(database.prepare("SELECT value FROM jfs_setting").get()?.["value"]);
  const uuid = /"UUID": "([^"]+)"/.exec(setting)?.[1] ?? "";
  const changed = setting
    .replace(uuid, "00000000-1111-2222-3333-444444444444")
    .replace(/"KeyEncrypted": true,\n/, "")
    .replace(/"Name": "[^"]+"/, '"Name": "other"');
  database.prepare("UPDATE jfs_setting SET value = ?").run(changed);
  database.close();
  const shared = join(folder, "shared");
  await runCli(["init", shared]);
  for (const path of [monday, other]) assert.equal((await runCli(["backup", `sqlite3://${path}`, shared])).code, 0);
  const unclear = await runCli(["ls", `${shared}@latest`]);
  assert.equal(unclear.code, 10);
  assert.match(unclear.stderr, /volume-ambiguous/);
  assert.match(unclear.stderr, /--volume other/);
  for (const volume of ["other", "00000000-1111-2222-3333-444444444444"]) {
    assert.match((await runCli(["show", `${shared}@latest`, "--volume", volume])).stdout, /^volume +other /m);
  }
  assert.equal((await runCli(["show", `${shared}@latest`, "--volume", "nobody"])).code, 10);
  assert.equal((await runCli(["snapshots", shared, "--volume", "other"])).stdout.trim().split("\n").length, 2);
});

test("doctor reads only", async () => {
  const bytes = readFileSync(monday);
  const own = mkdtempSync(join(folder, "doctor-"));
  writeFileSync(join(own, "volume.db"), bytes);
  const done = await runCli(["doctor", `sqlite3://${join(own, "volume.db")}`]);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stdout, /^volume +quickstart \(/m);
  assert.ok(readFileSync(join(own, "volume.db")).equals(bytes));
  assert.deepEqual(readdirSync(own), ["volume.db"]);
});

test("wrong use exits with 2, what is not found with 10, each with a next step", async () => {
  const cases: [string[], number, string][] = [
    [["nonsense"], 2, "usage"],
    [["backup"], 2, "usage"],
    [["ls", repository], 2, "address-invalid"],
    [["--memory", "1", "snapshots", repository], 2, "usage"],
    [["backup", "tikv://host/1", repository], 2, "engine-unknown"],
    [["backup", `sqlite3://${monday}`, repository, "--tag", "x"], 2, "usage"],
    [["backup", `sqlite3://${monday}`, repository, "--tag", "cairn.replaced=x"], 2, "usage"],
    [["find", `${repository}@latest`, "--size", "big"], 2, "usage"],
    [["restore", `${repository}@latest`, "sqlite3:///x.db", "--repair", "all"], 2, "usage"],
    [["snapshots"], 2, "usage"],
    [["snapshots", join(folder, "nowhere")], 10, "repository-not-found"],
    [["ls", `${repository}@latest:/nowhere`], 10, "path-not-found"],
    [["show", `${repository}@ffffffff0000`], 10, "snapshot-not-found"],
    [["init", repository], 4, "repository-exists"],
    [["completion", "tcsh"], 2, "usage"],
  ];
  for (const [args, code, name] of cases) {
    const done = await runCli(["--json", ...args]);
    const last = done.json().at(-1) as Record<string, unknown>;
    assert.deepEqual(
      [done.code, last["type"], last["code"], last["exit"]],
      [code, "error", name, code],
      args.join(" "),
    );
    assert.equal(done.stderr, "");
    assert.match((await runCli(args)).stderr, new RegExp(`^cairn: .* \\(${name}\\)`, "m"));
  }
});

test("an interrupt ends with 130, and the repository is as it was", async () => {
  const interrupt = new AbortController();
  const reads: string[] = [];
  const stderr = {
    isTTY: true,
    columns: 80,
    once: () => undefined,
    write(chunk: string | Uint8Array) {
      reads.push(String(chunk));
      interrupt.abort(new Error("SIGINT"));
      return true;
    },
  };
  const fresh = join(folder, "interrupted");
  await runCli(["init", fresh]);
  const done = await runCli(["backup", `sqlite3://${monday}`, fresh], { signal: interrupt.signal, stderr });
  assert.equal(done.code, 130);
  assert.match(reads.join(""), /cairn: interrupted \(interrupted\)\n {2}unharmed: /);
  assert.match((await runCli(["snapshots", fresh])).stdout, /No snapshots/);
  assert.equal((await runCli(["backup", `sqlite3://${monday}`, fresh])).code, 0);
});

test("an interrupt that comes when the backup is published does not unsay it", async () => {
  const fresh = join(folder, "published");
  await runCli(["init", fresh]);
  const interrupt = new AbortController();
  const now = (): number => {
    const isPublished = existsSync(join(fresh, "snapshots")) && readdirSync(join(fresh, "snapshots")).length > 0;
    if (isPublished) interrupt.abort(new Error("SIGINT"));
    return Date.now();
  };
  const done = await runCli(["backup", `sqlite3://${monday}`, fresh], { signal: interrupt.signal, clock: { now } });
  assert.ok(interrupt.signal.aborted);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stdout, /^Saved volume /);
});

test("a secret that the snapshot holds itself is refused before anything is written", async () => {
  const volume = join(folder, "protected.db");
  writeFileSync(volume, readFileSync(monday));
  const pem = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nabcd\n-----END RSA PRIVATE KEY-----\n";
  const database = new DatabaseSync(volume);
  database.prepare("UPDATE jfs_setting SET value = json_set(value, '$.EncryptKey', ?)").run(pem);
  database.close();
  const own = join(folder, "protected");
  await runCli(["init", own]);
  assert.equal((await runCli(["backup", `sqlite3://${volume}`, own])).code, 0);
  const target = join(folder, "protected-restored.db");
  const args = ["restore", `${own}@latest`, `sqlite3://${target}`];
  const keyFile = join(folder, "key.pem");
  writeFileSync(keyFile, "another key");
  const refused = [
    await runCli(args, { env: { CAIRN_ENCRYPT_KEY: "another key" } }),
    await runCli([...args, "--secret-file", `EncryptKey=${keyFile}`]),
  ];
  for (const { code, stderr } of refused) {
    assert.equal(code, 2, stderr);
    assert.match(stderr, /the snapshot holds EncryptKey itself/);
    assert.match(stderr, /unset CAIRN_ENCRYPT_KEY/);
  }
  assert.ok(!existsSync(target));
  const restored = await runCli(args, { env: { CAIRN_SECRET_KEY: "secret" } });
  assert.equal(restored.code, 0, restored.stderr);
  const check = new DatabaseSync(target, { readOnly: true });
  const setting = JSON.parse(String(check.prepare("SELECT value FROM jfs_setting").get()?.["value"])) as Record<
    string,
    unknown
  >;
  check.close();
  assert.equal(setting["EncryptKey"], pem);
  assert.equal(setting["SecretKey"], "secret");
});

test("the quick start leaves nothing behind", async () => {
  const before = readdirSync(tmpdir()).filter((name) => name.startsWith("cairn-quickstart-"));
  const done = await runCli(["quickstart"]);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stdout, /what was read back has the snapshot's root/);
  assert.deepEqual(
    readdirSync(tmpdir()).filter((name) => name.startsWith("cairn-quickstart-")),
    before,
  );
});

test("completion scripts know every command and option", async () => {
  const program = buildProgram(() => Promise.resolve());
  for (const shell of ["bash", "zsh", "fish"]) {
    const { stdout, code } = await runCli(["completion", shell]);
    assert.equal(code, 0);
    for (const command of program.commands) {
      assert.ok(stdout.includes(command.name()), command.name());
      for (const { long } of command.options) assert.ok(stdout.includes((long ?? "").slice(2)), `${shell} ${long}`);
    }
  }
});

test("docs/cli.md names every command, argument and option", () => {
  const page = readFileSync(join(root, "docs", "cli.md"), "utf8");
  const program = buildProgram(() => Promise.resolve());
  const missing: string[] = [];
  const look = (command: Command): void => {
    for (const { long } of command.options) if (!page.includes(`\`${long}`)) missing.push(`${command.name()} ${long}`);
    if (command !== program && !page.includes(`## ${command.name()}`)) missing.push(command.name());
  };
  for (const command of [program, ...program.commands]) look(command);
  assert.deepEqual(missing, []);
});

test("ARCHITECTURE.md names every room", () => {
  const page = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");
  const folders = readdirSync(join(root, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((folder) => readdirSync(join(root, folder)).some((name) => name.endsWith(".ts")));
  assert.deepEqual(
    folders.filter((folder) => !page.includes(`\`${folder}\``)),
    [],
  );
});

test("the version is package.json's", () => {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  assert.equal(tool.version, version);
});
