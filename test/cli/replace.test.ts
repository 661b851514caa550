import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test, { after, beforeEach } from "node:test";
import { zstdDecompressSync } from "node:zlib";
import type { OutputStream } from "../../src/cli/world.ts";
import { runCli } from "./run-cli.ts";
import type { CliResult } from "./run-cli.ts";

const folder = mkdtempSync(join(tmpdir(), "cairn-replace-test-"));
after(() => rmSync(folder, { recursive: true, force: true }));

let repository: string;
let target: string;
let uuid: string;
/** Of the good state. */
let good: string;

beforeEach(async () => {
  const own = mkdtempSync(join(folder, "case-"));
  repository = join(own, "repository");
  target = join(own, "volume.db");
  await runCli(["init", repository]);
  unpack("monday");
  const backup = await runCli(["--json", "backup", `sqlite3://${target}`, repository]);
  good = String(backup.json().at(-1)?.["id"]);
  uuid = String(backup.json().at(-1)?.["volume"]);
  // Stands for a broken state.
  unpack("tuesday");
});

function unpack(day: string): void {
  const packed = readFileSync(join(import.meta.dirname, "..", "..", "quickstart", `${day}.db.zst`));
  writeFileSync(target, zstdDecompressSync(packed));
}

function restoreLatest(): string[] {
  return ["restore", `${repository}@latest`, `sqlite3://${target}`, "--replace", uuid];
}

async function snapshots(): Promise<{ id: string; tags: Record<string, string> }[]> {
  const lines = (await runCli(["--json", "snapshots", repository])).json();
  return lines.filter(({ type }) => type === "entry") as never;
}

/** Runs a restore and interrupts it when it writes: the broken volume is a snapshot by then. */
async function interruptedRestore(): Promise<{ code: number; error: Record<string, unknown> }> {
  const interrupt = new AbortController();
  const lines: string[] = [];
  const stdout: OutputStream = {
    once: () => undefined,
    write(chunk) {
      lines.push(String(chunk));
      if (String(chunk).includes('"phase":"write"')) interrupt.abort(new Error("SIGINT"));
      return true;
    },
  };
  const { code } = await runCli(["--json", ...restoreLatest()], { signal: interrupt.signal, stdout });
  const last = lines.join("").trim().split("\n").at(-1) ?? "";
  return { code, error: JSON.parse(last) as Record<string, unknown> };
}

test("a restore that failed after it kept the broken volume restores the same snapshot when it is run again", async () => {
  const { code, error } = await interruptedRestore();
  assert.equal(code, 130);
  const [first, kept, ...more] = await snapshots();
  assert.deepEqual([first.id, more], [good, []]);
  assert.deepEqual(kept.tags, { "cairn.replaced": `sqlite3://${target}` });
  const advised = `cairn restore ${repository}@${good} sqlite3://${target} --replace ${uuid}`;
  assert.match(String(error["next"]), new RegExp(`: ${advised}$`));

  const again = await runCli(["--json", ...restoreLatest()]);
  assert.equal(again.code, 0, again.stdout);
  assert.equal(again.json().at(-1)?.["snapshot"], good);
});

test("what was replaced is shown with a mark, and is selected by its id only", async () => {
  await interruptedRestore();
  const [, kept] = await snapshots();
  const marked = (await runCli(["snapshots", repository])).stdout.split("\n").filter((line) => /by id only/.test(line));
  assert.equal(marked.length, 1);
  assert.ok(marked[0].startsWith(kept.id.slice(0, 8)));
  const chosen = async (selector: string): Promise<unknown> =>
    (await runCli(["--json", "show", `${repository}@${selector}`])).json()[0]["id"];
  assert.equal(await chosen(kept.id.slice(0, 8)), kept.id);
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 16);
  for (const selector of ["latest", "-0s", `${tomorrow}Z`]) assert.equal(await chosen(selector), good, selector);

  const volume = join(repository, "snapshots", readdirSync(join(repository, "snapshots"))[0]);
  const [manifest] = readdirSync(volume).filter((name) => name.includes(good));
  rmSync(join(volume, manifest));
  const none: CliResult = await runCli(["show", `${repository}@latest`]);
  assert.equal(none.code, 10);
  assert.match(none.stderr, /never means those \(snapshot-not-found\)\n {2}next: name one by its id/);
});

test("a target that is in use is refused before anything is backed up", async () => {
  const client = new DatabaseSync(target);
  client.exec("BEGIN; SELECT count(*) FROM jfs_node");
  client.prepare("SELECT count(*) FROM jfs_node").get();
  const refused = await runCli(restoreLatest());
  client.close();
  assert.equal(refused.code, 4, refused.stderr);
  assert.match(refused.stderr, /\(target-in-use\)/);
  assert.match(refused.stderr, new RegExp(`restore ${repository}@${good} sqlite3://${target} --replace ${uuid}$`, "m"));
  assert.deepEqual(
    (await snapshots()).map(({ id }) => id),
    [good],
  );
});
