/**
 * All static checks at once: one line a check, then what the failing ones said. Exits with 1 when any of them fails.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { stripVTControlCharacters } from "node:util";

interface Check {
  name: string;
  command: readonly [string, ...string[]];
  /** What mends it, where one command does. */
  remedy?: string;
}

interface Outcome {
  check: Check;
  passed: boolean;
  seconds: number;
  output: string;
}

const root = join(import.meta.dirname, "..");
const binaries = join(root, "node_modules", ".bin");
const checks: readonly Check[] = [
  { name: "types", command: [join(binaries, "tsc"), "--project", "."] },
  { name: "lint", command: [join(binaries, "oxlint"), "--deny-warnings"] },
  { name: "format", command: [join(binaries, "oxfmt"), "--check"], remedy: "npm run format" },
  { name: "unused", command: [join(binaries, "knip"), "--no-progress", "--no-config-hints"] },
  { name: "tidy", command: [process.execPath, join(import.meta.dirname, "tidy.ts")] },
];

async function run(check: Check): Promise<Outcome> {
  const start = performance.now();
  const [program, ...args] = check.command;
  const child = spawn(program, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const passed = await new Promise<boolean>((done) => {
    child.once("error", (error) => {
      output += `could not be started: ${error.message}\n`;
      done(false);
    });
    child.once("close", (code) => done(code === 0));
  });
  // Some of them colour what they write to a pipe, too, when CI is set.
  const outcome = {
    check,
    passed,
    seconds: (performance.now() - start) / 1000,
    output: stripVTControlCharacters(output),
  };
  console.log(`${passed ? "ok    " : "FAILED"} ${check.name.padEnd(7)} ${outcome.seconds.toFixed(2)} s`);
  return outcome;
}

const outcomes = await Promise.all(checks.map(run));
const failed = outcomes.filter(({ passed }) => !passed);
for (const { check, output } of failed) {
  console.log(
    `\n${check.name}${check.remedy === undefined ? "" : ` (mend it with: ${check.remedy})`}\n${output.trimEnd()}`,
  );
}
if (failed.length > 0) process.exitCode = 1;
