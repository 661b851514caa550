import { rmSync } from "node:fs";
import { parseArgs } from "node:util";
import { cairn } from "../cairn.ts";
import { cairnBackup, cairnRestore } from "../contenders.ts";
import { interleave, printResults, type Result } from "../measure.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { benchVolume } from "../volumes.ts";

export const about = "peak memory of backup, verify and restore at 1 million files and at 10 million, default --memory";

/** `--files N,N` (1000000,10000000), `--rounds R` (1). Needs twice the space of the largest volume in the temporary folder. */
export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { files: { type: "string", default: "1000000,10000000" }, rounds: { type: "string", default: "1" } },
  });
  const peaks: Result[][] = [];
  for (const files of values.files.split(",")) {
    const database = await benchVolume(Number(files));
    using folder = temporaryFolder();
    const repository = folder.join("repository");
    const restored = folder.join("restored.db");
    const verify = {
      name: "cairn verify",
      // The restored database of the round before is in the way of nothing but the disk's space.
      prepare: () => rmSync(restored, { force: true }),
      run: () => cairn(["--json", "--no-progress", "verify", `${repository}@latest`]),
    };
    const contenders = [cairnBackup(database, repository), verify, cairnRestore(repository, restored)];
    const results = await interleave(contenders, Number(values.rounds));
    printResults(`memory, ${files} files, SQLite`, results);
    peaks.push(results);
  }
  const [first] = peaks;
  const last = peaks.at(-1) ?? first;
  for (const [index, { name, rssKiB }] of first.entries()) {
    console.log(
      `${name}: ${mib(rssKiB)} MiB, then ${mib(last[index].rssKiB)} MiB: ${percent(last[index].rssKiB / rssKiB)}`,
    );
  }
}

function mib(kib: number): string {
  return (kib / 1024).toFixed(0);
}

function percent(ratio: number): string {
  const change = 100 * (ratio - 1);
  return `${change < 0 ? "" : "+"}${change.toFixed(1)} %`;
}
