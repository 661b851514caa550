/**
 * `restore-worker.ts URL BATCHES` begins a restore of the rows that the test uses, writes so many batches (`all`: all, and builds the indexes),
 * says "ready" and waits to be killed.
 */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openTarget } from "../../src/cli/registry.ts";
import { quietProgress } from "../support/quiet-progress.ts";
import { planOf, sortedBatches } from "./target-rows.ts";

const [url, batches] = process.argv.slice(2);
const target = await openTarget(url, { line: undefined });
const writer = await target.begin(planOf(), {
  signal: new AbortController().signal,
  temporaryFolder: mkdtempSync(join(tmpdir(), "cairn-killed-")),
  memoryBytes: 32 << 20,
  progress: quietProgress(),
});
let written = 0;
for (const batch of sortedBatches()) {
  if (String(written) === batches) break;
  await writer.write(batch);
  written += 1;
}
if (batches === "all") await writer.finish();
process.stdout.write("ready\n");
setInterval(() => undefined, 1000);
