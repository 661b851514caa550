import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, it } from "node:test";
import { zstdDecompressSync } from "node:zlib";
import { peerPath } from "../peers/peers.ts";
import { errorsOf, formatFinding } from "./finding.ts";
import { compareSchema, judgeSqliteVolume } from "./judge-sqlite.ts";
import { makeBlocks } from "./make-blocks.ts";
import { mutate } from "./mutate.ts";
import type { FsckVerdict, Mutation } from "./mutations.ts";
import { MUTATIONS } from "./mutations.ts";

/** The real fsck takes a while for each defect: usually every fifth is measured, `npm run soak` measures all. */
const FSCK_STRIDE = process.env["CAIRN_SOAK"] === "1" ? 1 : 5;
const FSCK_TIMEOUT_MS = 20_000;

describe("the judge of volumes in SQLite", () => {
  let folder = "";
  let healthy = "";

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "judge-"));
    healthy = join(folder, "healthy.db");
    writeFileSync(healthy, readVolume("monday"));
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  const errorsIn = (path: string, tablePrefix?: string): string[] =>
    errorsOf(judgeSqliteVolume(path, { tablePrefix })).map(formatFinding);

  for (const name of ["monday", "tuesday"]) {
    it(`finds no error in the volume of ${name}, which the real JuiceFS made and worked on`, () => {
      const path = join(folder, `${name}.db`);
      writeFileSync(path, readVolume(name));
      assert.deepEqual(errorsIn(path), []);
      assert.deepEqual(compareSchema(path, healthy), []);
    });
  }

  it("leaves no file behind", () => {
    const files = readdirSync(folder);
    judgeSqliteVolume(healthy);
    assert.deepEqual(readdirSync(folder), files);
  });

  for (const mutation of MUTATIONS) {
    it(`finds that ${mutation.name}`, () => {
      const damaged = join(folder, "damaged.db");
      mutate(mutation, healthy, damaged);
      const count = (path: string): number =>
        judgeSqliteVolume(path, { referenceDatabase: healthy }).filter(({ code }) => code === mutation.code).length;
      // A remark may be made of the healthy volume too: the defect must add to it.
      assert.ok(count(damaged) > count(healthy), `no ${mutation.code} was found`);
    });
  }

  it("finds far more than the real fsck", async (context) => {
    const missed = MUTATIONS.filter(({ fsck }) => fsck === "misses");
    assert.ok(missed.length >= 15);
    const complete = join(folder, "complete.db");
    const bucket = join(folder, "bucket");
    copyFileSync(healthy, complete);
    const database = new DatabaseSync(complete);
    database.prepare("UPDATE jfs_setting SET value = json_set(value, '$.Bucket', ?)").run(`${bucket}/`);
    database.close();
    assert.ok(makeBlocks(complete, bucket) > 0);
    const path = join(folder, "fsck.db");
    assert.equal(
      await runFsck({ name: "nothing is wrong", code: "integrity", fsck: "misses", sql: [] }, complete, path),
      "misses",
    );
    const measured = MUTATIONS.filter((_, at) => at % FSCK_STRIDE === 0);
    const verdicts: Record<string, FsckVerdict> = {};
    for (const mutation of measured) {
      verdicts[mutation.name] = await runFsck(mutation, complete, path);
    }
    assert.deepEqual(verdicts, Object.fromEntries(measured.map(({ name, fsck }) => [name, fsck])));
    context.diagnostic(
      `fsck misses ${missed.length} of the ${MUTATIONS.length} defects; ${measured.length} were tried now`,
    );
  });

  it("judges a volume with a table prefix", () => {
    const renamed = join(folder, "prefix.db");
    copyFileSync(healthy, renamed);
    const database = new DatabaseSync(renamed);
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'jfs_%'").all();
    for (const { name } of tables) {
      database.exec(`ALTER TABLE ${String(name)} RENAME TO ${String(name).replace("jfs_", "jfs_two_")}`);
    }
    database.close();
    assert.deepEqual(errorsIn(renamed, "two"), []);
    assert.ok(errorsIn(renamed).length > 0);
  });

  it("judges the schemas of older lines (simulated by taking away what came later)", () => {
    const older = join(folder, "older.db");
    copyFileSync(healthy, older);
    const database = new DatabaseSync(older);
    for (const table of ["user_group_quota", "delegation_token", "change_log"]) {
      database.exec(`DROP TABLE jfs_${table}`);
    }
    database.exec("ALTER TABLE jfs_node DROP COLUMN tier_id");
    assert.deepEqual(errorsIn(older), [], "1.2 and 1.3");
    database.exec("DROP TABLE jfs_acl");
    database.exec("ALTER TABLE jfs_node DROP COLUMN access_acl_id");
    database.exec("ALTER TABLE jfs_node DROP COLUMN default_acl_id");
    assert.deepEqual(errorsIn(older), [], "1.1");
    for (const column of ["atimensec", "mtimensec", "ctimensec"]) {
      database.exec(`ALTER TABLE jfs_node DROP COLUMN ${column}`);
    }
    const detached = database.prepare("SELECT inode FROM jfs_detached_node").all();
    database.exec("DROP TABLE jfs_dir_stats");
    database.exec("DROP TABLE jfs_dir_quota");
    database.exec("DROP TABLE jfs_detached_node");
    database.exec("DROP INDEX IDX_jfs_chunk_ref_refs");
    database.close();
    const nameless = detached.map(({ inode }) => `error node-unreachable node ${String(inode)}`);
    const errors = errorsIn(older).filter((line) => !nameless.some((start) => line.startsWith(start)));
    assert.deepEqual(errors, [], "1.0");
  });
});

/** A volume of the quick start: some thousand files with every feature, as the real JuiceFS left its metadata. */
function readVolume(name: string): Buffer {
  const path = join(import.meta.dirname, "..", "..", "quickstart", `${name}.db.zst`);
  return zstdDecompressSync(readFileSync(path));
}

/** Damages a copy and runs the real fsck on it twice. */
async function runFsck(mutation: Mutation, healthy: string, path: string): Promise<FsckVerdict> {
  for (const suffix of ["", "-wal", "-shm"]) {
    rmSync(`${path}${suffix}`, { force: true });
  }
  if (mutation.sql.length === 0) {
    copyFileSync(healthy, path);
  } else {
    mutate(mutation, healthy, path);
  }
  const url = `sqlite3://${path}`;
  const plain = await runJuicefs(["fsck", url]);
  const recursive = await runJuicefs(["fsck", url, "--path", "/", "--recursive"]);
  if (plain.killed || recursive.killed) {
    return "hangs";
  }
  if (plain.code === 0 && recursive.code === 0) {
    return "misses";
  }
  return plain.text.includes("<FATAL>: load setting") || plain.text.includes("<FATAL>: object storage")
    ? "refuses"
    : "finds";
}

/** Runs a command that may fail, or be ended after a while. */
function runJuicefs(args: readonly string[]): Promise<{ code: number; killed: boolean; text: string }> {
  return new Promise((resolve) => {
    const options = { timeout: FSCK_TIMEOUT_MS, maxBuffer: 1 << 26, killSignal: "SIGKILL" as const };
    execFile(peerPath("juicefs-1.4"), ["--no-agent", "--no-color", ...args], options, (error, stdout, stderr) => {
      const code = typeof error?.code === "number" ? error.code : 0;
      resolve({ code, killed: error?.killed === true, text: stdout + stderr });
    });
  });
}
