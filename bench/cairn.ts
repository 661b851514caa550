import { join } from "node:path";
import { runMeasured, type Measurement } from "./measure.ts";

/** The launcher that users start: every figure is that of a whole process, with its start-up. */
export const cairnLauncher = join(import.meta.dirname, "..", "cairn");

/** Runs one command of Cairn and measures it. */
export function cairn(args: readonly string[]): Promise<Measurement> {
  return runMeasured(cairnLauncher, args);
}

/** The result line of a command that ran with `--json`. */
export function cairnResult({ stdout }: Measurement): Record<string, unknown> {
  const line = stdout.trimEnd().split("\n").at(-1) ?? "";
  const result = JSON.parse(line) as Record<string, unknown>;
  if (result["type"] !== "result") throw new Error(`no result line: ${line.slice(0, 200)}`);
  return result;
}
