/** Runs the command line as a user does, in a process of its own. */
import { spawn } from "node:child_process";
import { join } from "node:path";

export interface CairnRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The last line of stdout or stderr that is JSON: with `--json`, the result or the error. */
  readonly last: Record<string, unknown>;
}

const launcher = join(import.meta.dirname, "..", "..", "cairn");

export async function runCairn(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CairnRun> {
  const child = spawn(launcher, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const texts = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => (texts[name] += text));
  }
  const code = await new Promise<number | null>((done, fail) => child.once("error", fail).once("close", done));
  const lines = `${texts.stdout}\n${texts.stderr}`.split("\n").filter((line) => line.startsWith("{"));
  const results = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const last = results.findLast(({ type }) => type === "result" || type === "error") ?? {};
  return { code, ...texts, last };
}
