import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before } from "node:test";
import { zstdDecompressSync } from "node:zlib";
import { runCli } from "./run-cli.ts";

const root = join(import.meta.dirname, "..", "..");
const folder = mkdtempSync(join(tmpdir(), "cairn-process-test-"));
const repository = join(folder, "repository");
const monday = join(folder, "monday.db");
after(() => rmSync(folder, { recursive: true, force: true }));

before(async () => {
  writeFileSync(monday, zstdDecompressSync(readFileSync(join(root, "quickstart", "monday.db.zst"))));
  await runCli(["init", repository]);
  assert.equal((await runCli(["backup", `sqlite3://${monday}`, repository])).code, 0);
});

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

interface RunOptions {
  env?: NodeJS.ProcessEnv;
  /** Streams that nobody reads. */
  closed?: readonly ("stdout" | "stderr")[];
  /** Called when the process first writes to stdout or stderr. */
  onOutput?: (child: ReturnType<typeof spawn>) => void;
}

/** Runs the launcher as a user does. */
function run(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const temporary = join(folder, "tmp");
  mkdirSync(temporary, { recursive: true });
  const child = spawn(join(root, "cairn"), args, {
    cwd: folder,
    env: { ...process.env, TMPDIR: temporary, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended: Ended = { code: null, stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      if (ended.stdout + ended.stderr === "") options.onOutput?.(child);
      ended[name] += text;
    });
  }
  for (const name of options.closed ?? []) child[name].destroy();
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ ...ended, code }));
  });
}

test("help and version", async () => {
  const help = await run(["--help"]);
  assert.equal(help.code, 0);
  assert.match(help.stdout, /quickstart/);
  assert.equal((await run(["--version"])).stdout, "0.1.0\n");
  assert.match((await run(["help", "restore"])).stdout, /--advance-ids/);
});

test("exit codes reach the shell", async () => {
  assert.equal((await run(["nonsense"])).code, 2);
  assert.equal((await run(["ls", `${repository}@latest:/nowhere`])).code, 10);
  assert.equal((await run(["ls", "@latest"], { env: { CAIRN_REPO: repository } })).code, 0);
});

test("a repository named by a path relative to where the user is", async () => {
  const done = await run(["ls", "repository@latest"]);
  assert.equal(done.code, 0);
  assert.match(done.stdout, /^odd corners$/m);
});

test("a reader that leaves early ends a listing quietly", async () => {
  const done = await run(["--json", "find", `${repository}@latest`], {
    onOutput: (child) => child.stdout?.destroy(),
  });
  assert.ok(done.code === 0 || done.code === null, `${done.code} ${done.stderr}`);
  assert.equal(done.stderr, "");
});

test("what only shows something ends with 0 when nobody reads it", async () => {
  const at = `${repository}@latest`;
  const listings = [
    ["snapshots", repository],
    ["show", at],
    ["ls", "-lR", at],
    ["find", at],
    ["du", at],
    ["diff", at, at],
  ];
  for (const args of listings) {
    const done = await run(args, { closed: ["stdout"] });
    assert.deepEqual([done.code, done.stderr], [0, ""], args.join(" "));
  }
});

test("what does something is done even when nobody reads its output", async () => {
  const fresh = join(folder, "unread");
  const url = `sqlite3://${monday}`;
  assert.equal((await run(["init", fresh], { closed: ["stdout", "stderr"] })).code, 0);
  assert.equal((await run(["--json", "backup", url, fresh], { closed: ["stdout"] })).code, 0);
  assert.equal((await run(["backup", url, fresh, "--keep-secrets"], { closed: ["stdout", "stderr"] })).code, 0);
  assert.equal((await runCli(["--json", "snapshots", fresh])).json().at(-1)?.["snapshots"], 2);
  assert.equal((await run(["--json", "verify", fresh], { closed: ["stdout"] })).code, 0);

  const target = join(mkdtempSync(join(folder, "target-")), "new.db");
  const restore = ["--json", "restore", `${fresh}@latest`, `sqlite3://${target}`];
  assert.equal((await run(restore, { closed: ["stdout"] })).code, 0);
  assert.equal((await runCli(["doctor", `sqlite3://${target}`])).code, 0);
  assert.equal((await run(restore, { closed: ["stdout"] })).code, 4, "refused, and nobody reads that either");
  rmSync(join(fresh, "packs"), { recursive: true });
  assert.equal((await run(["--json", "verify", fresh], { closed: ["stdout"] })).code, 5);
  assert.deepEqual(readdirSync(join(folder, "tmp")), []);
});

test(
  "a stdout that cannot be written fails a listing, and is a warning for a backup",
  { skip: !existsSync("/dev/full") },
  async () => {
    const full = openSync("/dev/full", "w");
    const ended = (args: readonly string[]) =>
      spawnSync(join(root, "cairn"), args, { cwd: folder, stdio: ["ignore", full, "pipe"], encoding: "utf8" });
    const listing = ended(["ls", `${repository}@latest`]);
    assert.equal(listing.status, 1);
    assert.match(listing.stderr, /^cairn: stdout cannot be written: .*ENOSPC.* \(output-failed\)$/m);
    const backup = ended(["--json", "backup", `sqlite3://${monday}`, repository]);
    assert.equal(backup.status, 0);
    assert.match(backup.stderr, /^warning: stdout cannot be written: .* \(output-failed\)$/m);
    closeSync(full);
  },
);

test("SIGINT during a restore: exit 130, no target, no temporary files", async () => {
  const target = mkdtempSync(join(folder, "target-"));
  const done = await run(["--json", "restore", `${repository}@latest`, `sqlite3://${join(target, "new.db")}`], {
    onOutput: (child) => void child.kill("SIGINT"),
  });
  assert.equal(done.code, 130, done.stdout + done.stderr);
  const last = JSON.parse(done.stdout.trim().split("\n").at(-1) ?? "") as Record<string, unknown>;
  assert.deepEqual([last["type"], last["code"], last["exit"]], ["error", "interrupted", 130]);
  assert.equal(typeof last["unharmed"], "string");
  assert.deepEqual(readdirSync(target), []);
  assert.deepEqual(readdirSync(join(folder, "tmp")), []);
});
