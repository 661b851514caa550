import { parseArgs } from "node:util";
import { cairnBackup, cairnRestore, juicefsDump, juicefsLoad, sqliteCopy } from "../contenders.ts";
import { writeInScanOrder } from "../generate/scan-order.ts";
import { interleave, printResults } from "../measure.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { benchVolume, warm } from "../volumes.ts";

export const about =
  "a restore with proof into SQLite against juicefs load --binary, of a sorted dump and of one in SCAN order";

/**
 * `--files N` (1,000,000), `--rounds R` (3), `--no-scan` leaves out the dump in SCAN order, which loads for minutes. The sorted dump is what
 * `juicefs dump --binary` makes of the SQLite volume; in SCAN order are dumps of Redis volumes (bench/generate/scan-order.ts).
 */
export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    allowNegative: true,
    options: {
      files: { type: "string", default: "1000000" },
      rounds: { type: "string", default: "3" },
      scan: { type: "boolean", default: true },
    },
  });
  const database = await benchVolume(Number(values.files));
  using folder = temporaryFolder();
  const repository = folder.join("repository");
  const sorted = folder.join("sorted.bin");
  const scanned = folder.join("scanned.bin");
  for (const source of [juicefsDump("dump", database, sorted, []), cairnBackup(database, repository)]) {
    await source.prepare?.();
    await source.run();
  }
  if (values.scan) writeInScanOrder(sorted, scanned, 1);
  await warm(database);
  const contenders = [
    juicefsLoad("juicefs load --binary, dump of SQLite", sorted, folder.join("sorted.db")),
    cairnRestore(repository, folder.join("restored.db")),
    sqliteCopy(database, folder.join("copy.db")),
    ...(values.scan ? [juicefsLoad("juicefs load --binary, in SCAN order", scanned, folder.join("scanned.db"))] : []),
  ];
  printResults(`restore, ${values.files} files, SQLite`, await interleave(contenders, Number(values.rounds)));
}
