import { bytesToText } from "../../std/byte-text.ts";
import { CairnError } from "../../model/errors.ts";
import { Browser } from "../../operations/browse/browser.ts";
import type { DirectoryTable } from "../../operations/browse/directory-table.ts";
import { diskUsage } from "../../operations/browse/disk-usage.ts";
import type { UsageTree } from "../../operations/browse/disk-usage.ts";
import { ncduExport } from "../../operations/browse/ncdu.ts";
import { resolvePath } from "../../operations/browse/resolve-path.ts";
import type { Place } from "../../operations/browse/resolve-path.ts";
import type { Context } from "../context.ts";
import { openSnapshotAt } from "../open-snapshot.ts";
import type { VolumeOptions } from "../open-snapshot.ts";
import { bytesJson } from "../output/bytes-json.ts";
import { alignColumns, formatBytes, formatCount } from "../output/format.ts";
import { tool } from "../tool.ts";

export interface DuOptions extends VolumeOptions {
  depth?: string;
  ncdu?: boolean;
}

const rootPath = new Uint8Array([0x2f]);

/** `du SNAPSHOT[:/PATH]`: the largest first. */
export async function du(
  context: Context,
  [address]: readonly (string | undefined)[],
  options: DuOptions,
): Promise<void> {
  const { output, signal } = context;
  const depth = Number(options.depth ?? "1");
  if (!Number.isInteger(depth) || depth < 0) {
    throw new CairnError("usage", `--depth ${options.depth} is not a number of levels`, { exit: "wrongUse" });
  }
  await using opened = await openSnapshotAt(context, address ?? "", options);
  const browser = new Browser(opened.snapshot);
  const place = await resolvePath(browser, opened.address.path ?? rootPath);
  if (options.ncdu === true) {
    const timestamp = Math.floor(Date.parse(opened.snapshot.manifest.time) / 1000);
    for await (const part of ncduExport(browser, place, { signal, timestamp, program: tool })) await output.raw(part);
    return;
  }
  const tree = await diskUsage(browser, place, { progress: output.progress, signal });
  const shown = directoriesToShow(tree, depth);
  await printUsage(context, tree, shown, place);
  const total = tree.usage(0);
  await output.result("du", { snapshot: opened.snapshot.manifest.id, ...bytesJson("path", place.path), ...total });
}

/** Positions down to a depth, by used space, the largest first; the start last. */
function directoriesToShow({ directories, positions, usage }: UsageTree, depth: number): number[] {
  return positions
    .filter((at) => at !== 0 && depthOf(directories, at, depth) <= depth)
    .toSorted((a, b) => usage(b).space - usage(a).space || Buffer.compare(directories.path(a), directories.path(b)))
    .concat(0);
}

/** Levels below the start; beyond the limit, some number above it. */
function depthOf(directories: DirectoryTable, at: number, limit: number): number {
  let depth = 0;
  for (let step = at; step > 0 && depth <= limit; step = directories.parent(step)) depth += 1;
  return depth;
}

async function printUsage(
  { output, signal }: Context,
  { directories, usage }: UsageTree,
  shown: readonly number[],
  place: Place,
): Promise<void> {
  const blockRows = 10_000;
  for (let from = 0; from < shown.length; from += blockRows) {
    signal.throwIfAborted();
    const rows = from === 0 ? [["SIZE", "SPACE", "INODES", "PATH"]] : [];
    for (const at of shown.slice(from, from + blockRows)) {
      const path = at === 0 ? place.path : directories.path(at);
      const sums = usage(at);
      await output.entry({ ...bytesJson("path", path), ...sums });
      rows.push([formatBytes(sums.bytes), formatBytes(sums.space), formatCount(sums.inodes), bytesToText(path)]);
    }
    await output.text(`${alignColumns(rows, [0, 1, 2]).join("\n")}\n`);
  }
}
