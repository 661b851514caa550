import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";

/** What one run of a child process cost. */
export interface Measurement {
  wallMs: number;
  /** Processor time of the process and the children it waited for. */
  userMs: number;
  systemMs: number;
  /** Peak resident set of the largest process, in KiB. */
  rssKiB: number;
  /** How many processors everything else on the machine kept busy meanwhile, on average: what disturbed the run. */
  othersCpu: number;
  exitCode: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** How much of each output is kept, from its end; the rest is thrown away. */
  outputCharacters?: number;
  /** Exit codes that are no failure; 0 unless said. */
  accept?: readonly number[];
}

const gnuTime = "/usr/bin/time";
const pollMs = 10;

/**
 * Runs a command to its end and measures it: with GNU time where it is installed, else by polling `/proc`, which misses the
 * last 10 ms and processes that the command starts. Throws when the command fails, with the end of its stderr.
 */
export async function runMeasured(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Measurement> {
  const report = existsSync(gnuTime) ? join(tmpdir(), `cairn-bench-time-${process.pid}-${nextReport++}`) : undefined;
  const [program, all] =
    report === undefined ? [command, [...args]] : [gnuTime, ["-q", "-o", report, "-f", "%U %S %M", command, ...args]];
  const kept = options.outputCharacters ?? 64_000;
  const busyBefore = busyMs();
  const startedAt = performance.now();
  const child = spawn(program, all, {
    stdio: ["ignore", "pipe", "pipe"],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: options.env ?? process.env,
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout = (stdout + text).slice(-kept)));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr = (stderr + text).slice(-kept)));
  let cost: Cost = { userMs: 0, systemMs: 0, rssKiB: 0 };
  const polling = report === undefined ? setInterval(() => (cost = pollCost(child.pid, cost)), pollMs) : undefined;
  let wallMs = 0;
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", () => (wallMs = performance.now() - startedAt));
    child.on("close", (code, signal) => resolve(code ?? (signal === null ? -1 : 128)));
  }).finally(() => clearInterval(polling));
  if (report !== undefined) {
    cost = readReport(report);
  }
  if (!(options.accept ?? [0]).includes(exitCode)) {
    throw new Error(
      `${command} ${args[0] ?? ""} exited with ${exitCode}: ${stderr.slice(-2000) || stdout.slice(-2000)}`,
    );
  }
  const othersCpu = Math.max(0, (busyMs() - busyBefore - cost.userMs - cost.systemMs) / wallMs);
  return { wallMs, ...cost, othersCpu, exitCode, stdout, stderr };
}

/** Processor time that the whole machine has spent so far, in milliseconds: proc_stat(5), in ticks of 10 ms. */
function busyMs(): number {
  const [, user, nice, system, , , irq, softIrq, steal] = readFileSync("/proc/stat", "utf8").split(/\s+/).map(Number);
  return (user + nice + system + irq + softIrq + steal) * 10;
}

const calmCpuMax = 0.3;
const calmWaitMaxMs = 15_000;
/** All waits of one comparison together. */
const calmWaitsMaxMs = 120_000;

/** Waits for a second in which the machine was nearly idle, within a budget: other work comes and goes on a shared one. */
async function waitForCalm(budgetMs: number): Promise<number> {
  const beganAt = performance.now();
  while (performance.now() - beganAt < Math.min(budgetMs, calmWaitMaxMs)) {
    const [before, startedAt] = [busyMs(), performance.now()];
    await delay(1000);
    if ((busyMs() - before) / (performance.now() - startedAt) < calmCpuMax) break;
  }
  return budgetMs - (performance.now() - beganAt);
}

let nextReport = 0;

interface Cost {
  userMs: number;
  systemMs: number;
  rssKiB: number;
}

function readReport(path: string): Cost {
  // The last line: GNU time may write what ended the command before it.
  const [user, system, rss] = (readFileSync(path, "utf8").trim().split("\n").at(-1) ?? "").split(" ").map(Number);
  rmSync(path);
  return { userMs: user * 1000, systemMs: system * 1000, rssKiB: rss };
}

function pollCost(pid: number | undefined, last: Cost): Cost {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const rssKiB = Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    // proc_pid_stat(5): fields 14 and 15 are ticks of 10 ms; the name in parentheses may hold spaces.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return {
      userMs: Number(fields[11]) * 10,
      systemMs: Number(fields[12]) * 10,
      rssKiB: Math.max(last.rssKiB, rssKiB),
    };
  } catch {
    // The process has just ended: its last reading stands.
    return last;
  }
}

/** One of the things that are compared. */
export interface Contender {
  name: string;
  /** Runs before each measurement and is not measured: clearing targets, copying a database. */
  prepare?: () => void | Promise<void>;
  run: () => Promise<Measurement>;
  /** More figures of a run, such as the bytes of what it wrote; called after each. */
  extra?: (measurement: Measurement) => Record<string, number> | Promise<Record<string, number>>;
}

export interface Result {
  name: string;
  runs: number;
  /** Medians over the runs; RSS is the highest. */
  wallMs: number;
  userMs: number;
  systemMs: number;
  rssKiB: number;
  othersCpu: number;
  /** The fastest run is the one that others disturbed least. */
  wallMsBest: number;
  wallMsAll: number[];
  extra: Record<string, number>;
}

/**
 * Measures A, B, C, A, B, C, … so that a busy spell of the machine hits all alike, and gives medians. Each measurement waits for
 * a calm second first, and is printed to stderr as it is made, with the load of the machine before and what others used meanwhile.
 */
export async function interleave(contenders: readonly Contender[], rounds: number, warmUps = 0): Promise<Result[]> {
  let waitMs = calmWaitsMaxMs;
  const measured = contenders.map((): (Measurement & { extra: Record<string, number> })[] => []);
  for (let round = -warmUps; round < rounds; round++) {
    for (const [index, contender] of contenders.entries()) {
      await contender.prepare?.();
      waitMs = await waitForCalm(waitMs);
      const load = loadavg()[0];
      const measurement = await contender.run();
      const extra = (await contender.extra?.(measurement)) ?? {};
      process.stderr.write(
        `${round < 0 ? "warm-up" : `round ${round + 1}`}: ${contender.name}: ${(measurement.wallMs / 1000).toFixed(2)} s, ` +
          `${Math.round(measurement.rssKiB / 1024)} MiB (load before ${load.toFixed(2)}, others used ${measurement.othersCpu.toFixed(2)} processors)\n`,
      );
      if (round >= 0) {
        measured[index].push({ ...measurement, extra });
      }
    }
  }
  return contenders.map((contender, index) => {
    const runs = measured[index];
    const last = runs.at(-1);
    return {
      name: contender.name,
      runs: runs.length,
      wallMs: median(runs.map((run) => run.wallMs)),
      userMs: median(runs.map((run) => run.userMs)),
      systemMs: median(runs.map((run) => run.systemMs)),
      rssKiB: Math.max(...runs.map((run) => run.rssKiB)),
      othersCpu: median(runs.map((run) => run.othersCpu)),
      wallMsBest: Math.min(...runs.map((run) => run.wallMs)),
      wallMsAll: runs.map((run) => Math.round(run.wallMs)),
      extra: Object.fromEntries(
        Object.keys(last?.extra ?? {}).map((key) => [key, median(runs.map((run) => run.extra[key] ?? Number.NaN))]),
      ),
    };
  });
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Prints results as a Markdown table, with the ratio of the first's time to each, and then each as one line of JSON. */
export function printResults(title: string, results: readonly Result[]): void {
  const base = results[0];
  const extras = [...new Set(results.flatMap((result) => Object.keys(result.extra)))];
  const rows = results.map((result) => [
    result.name,
    seconds(result.wallMs),
    (base.wallMs / result.wallMs).toFixed(2),
    seconds(result.wallMsBest),
    (base.wallMsBest / result.wallMsBest).toFixed(2),
    seconds(result.userMs + result.systemMs),
    String(Math.round(result.rssKiB / 1024)),
    result.othersCpu.toFixed(2),
    ...extras.map((key) => (key in result.extra ? result.extra[key].toLocaleString("en-US") : "")),
    result.wallMsAll.map(seconds).join(" "),
  ]);
  const head = [
    "",
    "wall s",
    "times as fast as the first",
    "CPU s",
    "peak RSS MiB",
    "others' CPUs",
    ...extras,
    "all runs, s",
  ];
  console.log(`\n${title}\n`);
  console.log(`| ${head.join(" | ")} |\n|${"---|".repeat(head.length)}`);
  for (const row of rows) {
    console.log(`| ${row.join(" | ")} |`);
  }
  console.log();
  for (const result of results) {
    console.log(JSON.stringify({ bench: title, ...result }));
  }
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(ms < 1000 ? 3 : 2);
}
