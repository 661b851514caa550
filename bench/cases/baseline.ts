import { createReadStream, createWriteStream, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { peerPath } from "../../test/peers/peers.ts";
import { interleave, printResults, runMeasured, type Contender } from "../measure.ts";
import { benchVolume } from "../volumes.ts";

export const about = "what JuiceFS and plain SQLite readers need for a volume: the times and sizes to compare with";

const tables = ["node", "edge", "chunk"];

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
      dump("juicefs dump --binary", database, join(folder, "volume.bin"), []),
      dump("juicefs dump --binary, .zstd", database, join(folder, "volume.bin.zstd"), []),
      dump("juicefs dump --binary --threads 1", database, join(folder, "volume-1.bin"), ["--threads", "1"]),
      shell(database, folder),
      pages(database),
    ];
    printResults(`baseline, ${values.files} files, SQLite`, await interleave(contenders, Number(values.rounds)));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function dump(name: string, database: string, out: string, options: string[]): Contender {
  return {
    name,
    prepare: () => rmSync(out, { force: true }),
    run: () => runMeasured(peerPath("juicefs-1.4"), ["dump", "--binary", ...options, `sqlite3://${database}`, out]),
    extra: () => ({ bytes: statSync(out).size }),
  };
}

/** The limit of reading: the shell of SQLite writes the three large tables as quoted rows to nowhere. */
function shell(database: string, folder: string): Contender {
  const script = join(folder, "read.sql");
  const out = createWriteStream(script);
  out.end(`.mode quote\n.output /dev/null\n${tables.map((table) => `SELECT * FROM jfs_${table};\n`).join("")}`);
  return {
    name: `sqlite3 shell: ${tables.join(", ")}`,
    run: () => runMeasured("sqlite3", ["-batch", "-readonly", database, `.read ${script}`]),
  };
}

function pages(database: string): Contender {
  const script = join(import.meta.dirname, "..", "read-pages.ts");
  return {
    name: "node:sqlite, pages of 5,000 rows",
    run: () => runMeasured(process.execPath, [script, database]),
  };
}

async function warm(path: string): Promise<void> {
  for await (const piece of createReadStream(path, { highWaterMark: 4 << 20 })) {
    void piece;
  }
}
