/** What the tests of lost connections share: a repository with a snapshot to restore, runs of the command line, and what they must show. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { benchVolume } from "../../bench/volumes.ts";
import { runCairn } from "../end-to-end/run-cairn.ts";
import type { CairnRun } from "../end-to-end/run-cairn.ts";
import { runJuicefs } from "../volumes/juicefs-cli.ts";
import type { Place } from "./cut-engines.ts";

export interface CutBench extends Disposable {
  /** The snapshot that is restored: `REPO@ID`. */
  readonly snapshot: string;
  readonly root: string;
  /** The folder of a new, empty repository. */
  newRepository: () => Promise<string>;
  /** Runs a command line with `--json` and a temporary folder of its own, which must be empty again afterwards. */
  run: (...words: string[]) => Promise<CairnRun>;
}

/** A bench whose snapshot has so many files: 20,000 make 3 to 8 MB on the wire. */
export async function openCutBench(files = 20_000): Promise<CutBench> {
  const folder = mkdtempSync(join(tmpdir(), "cairn-cut-"));
  const run = async (...words: string[]): Promise<CairnRun> => {
    const temporary = mkdtempSync(join(folder, "temporary-"));
    const ended = await runCairn([...words, "--json"], { TMPDIR: temporary });
    const left = readdirSync(temporary, { recursive: true });
    assert.deepEqual(left, [], `left in the temporary folder: ${ended.stdout}\n${ended.stderr}`);
    return ended;
  };
  let repositories = 0;
  const newRepository = async (): Promise<string> => {
    const path = join(folder, `repository-${++repositories}`);
    assertDone(await run("init", path));
    return path;
  };
  const repository = await newRepository();
  const first = await run("backup", `sqlite3://${await benchVolume(files)}`, repository);
  assertDone(first);
  return {
    snapshot: `${repository}@${String(first.last["id"])}`,
    root: String(first.last["root"]),
    newRepository,
    run,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export function assertDone(run: CairnRun): void {
  assert.equal(run.code, 0, `${run.stdout}\n${run.stderr}`);
}

/** The run failed as a lost or lame connection has to: with this exit, one of these codes, what to do next, and no secret. */
export function assertFailed(run: CairnRun, exit: number, codes: readonly string[], place: Place): void {
  const shown = `${run.stdout}\n${run.stderr}`;
  assert.equal(run.code, exit, shown);
  assert.equal(run.last["type"], "error", shown);
  assert.ok(codes.includes(String(run.last["code"])), shown);
  assert.ok(typeof run.last["next"] === "string" && run.last["next"].length > 10, shown);
  assert.ok(typeof run.last["unharmed"] === "string" && run.last["unharmed"].length > 10, shown);
  assert.ok(!shown.includes(place.password), shown);
}

/** How many snapshots a repository has, all of which verify. */
export async function countVerified(repository: string): Promise<number> {
  const run = await runCairn(["verify", repository, "--json"]);
  assertDone(run);
  assert.equal(run.last["damaged"], 0);
  return Number(run.last["snapshots"]);
}

/** Whether the real JuiceFS takes a place for a volume. */
export async function isVolume(place: Place): Promise<boolean> {
  try {
    await runJuicefs(["status", place.url()]);
    return true;
  } catch (error) {
    assert.match(String(error), /database is not formatted|not formatted/i);
    return false;
  }
}

/** For the log: the code of the error, or that there was none. */
export function outcomeOf(run: CairnRun): string {
  return run.code === 0 ? "done" : String(run.last["code"]);
}
