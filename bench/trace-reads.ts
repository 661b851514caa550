import { closeSync, existsSync, openSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runMeasured } from "./measure.ts";

const strace = "/usr/bin/strace";

export function canTraceReads(): boolean {
  return existsSync(strace);
}

/**
 * The bytes that a command reads from files below a folder, as the kernel hands them out: every read of every thread, whatever the command
 * itself says. Needs strace.
 */
export async function bytesReadBelow(folder: string, command: string, args: readonly string[]): Promise<number> {
  const log = join(tmpdir(), `cairn-bench-strace-${process.pid}`);
  closeSync(openSync(log, "w"));
  try {
    await runMeasured(strace, [
      "-f",
      "-y",
      "-qq",
      "-e",
      "trace=read,pread64,readv,preadv",
      "-o",
      log,
      command,
      ...args,
    ]);
    return sumReads(readFileSync(log, "latin1"), realpathSync(folder));
  } finally {
    rmSync(log);
  }
}

/** Lines such as `123 pread64(19</tmp/r/packs/a.pack>, "..."..., 4096, 0) = 4096`; a call that another thread interrupts ends on a later line. */
function sumReads(log: string, folder: string): number {
  const unfinished = new Map<string, boolean>();
  let sum = 0;
  for (const line of log.split("\n")) {
    const [thread] = line.trimStart().split(" ", 1);
    const opened = /^\s*\d+\s+\w+\(\d+<([^>]*)>/.exec(line);
    const isBelow = opened === null ? unfinished.get(thread) === true : opened[1].startsWith(`${folder}/`);
    const bytes = /= (\d+)$/.exec(line)?.[1];
    if (bytes === undefined) unfinished.set(thread, isBelow);
    else if (isBelow) sum += Number(bytes);
    if (bytes !== undefined) unfinished.delete(thread);
  }
  return sum;
}
