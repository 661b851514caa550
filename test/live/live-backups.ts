/** Backups of a volume on which a writer works, on any engine: each must restore to a state in which all holds. */
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Facts } from "../../src/model/ports.ts";
import { counts } from "../counts.ts";
import { assertVolumeJudged } from "../end-to-end/bench.ts";
import type { Bench } from "../end-to-end/bench.ts";
import { mountVolume } from "../volumes/juicefs-cli.ts";
import { seededRandom } from "../volumes/seeded-random.ts";
import { checkInvariants } from "./invariants.ts";
import { startLiveVolume, writerFolder } from "./live-volume.ts";

export interface LiveOptions {
  readonly seed: number;
  /** Where the volume is, and where each of its copies goes: empty places. */
  readonly metaUrl: string;
  newPlace(): Promise<string>;
  /** Looks at the position of each view. */
  sawPosition?(position: Facts, method: string): void;
}

/** Backs a volume up again and again while the writer works, restores each snapshot and judges it; gives what happened in a sentence. */
export async function backUpLive(bench: Bench, options: LiveOptions): Promise<string> {
  await using volume = await startLiveVolume(bench.at("live"), options.metaUrl);
  const random = seededRandom(options.seed);
  const lines: number[] = [];
  for (let run = 0; run < counts.liveRuns; run += 1) {
    await sleep(random.below(600));
    // Half of the backups are slow, so that the writer commits a good deal while the source is open.
    const paceMs = run % 2 === 0 ? 0 : 20 + random.below(100);
    const { snapshot, root } = await bench.backUp(volume.metaUrl, { paceMs, memoryBytes: 32 << 20 });
    const { level, method, position } = snapshot.manifest.consistency;
    assert.equal(level, "snapshot");
    options.sawPosition?.(position, method);
    await bench.verify(snapshot);
    const copy = await options.newPlace();
    assert.equal((await bench.restore(snapshot, copy)).restoredRoot, root);
    // The roots of the tree and of the trash have no name; hard links are one file of several names.
    const names = snapshot.manifest.tables.find(({ name }) => name === "edge")?.records ?? 0;
    lines.push(await judgeState(bench, copy, `run-${run}`, names));
  }
  const report = await volume.stop();
  assert.ok(report.rounds >= (lines.at(-1) ?? 0));
  const rising = lines.filter((count, at) => at === 0 || count > lines[at - 1]).length;
  assert.equal(rising, lines.length, `each state is later than the one before: ${lines.join(", ")}`);
  return `${counts.liveRuns} backups beside ${report.rounds} rounds of the writer, the slowest of ${Math.round(report.slowestMs)} ms`;
}

/** The judges of a restored state: the independent checker, a mount in which every file is read, the writer's invariants. Gives the writer's rounds. */
async function judgeState(bench: Bench, url: string, label: string, names: number): Promise<number> {
  await assertVolumeJudged(url);
  const mount = await mountVolume(url, bench.at(`mnt-${label}`), {
    workFolder: bench.at(`work-${label}`),
    readOnly: true,
    noBackgroundJobs: true,
  });
  try {
    const lines = checkInvariants(mount.mountpoint, writerFolder);
    assert.equal(readAll(mount.mountpoint) + readAll(join(mount.mountpoint, ".trash")), names);
    return lines;
  } finally {
    await mount.unmount();
  }
}

/** Reads every file below a folder; gives how many names there are. */
function readAll(folder: string): number {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries) if (entry.isFile()) readFileSync(join(entry.parentPath, entry.name));
  return entries.length;
}
