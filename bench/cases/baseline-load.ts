import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { peerPath } from "../../test/peers/peers.ts";
import { juicefsLoad } from "../contenders.ts";
import { writeInScanOrder } from "../generate/scan-order.ts";
import { interleave, printResults, runMeasured } from "../measure.ts";
import { benchVolume } from "../volumes.ts";

export const about =
  "what juicefs load --binary needs to write a SQLite volume, from a sorted dump and from one in SCAN order";

/** `--files N` (1,000,000), `--rounds R` (3). The sorted dump is what `juicefs dump --binary` makes of the SQLite volume. */
export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { files: { type: "string", default: "1000000" }, rounds: { type: "string", default: "3" } },
  });
  const database = await benchVolume(Number(values.files));
  const folder = mkdtempSync(join(tmpdir(), "cairn-bench-"));
  try {
    const sorted = join(folder, "sorted.bin");
    const scanned = join(folder, "scanned.bin");
    await runMeasured(peerPath("juicefs-1.4"), ["dump", "--binary", `sqlite3://${database}`, sorted]);
    writeInScanOrder(sorted, scanned, 1);
    const contenders = [
      juicefsLoad("juicefs load --binary, dump of SQLite", sorted, join(folder, "sorted.db")),
      juicefsLoad("juicefs load --binary, in SCAN order", scanned, join(folder, "scanned.db")),
    ];
    printResults(`load, ${values.files} files, SQLite`, await interleave(contenders, Number(values.rounds)));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
