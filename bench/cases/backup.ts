import { parseArgs } from "node:util";
import { cairnBackup, juicefsDump, sqliteShell } from "../contenders.ts";
import { interleave, printResults } from "../measure.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { benchVolume, warm } from "../volumes.ts";

export const about = "a first backup of a SQLite volume against juicefs dump --binary and the engine's own limit";

/** `--files N` (1,000,000), `--rounds R` (5). Only `--threads 1` makes a dump of a live SQL volume consistent. */
export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { files: { type: "string", default: "1000000" }, rounds: { type: "string", default: "5" } },
  });
  const database = await benchVolume(Number(values.files));
  await warm(database);
  using folder = temporaryFolder();
  const contenders = [
    juicefsDump("juicefs dump --binary", database, folder.join("volume.bin"), []),
    cairnBackup(database, folder.join("repository")),
    juicefsDump("juicefs dump --binary --threads 1", database, folder.join("volume-1.bin"), ["--threads", "1"]),
    juicefsDump("juicefs dump --binary, .zstd", database, folder.join("volume.bin.zstd"), []),
    sqliteShell(database, folder.path),
  ];
  const results = await interleave(contenders, Number(values.rounds));
  printResults(`backup, ${values.files} files, SQLite`, results);
  const [, stored, , zstd] = results.map(({ extra }) => extra["bytes"]);
  console.log(`stored bytes against juicefs' .bin.zstd: ${(stored / zstd).toFixed(3)}`);
}
