import type { CairnError } from "../../model/errors.ts";
import type { Progress } from "../../model/ports.ts";
import type { World } from "../world.ts";
import { LiveLine } from "./live-line.ts";
import type { Output } from "./output.ts";
import { StdoutBuffer } from "./stdout-buffer.ts";

export interface TextOutputOptions {
  /** No result text; warnings and errors only. */
  quiet: boolean;
  progress: boolean;
}

/** Results on stdout; progress, warnings and errors on stderr. */
export function openTextOutput(world: World, options: TextOutputOptions): Output {
  const { stderr, clock } = world;
  const stdout = new StdoutBuffer(world.stdout);
  const live = options.progress && !options.quiet ? new LiveLine(stderr, clock) : undefined;
  const nothing = async (): Promise<void> => {};
  const progress: Progress = {
    report: (event) => live?.report(event),
    warn(code, message) {
      live?.clear();
      stderr.write(`warning: ${message} (${code})\n`);
    },
  };
  return {
    json: false,
    progress,
    async text(text) {
      if (options.quiet) return;
      live?.clear();
      await stdout.write(text);
    },
    entry: nothing,
    result: nothing,
    async raw(bytes) {
      live?.clear();
      await stdout.write(bytes);
    },
    error(error) {
      live?.clear();
      stderr.write(errorText(error));
    },
    async close() {
      live?.clear();
      await stdout.flush();
    },
  };
}

/** What failed, what is unharmed, what to do next: each on its line. */
function errorText(error: CairnError): string {
  const lines = [`cairn: ${error.message} (${error.code})`];
  if (error.unharmed !== undefined) lines.push(`  unharmed: ${error.unharmed}`);
  if (error.next !== undefined) lines.push(`  next: ${error.next}`);
  return `${lines.join("\n")}\n`;
}
