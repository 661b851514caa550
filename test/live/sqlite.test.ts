import assert from "node:assert/strict";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { counts } from "../counts.ts";
import { assertJudged, openBench } from "../end-to-end/bench.ts";
import type { Bench } from "../end-to-end/bench.ts";
import type { Snapshot } from "../../src/repository/snapshot.ts";
import { mountVolume } from "../volumes/juicefs-cli.ts";
import { seededRandom } from "../volumes/seeded-random.ts";
import { checkInvariants } from "./invariants.ts";
import { startLiveVolume, writerFolder } from "./live-volume.ts";

for (const journal of ["wal", "rollback"] as const) {
  test(`backups beside a writer restore to states in which all holds, ${journal}`, (context) => live(context, journal));
}

async function live(context: TestContext, journal: "wal" | "rollback"): Promise<void> {
  await using bench = await openBench(`live-${journal}`);
  await using volume = await startLiveVolume(bench.at("live"), journal);
  const random = seededRandom(journal === "wal" ? 11 : 12);
  const locks: number[] = [];
  const lines: number[] = [];
  for (let run = 0; run < counts.liveRuns; run += 1) {
    await sleep(random.below(600));
    // Half of the backups are slow, so that the writer commits a good deal while the source is open.
    const paceMs = run % 2 === 0 ? 0 : 20 + random.below(100);
    const { snapshot, root } = await bench.backUp(volume.metaUrl, { paceMs, memoryBytes: 32 << 20 });
    const { level, method, position } = snapshot.manifest.consistency;
    assert.equal(level, "snapshot");
    assert.equal(position["method"], journal === "wal" ? "wal-transaction" : "copy-under-lock", method);
    if (journal === "rollback") locks.push(Number(position["lockMs"]));
    await bench.verify(snapshot);
    const { restoredRoot } = await bench.restore(snapshot, `sqlite3://${bench.at(`run-${run}.db`)}`);
    assert.equal(restoredRoot, root);
    lines.push(await judgeState(bench, snapshot, run));
  }
  const report = await volume.stop();
  assert.ok(report.rounds >= (lines.at(-1) ?? 0));
  const rising = lines.filter((count, at) => at === 0 || count > lines[at - 1]).length;
  assert.equal(rising, lines.length, `each state is later than the one before: ${lines.join(", ")}`);
  context.diagnostic(
    `${journal}: ${counts.liveRuns} backups beside ${report.rounds} rounds of the writer, the slowest of ${Math.round(report.slowestMs)} ms`,
  );
  if (locks.length > 0) {
    const megabytes = (statSync(volume.databasePath).size / 1e6).toFixed(1);
    const sorted = locks.toSorted((a, b) => a - b);
    context.diagnostic(
      `locks held: median ${sorted[sorted.length >> 1]} ms, longest ${sorted.at(-1)} ms (${locks.join(", ")}), database of ${megabytes} MB`,
    );
  }
}

/** The judges of a restored state: the independent checker, a mount in which every file is read, the writer's invariants. */
async function judgeState(bench: Bench, snapshot: Snapshot, run: number): Promise<number> {
  const path = bench.at(`run-${run}.db`);
  assertJudged(path);
  const mount = await mountVolume(`sqlite3://${path}`, bench.at(`mnt-${run}`), {
    workFolder: bench.at(`work-${run}`),
    readOnly: true,
    noBackgroundJobs: true,
  });
  try {
    const lines = checkInvariants(mount.mountpoint, writerFolder);
    const found = readAll(mount.mountpoint) + readAll(join(mount.mountpoint, ".trash"));
    // The roots of the tree and of the trash have no name; hard links are one file of several names.
    const names = snapshot.manifest.tables.find(({ name }) => name === "edge")?.records ?? 0;
    assert.equal(found, names);
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
