/**
 * `tools/soak.ts [FILE|FOLDER…]` runs the tests that repeat (test/counts.ts) with their full numbers, and those under test/soak/,
 * which are too long for every change.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CairnError, messageOf } from "../src/model/errors.ts";
import { findTests, runTests } from "./test.ts";

const root = join(import.meta.dirname, "..");

/** Whether a test file repeats more often in a soak. */
function soaks(file: string): boolean {
  if (file.startsWith("test/soak/")) return true;
  return /from "(?:\.\.?\/)+(?:test\/)?counts\.ts"/.test(readFileSync(join(root, file), "utf8"));
}

process.env["CAIRN_SOAK"] = "1";
try {
  const files = findTests(process.argv.slice(2)).filter(soaks);
  if (!(await runTests(files, { fileMinutes: 180, runMinutes: 720 }))) process.exitCode = 1;
} catch (error) {
  console.error(`soak: ${messageOf(error)}`);
  if (error instanceof CairnError) console.error(`soak: ${error.unharmed}; ${error.next}`);
  process.exitCode = 1;
}
