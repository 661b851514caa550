import { main } from "../../src/cli/main.ts";
import type { OutputStream, World } from "../../src/cli/world.ts";
import { systemClock } from "../../src/std/clock.ts";

export interface CliResult {
  code: number;
  stdout: string;
  stderr: string;
  /** The lines of stdout as JSON. */
  json: () => Record<string, unknown>[];
}

/** Runs a command line in this process, with its own streams. */
export async function runCli(args: readonly string[], world: Partial<World> = {}): Promise<CliResult> {
  const [stdout, stderr] = [collector(), collector()];
  const code = await main(args, {
    stdout: stdout.stream,
    stderr: stderr.stream,
    env: {},
    clock: systemClock,
    signal: new AbortController().signal,
    stdoutLost: new AbortController().signal,
    program: "cairn",
    ...world,
  });
  const text = stdout.text();
  return {
    code,
    stdout: text,
    stderr: stderr.text(),
    json: () =>
      text
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

function collector(): { stream: OutputStream; text: () => string } {
  const chunks: Buffer[] = [];
  return {
    stream: {
      write: (chunk) => chunks.push(Buffer.from(chunk as string)) > 0,
      once: () => undefined,
    },
    text: () => Buffer.concat(chunks).toString("utf8"),
  };
}
