/** Dumps of volumes on different engines, compared: an engine lists deleted files in its own order. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runJuicefs } from "../volumes/juicefs-cli.ts";

/** Taken anew by every client, or marks of background jobs; not a part of the metadata. */
const variableLine = /^\s*"(?:nextSession|nextCleanupSlices|lastChangelog|SecretKey|SessionToken)":/;
const linesMin = 1000;

/** Fails when `juicefs dump` says anything else of one volume than of the other. */
export async function assertSameDump(leftUrl: string, rightUrl: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "same-dump-"));
  try {
    const dumps: string[][] = [];
    for (const [at, url] of [leftUrl, rightUrl].entries()) {
      const file = join(folder, `${at}.json`);
      await runJuicefs(["dump", "--threads", "2", url, file]);
      dumps.push(normalised(readFileSync(file, "utf8")));
    }
    const [left, right] = dumps;
    const first = left.findIndex((line, at) => line !== right[at]);
    assert.equal(
      first < 0 ? "" : right.slice(first - 3, first + 8).join("\n"),
      first < 0 ? "" : left.slice(first - 3, first + 8).join("\n"),
    );
    assert.equal(left.length, right.length);
    assert.ok(left.length > linesMin, `${left.length} lines`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function normalised(text: string): string[] {
  const sorted = text.replace(/("DelFiles": \[\n)([^\]]*?)(\n\s*\])/, (_, head: string, body: string, tail: string) => {
    const entries = body.split(/(?<=\}),?\n/).map((entry) => entry.replace(/,$/, ""));
    return `${head}${entries.toSorted().join(",\n")}${tail}`;
  });
  // The last line of an object has no comma, and may be one of those that vary.
  return (
    sorted
      .split("\n")
      .filter((line) => !variableLine.test(line))
      // What SQL's clients show of times before 1970 and after 2262 is not what they stored (docs/engines/sqlite.md).
      .map((line, at, all) =>
        /"time-[^"]*": \{$/.test(all[at - 1] ?? "") ? line.replace(/"[amc]time(?:nsec)?":-?\d+/g, "time") : line,
      )
      .map((line) => line.replace(/,$/, ""))
  );
}
