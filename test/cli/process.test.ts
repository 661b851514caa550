import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
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
