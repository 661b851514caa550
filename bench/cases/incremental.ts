import { parseArgs } from "node:util";
import { cairn, cairnResult } from "../cairn.ts";
import { interleave, median, printResults, type Contender, type Measurement } from "../measure.ts";
import { mutateVolume } from "../mutate.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { benchVolume, copyVolume } from "../volumes.ts";

export const about = "backups in a row of a volume in which 1 % of the files changed and 1 % are new each time";

interface Run {
  storedBytes: number;
  written: number;
  patched: number;
  reused: number;
  wallMs: number;
  rssKiB: number;
}

/**
 * `--files N` (1,000,000), `--backups N` (10) after the first, `--change SHARE`, `--new SHARE` (0.01 each). In the end the first and the
 * last snapshot are read in three ways, since the pages of the last rest on chains of patches.
 */
export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      files: { type: "string", default: "1000000" },
      backups: { type: "string", default: "10" },
      change: { type: "string", default: "0.01" },
      new: { type: "string", default: "0.01" },
      rounds: { type: "string", default: "3" },
    },
  });
  using folder = temporaryFolder();
  const database = folder.join("volume.db");
  const repository = folder.join("repository");
  copyVolume(await benchVolume(Number(values.files)), database);
  await cairn(["init", repository]);
  const snapshots: string[] = [];
  const backup = async (): Promise<Run> => {
    const measurement = await cairn(["--json", "--no-progress", "backup", `sqlite3://${database}`, repository]);
    snapshots.push(String(cairnResult(measurement)["id"]));
    return figures(measurement);
  };
  const first = await backup();
  console.log(`\nincremental, ${values.files} files, ${values.change} changed, ${values.new} new\n`);
  console.log("| backup | stored bytes | of the first's | pages whole / patched / reused | wall s | peak RSS MiB |");
  console.log("|---|---|---|---|---|---|");
  printRun(1, first, first);
  const later: Run[] = [];
  for (let seed = 1; seed <= Number(values.backups); seed++) {
    mutateVolume(database, { change: Number(values.change), add: Number(values.new), seed });
    const one = await backup();
    later.push(one);
    printRun(seed + 1, one, first);
  }
  const stored = later.map(({ storedBytes }) => storedBytes);
  const sum = stored.reduce((total, bytes) => total + bytes, 0);
  console.log(
    `\n${later.length} incremental backups: ${sum.toLocaleString("en-US")} bytes together (${share(sum, first.storedBytes)} of the first), ` +
      `median ${share(median(stored), first.storedBytes)}, largest ${share(Math.max(...stored), first.storedBytes)}, ` +
      `last ${share(stored.at(-1) ?? 0, first.storedBytes)}; median ${(median(later.map(({ wallMs }) => wallMs)) / 1000).toFixed(2)} s`,
  );
  const contenders = [snapshots[0], snapshots.at(-1) ?? ""].flatMap((id, index) =>
    readers(`${repository}@${id}`, index === 0 ? "the first" : "the last"),
  );
  printResults(
    `reading after ${later.length} incremental backups`,
    await interleave(contenders, Number(values.rounds)),
  );
}

function readers(snapshot: string, which: string): Contender[] {
  return [
    { name: `verify of ${which}`, run: () => cairn(["--no-progress", "verify", snapshot]) },
    { name: `ls -lR of ${which}`, run: () => cairn(["--no-progress", "ls", "-lR", snapshot]) },
    { name: `du of ${which}`, run: () => cairn(["--no-progress", "du", snapshot]) },
  ];
}

function figures(measurement: Measurement): Run {
  const result = cairnResult(measurement);
  return {
    storedBytes: Number(result["storedBytes"]),
    written: Number(result["pagesWritten"]),
    patched: Number(result["pagesPatched"]),
    reused: Number(result["pagesReused"]),
    wallMs: measurement.wallMs,
    rssKiB: measurement.rssKiB,
  };
}

function printRun(number: number, one: Run, first: Run): void {
  const cells = [
    String(number),
    one.storedBytes.toLocaleString("en-US"),
    share(one.storedBytes, first.storedBytes),
    `${one.written} / ${one.patched} / ${one.reused}`,
    (one.wallMs / 1000).toFixed(2),
    String(Math.round(one.rssKiB / 1024)),
  ];
  console.log(`| ${cells.join(" | ")} |`);
}

function share(part: number, whole: number): string {
  return `${((100 * part) / whole).toFixed(2)} %`;
}
