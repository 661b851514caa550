import { parseArgs } from "node:util";
import { cairn, cairnLauncher, cairnResult } from "../cairn.ts";
import { interleave, printResults, type Contender } from "../measure.ts";
import { mutateVolume } from "../mutate.ts";
import { samplePaths } from "../sample-paths.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { bytesReadBelow, canTraceReads } from "../trace-reads.ts";
import { benchVolume, copyVolume } from "../volumes.ts";

export const about = "ls, stat, find and du in a snapshot of 10 million files, and diff of two of 1 million";

/** `--files N` (10,000,000), `--diff-files N` (1,000,000), `--rounds R` (11), `--paths N` (3). */
export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      files: { type: "string", default: "10000000" },
      "diff-files": { type: "string", default: "1000000" },
      rounds: { type: "string", default: "11" },
      paths: { type: "string", default: "3" },
    },
  });
  await lookInside(Number(values.files), Number(values.rounds), Number(values.paths));
  await compare(Number(values["diff-files"]), Number(values.rounds));
}

async function lookInside(files: number, rounds: number, paths: number): Promise<void> {
  using folder = temporaryFolder();
  const repository = folder.join("repository");
  const database = await benchVolume(files);
  await cairn(["init", repository]);
  await cairn(["--no-progress", "backup", `sqlite3://${database}`, repository]);
  const { files: samples, directories, largest } = samplePaths(database, paths);
  const at = (path: string): string => `${repository}@latest:${path}`;
  const contenders = [
    look("ls of the root", repository, ["ls", at("/")]),
    look("ls -l of the root", repository, ["ls", "-l", at("/")]),
    ...directories.map((path, index) => look(`ls of directory ${index + 1}`, repository, ["ls", at(path)])),
    ...directories.map((path, index) => look(`ls -l of directory ${index + 1}`, repository, ["ls", "-l", at(path)])),
    ...samples.map((path, index) => look(`stat of file ${index + 1}`, repository, ["stat", at(path)])),
    look("ls of the largest directory", repository, ["ls", at(largest)]),
  ];
  printResults(`looking into a snapshot of ${files} files`, await interleave(contenders, rounds, 1));
  console.log(["paths:", ...directories, ...samples, largest].join("\n  "));
  const sweeps = [
    look("find by name below the root", repository, ["find", at("/"), "--name", "*.parquet"]),
    look("du of the root", repository, ["du", at("/")]),
  ];
  printResults(`sweeping a snapshot of ${files} files`, await interleave(sweeps, Math.min(rounds, 3)));
}

async function compare(files: number, rounds: number): Promise<void> {
  using folder = temporaryFolder();
  const repository = folder.join("repository");
  const database = folder.join("volume.db");
  copyVolume(await benchVolume(files), database);
  const ids: string[] = [];
  await cairn(["init", repository]);
  for (const change of [0, 1000]) {
    if (change > 0) mutateVolume(database, { change, add: 0, seed: 1 });
    const measured = await cairn(["--json", "--no-progress", "backup", `sqlite3://${database}`, repository]);
    ids.push(`${repository}@${String(cairnResult(measured)["id"])}`);
  }
  const contenders = [
    look("diff, 1,000 records changed", repository, ["diff", ...ids]),
    look("diff --stat, 1,000 records changed", repository, ["diff", "--stat", ...ids]),
    look("ls of the root", repository, ["ls", `${ids[1]}:/`]),
    look("ls -l of the root", repository, ["ls", "-l", `${ids[1]}:/`]),
  ];
  printResults(`snapshots of ${files} files`, await interleave(contenders, rounds, 1));
}

/** A command, with the bytes that it reads from the repository where strace can tell. */
function look(name: string, repository: string, command: readonly string[]): Contender {
  const args = ["--no-progress", ...command];
  let bytes: number | undefined;
  return {
    name,
    run: () => cairn(args),
    async extra() {
      if (!canTraceReads()) return {};
      bytes ??= await bytesReadBelow(repository, cairnLauncher, args);
      return { "bytes of the repository": bytes };
    },
  };
}
