import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { juicefsDump, sqliteShell } from "../contenders.ts";
import { interleave, printResults, runMeasured, type Contender } from "../measure.ts";
import { benchVolume, warm } from "../volumes.ts";

export const about = "what JuiceFS and plain SQLite readers need for a volume: the times and sizes to compare with";

/** `--files N` (1,000,000), `--rounds R` (3). Every contender reads the same database; files are warm in the page cache. */
export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { files: { type: "string", default: "1000000" }, rounds: { type: "string", default: "3" } },
  });
  const database = await benchVolume(Number(values.files));
  await warm(database);
  const folder = mkdtempSync(join(tmpdir(), "cairn-bench-"));
  try {
    const contenders = [
      juicefsDump("juicefs dump --binary", database, join(folder, "volume.bin"), []),
      juicefsDump("juicefs dump --binary, .zstd", database, join(folder, "volume.bin.zstd"), []),
      juicefsDump("juicefs dump --binary --threads 1", database, join(folder, "volume-1.bin"), ["--threads", "1"]),
      sqliteShell(database, folder),
      pages(database),
    ];
    printResults(`baseline, ${values.files} files, SQLite`, await interleave(contenders, Number(values.rounds)));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function pages(database: string): Contender {
  const script = join(import.meta.dirname, "..", "read-pages.ts");
  return {
    name: "node:sqlite, pages of 5,000 rows",
    run: () => runMeasured(process.execPath, [script, database]),
  };
}
