/**
 * `tools/test.ts [FILE|FOLDER…]` makes the machine ready and runs the named tests, or all of them, under node's own test runner:
 * each file in a process of its own, two at a time. Node's closing summary comes last, after the failures, so that the end of a
 * log tells the result.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { globSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { performance } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { CairnError, messageOf } from "../src/model/errors.ts";
import { setUp } from "./setup.ts";

export interface TestLimits {
  /** A test file whose process runs longer than this is killed, and fails. */
  fileMinutes: number;
  /** The whole run is killed after this. */
  runMinutes: number;
}

const root = join(import.meta.dirname, "..");
const usualLimits: TestLimits = { fileMinutes: 15, runMinutes: 60 };
const summaryLine = /^ℹ (?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;

/** The test files below the named files and folders; all of the project's when none is named. Paths are relative to the root. */
export function findTests(named: readonly string[]): string[] {
  if (named.length === 0) return globSync("{src,test,bench,tools}/**/*.test.ts", { cwd: root }).toSorted();
  return named.flatMap((each) => {
    const path = relative(root, each);
    if (!statSync(each).isDirectory()) return [path];
    return globSync(join(path, "**/*.test.ts"), { cwd: root }).toSorted();
  });
}

/** Sets the machine up where a file needs it, runs the files, prints the result, and gives whether all of them passed. */
export async function runTests(files: readonly string[], limits: TestLimits): Promise<boolean> {
  if (files.length === 0) {
    console.error("test: there is no test file in what was named; nothing was run; name a folder or a *.test.ts file");
    return false;
  }
  const start = performance.now();
  if (files.some((file) => !file.startsWith("src/"))) await setUp((line) => console.log(`setup: ${line}`));
  const setUpMs = performance.now() - start;
  const runner = spawn(
    process.execPath,
    [
      "--disable-warning=ExperimentalWarning",
      "--test",
      "--test-reporter=spec",
      "--test-concurrency=2",
      `--test-timeout=${limits.fileMinutes * 60_000}`,
      ...files,
    ],
    { cwd: root, stdio: ["ignore", "pipe", "inherit"] },
  );
  const ended = new Promise<number | null>((done, fail) => {
    runner.once("error", fail);
    runner.once("close", (code) => done(code));
  });
  const watch = watchTimes(runner, limits);
  const summary: string[] = [];
  for await (const line of createInterface({ input: runner.stdout })) {
    if (summaryLine.test(line)) summary.push(line);
    else console.log(line);
  }
  const code = await ended;
  clearInterval(watch);
  console.log(
    `\n${files.length} test files in ${seconds(performance.now() - start)}, of which set-up ${seconds(setUpMs)}`,
  );
  for (const line of summary) console.log(line);
  return code === 0;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/**
 * Node's own time limit cannot end a test that never yields, nor a file that keeps a handle open after its last test. So this
 * looks at the runner's children, and ends one that is overdue together with all that it started.
 */
function watchTimes(runner: ChildProcess, limits: TestLimits): NodeJS.Timeout {
  const start = performance.now();
  const firstSeen = new Map<number, number>();
  const timer = setInterval(() => {
    const now = performance.now();
    if (runner.pid === undefined) return;
    if (now - start > limits.runMinutes * 60_000) {
      console.log(`test: the run took longer than ${limits.runMinutes} minutes and was ended`);
      clearInterval(timer);
      killTree(runner.pid);
      return;
    }
    for (const child of childrenOf(runner.pid)) {
      if (now - firstSeen.getOrInsert(child, now) > limits.fileMinutes * 60_000) {
        console.log(`test: ended after ${limits.fileMinutes} minutes: ${lastArgumentOf(child)}`);
        killTree(child);
      }
    }
  }, 1000);
  return timer;
}

function killTree(pid: number): void {
  const children = childrenOf(pid);
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself meanwhile.
  }
  for (const child of children) killTree(child);
}

/** The direct children of a process; none where it is gone or the system has no `/proc`. */
function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
      .flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" "))
      .filter((text) => text !== "")
      .map(Number);
  } catch {
    return [];
  }
}

/** Of a process that the runner started, this is the test file. */
function lastArgumentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").at(-2) ?? `process ${pid}`;
  } catch {
    return `process ${pid}`;
  }
}

if (import.meta.main) {
  try {
    if (!(await runTests(findTests(process.argv.slice(2)), usualLimits))) process.exitCode = 1;
  } catch (error) {
    console.error(`test: ${messageOf(error)}`);
    if (error instanceof CairnError) console.error(`test: ${error.unharmed}; ${error.next}`);
    process.exitCode = 1;
  }
}
