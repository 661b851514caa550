import { spawn } from "node:child_process";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pipeline } from "node:stream/promises";

/** What `juicefs dump` prints of two volumes, compared. */
export interface DumpComparison {
  /** The first lines of a unified diff; empty when the dumps are the same text after normalisation. */
  readonly difference: string;
  /** Lines of the left dump, so that a test can tell that it compared something. */
  readonly lines: number;
}

export interface CompareDumpsOptions {
  /** Leave out usedSpace and usedInodes: right after `--repair=usage`, or when one side is mounted and flushes late. */
  readonly ignoreUsage?: boolean;
  /** Leave out lines of the dump that the caller expects to differ. */
  readonly ignoreLine?: (line: string) => boolean;
  /** Environment for `juicefs`, for passwords. */
  readonly environment?: NodeJS.ProcessEnv;
}

/**
 * Lines of the head that may differ between a volume and its restored copy, and why:
 *
 * - `nextSession`: every client that opens the volume takes one, also to look at it.
 * - `nextCleanupSlices`, `lastChangelog`: marks of background jobs, no part of the metadata.
 * - `SecretKey`, `SessionToken`: secrets, which a restore may leave to the user.
 */
const VARIABLE_LINE = /^\s*"(nextSession|nextCleanupSlices|lastChangelog|SecretKey|SessionToken)":/;
const USAGE_LINE = /^\s*"(usedSpace|usedInodes)":/;
const DIFFERENCE_BYTES_MAX = 8192;

/**
 * Dumps two volumes with the real `juicefs` and compares the texts line by line. The dump sorts the entries of a directory by name, so equal
 * metadata gives equal text, but for slices that overlap or lie beyond a file's length.
 *
 * Mind that `juicefs` opens a SQLite database in WAL mode even to dump it: do not dump a database whose bytes a test looks at later.
 */
export async function compareDumps(
  juicefs: string,
  leftUrl: string,
  rightUrl: string,
  options: CompareDumpsOptions = {},
): Promise<DumpComparison> {
  const folder = await mkdtemp(join(tmpdir(), "compare-dumps-"));
  try {
    const left = join(folder, "left");
    const right = join(folder, "right");
    for (const [url, file] of [[leftUrl, left] as const, [rightUrl, right] as const]) {
      await run(juicefs, ["dump", "--threads", "2", url, `${file}.json`], options.environment);
    }
    const lines = await normalise(`${left}.json`, left, options);
    await normalise(`${right}.json`, right, options);
    const result = await run(
      "diff",
      ["-U", "3", "--label", "left", "--label", "right", left, right],
      undefined,
      [0, 1],
    );
    return { difference: result.slice(0, DIFFERENCE_BYTES_MAX), lines };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Copies a dump without the lines that may differ; returns how many lines were kept. Lists whose order an engine chooses (what the head lists, the
 * extended attributes of an entry) are sorted.
 */
async function normalise(from: string, to: string, options: CompareDumpsOptions): Promise<number> {
  let kept = 0;
  const isKept = (line: string): boolean => {
    const variable = VARIABLE_LINE.test(line) || (options.ignoreUsage === true && USAGE_LINE.test(line));
    return !variable && options.ignoreLine?.(line) !== true;
  };
  await pipeline(
    createInterface({ input: createReadStream(from, "latin1"), crlfDelay: Infinity }),
    async function* (lines: AsyncIterable<string>) {
      let head: string[] | undefined = [];
      for await (const line of lines) {
        if (head !== undefined && !line.startsWith('  "FSTree"')) {
          head.push(line);
          continue;
        }
        const before = head === undefined ? [] : sortedHead(head);
        head = undefined;
        for (const each of [...before, sortedAttributes(line)].filter(isKept)) {
          kept += 1;
          yield `${each}\n`;
        }
      }
    },
    createWriteStream(to, "latin1"),
  );
  return kept;
}

/** What stands before the tree, with its lists sorted; a line for each value. Numbers are kept as texts: they may be above 2^53. */
function sortedHead(lines: readonly string[]): string[] {
  const text = lines.map((line) => line.replace(/^(\s*(?:"[^"]*": )?)(-?\d+)(,?)$/, '$1"$2"$3')).join("\n");
  const head: unknown = JSON.parse(`${text.trimEnd().replace(/,$/, "")}}`);
  return JSON.stringify(sorted(head), undefined, 2)
    .split("\n")
    .map((line) => line.replace(/,$/, ""));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(sorted).toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  }
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, item]) => [key, sorted(item)] as const)
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** A line of extended attributes with the attributes in the order of their text. */
function sortedAttributes(line: string): string {
  const [, start, list, end] = /^(\s*"xattrs": )(\[.*\])(,?)$/.exec(line) ?? [];
  return list === undefined ? line : `${start}${JSON.stringify(sorted(JSON.parse(list)))}${end}`;
}

/** Runs a program to its end and returns what it printed; throws with its own words when it fails. */
async function run(
  program: string,
  args: readonly string[],
  environment?: NodeJS.ProcessEnv,
  accepted: readonly number[] = [0],
): Promise<string> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...environment } });
  let output = "";
  let messages = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output = output.length < DIFFERENCE_BYTES_MAX ? output + text : output;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    messages = (messages + text).slice(-DIFFERENCE_BYTES_MAX);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code === null || !accepted.includes(code)) {
    throw new Error(`${program} ${args[0]} ended with code ${code}: ${messages}`);
  }
  return output;
}
