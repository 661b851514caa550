import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createZstdDecompress } from "node:zlib";
import { CairnError, messageOf } from "../../model/errors.ts";
import { commandText } from "../command-text.ts";
import type { Context } from "../context.ts";
import { formatSeconds } from "../output/format.ts";
import { backup } from "./backup.ts";
import { diff } from "./diff.ts";
import { find } from "./find.ts";
import { init } from "./init.ts";
import { restore } from "./restore.ts";
import { snapshots } from "./snapshots.ts";
import { verify } from "./verify.ts";

const volumeFolder = join(import.meta.dirname, "..", "..", "..", "quickstart");

/**
 * `quickstart`: backs up, verifies, compares and restores the small volume that comes with Cairn, running the very commands
 * that it shows.
 */
export async function quickstart(
  context: Context,
  _: readonly (string | undefined)[],
  options: { keep?: boolean },
): Promise<void> {
  const { output, world } = context;
  const began = world.clock.now();
  const folder = await mkdtemp(join(tmpdir(), "cairn-quickstart-"));
  const repository = join(folder, "repository");
  const database = join(folder, "volume.db");
  const restored = join(folder, "restored.db");
  try {
    await output.text(
      "A small JuiceFS volume comes with Cairn: its metadata on Monday and on Tuesday, made by the real JuiceFS.\n",
    );
    await step(context, ["init", repository], "", () => init(context, [repository]));
    await unpack("monday.db.zst", database);
    const url = `sqlite3://${database}`;
    await step(
      context,
      ["backup", url, repository, "--note", "Monday"],
      "Monday: the first backup stores everything.",
      () => backup(context, [url, repository], { note: "Monday" }),
    );
    await step(context, ["verify", `${repository}@latest`], "Every page is read back and checked.", () =>
      verify(context, [`${repository}@latest`], {}),
    );
    await unpack("tuesday.db.zst", database);
    await step(context, ["backup", url, repository, "--note", "Tuesday"], "Tuesday: only what changed is stored.", () =>
      backup(context, [url, repository], { note: "Tuesday" }),
    );
    await step(context, ["snapshots", repository], "", () => snapshots(context, [repository], {}));
    await compare(context, repository);
    const large = `${repository}@latest`;
    await step(context, ["find", large, "--size", "+64M"], "Look inside, without any database.", () =>
      find(context, [large], { size: ["+64M"] }),
    );
    const target = `sqlite3://${restored}`;
    await step(context, ["restore", large, target], "Restore into a fresh database; it is read back and proven.", () =>
      restore(context, [large, target], {}),
    );
    const seconds = (world.clock.now() - began) / 1000;
    await output.text(`${farewell(world.program, folder, seconds, options.keep === true).join("\n")}\n`);
    await output.result("quickstart", { seconds, folder: options.keep === true ? folder : null });
  } finally {
    if (options.keep !== true) await rm(folder, { recursive: true, force: true });
  }
}

async function step(context: Context, args: string[], remark: string, run: () => Promise<void>): Promise<void> {
  context.signal.throwIfAborted();
  const title = remark === "" ? "" : `# ${remark}\n`;
  await context.output.text(`\n${title}$ ${commandText(context.world.program, args)}\n`);
  await run();
}

/** What changed between the two days: counts, since the list has some hundred lines. */
async function compare(context: Context, repository: string): Promise<void> {
  const { listSnapshots } = await import("../../repository/snapshots.ts");
  const { openRepositoryAt } = await import("../open-repository.ts");
  await using opened = await openRepositoryAt(repository);
  const [monday] = await listSnapshots(opened.repository);
  const left = `${repository}@${monday.id.slice(0, 8)}`;
  await step(
    context,
    ["diff", left, "@latest", "--stat"],
    "What happened between the two? (Without --stat: every path.)",
    () => diff(context, [left, "@latest"], { stat: true }),
  );
}

async function unpack(name: string, to: string): Promise<void> {
  try {
    await pipeline(createReadStream(join(volumeFolder, name)), createZstdDecompress(), createWriteStream(to));
  } catch (error) {
    throw new CairnError(
      "quickstart-missing",
      `the quick start's volume ${name} cannot be unpacked: ${messageOf(error)}`,
      {
        next: "get the folder quickstart/ of Cairn's source again",
        cause: error,
      },
    );
  }
}

function farewell(program: string, folder: string, seconds: number, isKept: boolean): string[] {
  return [
    "",
    `All done in ${formatSeconds(seconds)}. ${isKept ? `Everything is in ${folder}.` : "Nothing was left behind (--keep leaves the folder)."}`,
    "",
    "With a volume of your own:",
    `  ${program} doctor  sqlite3:///path/to/your.db          what it holds, and how it can be backed up; reads only`,
    `  ${program} init    /path/to/repository`,
    `  ${program} backup  sqlite3:///path/to/your.db /path/to/repository`,
    `  ${program} restore /path/to/repository@latest sqlite3:///path/to/new.db`,
  ];
}
