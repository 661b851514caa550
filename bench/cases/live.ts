import { mkdirSync, rmSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { errorsOf } from "../../test/judge/finding.ts";
import type { Finding } from "../../test/judge/finding.ts";
import { judgeVolume } from "../../test/judge/judge-volume.ts";
import { checkInvariants } from "../../test/live/invariants.ts";
import { startLiveVolume, writerFolder } from "../../test/live/live-volume.ts";
import { engineNames, openEngine } from "../../test/support/engines.ts";
import type { EngineName } from "../../test/support/engines.ts";
import { mountVolume, runJuicefs } from "../../test/volumes/juicefs-cli.ts";
import { cairn } from "../cairn.ts";
import { temporaryFolder } from "../temporary-folder.ts";

export const about =
  "how often copies of a volume on which a writer works are inconsistent: juicefs dump --binary and cairn backup";

/** `--engine NAME` (all four), `--runs N` (20). Each run is one copy by each way, restored into SQLite and judged. */
export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      engine: { type: "string", multiple: true, default: [...engineNames] },
      runs: { type: "string", default: "20" },
    },
  });
  console.log(
    "\n| engine | copies | juicefs dump --binary: inconsistent | cairn backup: inconsistent | first complaint about juicefs' |",
  );
  console.log("|---|---|---|---|---|");
  for (const name of engineNames.filter((each) => values.engine.includes(each))) {
    const { dumps, backups } = await compare(name, Number(values.runs));
    const first = dumps.find((complaint) => complaint !== "") ?? "";
    const cells = [name, dumps.length, count(dumps), count(backups), first.replaceAll("|", "/").slice(0, 120)];
    console.log(`| ${cells.join(" | ")} |`);
    for (const complaint of backups.filter((each) => each !== "")) console.log(`cairn on ${name}: ${complaint}`);
  }
}

function count(complaints: readonly string[]): number {
  return complaints.filter((complaint) => complaint !== "").length;
}

/** What was wrong with each copy; nothing for one that was in order. */
async function compare(name: EngineName, runs: number): Promise<{ dumps: string[]; backups: string[] }> {
  await using engine = await openEngine(name);
  using folder = temporaryFolder();
  const url = await engine.newPlace();
  await using volume = await startLiveVolume(folder.join("live"), url);
  const repository = folder.join("repository");
  await cairn(["init", repository]);
  const dumps: string[] = [];
  const backups: string[] = [];
  for (let at = 0; at < runs; at += 1) {
    await delay((at * 137) % 500);
    dumps.push(await judgeCopy(folder.join(`dump-${at}`), (copy) => dumpAndLoad(url, folder.join("dump.bin"), copy)));
    backups.push(
      await judgeCopy(folder.join(`backup-${at}`), async (copy) => {
        await cairn(["--no-progress", "backup", url, repository]);
        await cairn(["--no-progress", "restore", `${repository}@latest`, copy]);
      }),
    );
    process.stderr.write(
      `${name} ${at + 1}: juicefs: ${dumps.at(-1) || "in order"}; cairn: ${backups.at(-1) || "in order"}\n`,
    );
  }
  await volume.stop();
  return { dumps, backups };
}

async function dumpAndLoad(url: string, file: string, copy: string): Promise<void> {
  rmSync(file, { force: true });
  await runJuicefs(["dump", "--binary", "--keep-secret-key", url, file]);
  await runJuicefs(["load", "--binary", copy, file]);
}

/**
 * Defects that a copy of a moment cannot have, of nodes, names and links. What a dump leaves out by its format (delayed slices, sessions) and counts
 * that follow from it are not held against it.
 */
const grave =
  /^(edge-|node-unreachable|node-parent|node-duplicate|nlink-file|nlink-directory|chunk-orphan|root-|directory-|symlink-)/;

/** Makes a copy in SQLite, has it judged, and gives the first complaint; nothing where there is none. */
async function judgeCopy(folder: string, make: (copy: string) => Promise<void>): Promise<string> {
  mkdirSync(folder);
  const copy = `sqlite3://${folder}/copy.db`;
  try {
    await make(copy);
    const found = errorsOf(await judgeVolume(copy)).filter(({ code }: Finding) => grave.test(code));
    if (found.length > 0) return `${found.length} defects: ${found[0].code} ${found[0].record}: ${found[0].message}`;
    const mount = await mountVolume(copy, `${folder}/mnt`, {
      workFolder: folder,
      readOnly: true,
      noBackgroundJobs: true,
    });
    try {
      checkInvariants(mount.mountpoint, writerFolder);
    } finally {
      await mount.unmount();
    }
    return "";
  } catch (error) {
    return (error instanceof Error ? error.message : String(error)).split("\n")[0];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
