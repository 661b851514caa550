/** Backups and restores of volumes on servers need as much memory for many files as for few, also where half of them lie in one directory. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { cairn, cairnResult } from "../../bench/cairn.ts";
import type { Measurement } from "../../bench/measure.ts";
import { counts } from "../counts.ts";
import { openEngine } from "../support/engines.ts";
import type { Engine } from "../support/engines.ts";
import { fillVolume } from "../support/fill-volume.ts";

/** Both numbers of files fill the sorters' part of it, so that the larger volume differs by nothing but its length. */
const memory = "96M";
/** When a collector runs moves a peak by so much either way. */
const noiseMib = 40;
/** What the whole process may need with this `--memory`. */
const mostMib = 350;

interface Peaks {
  backup: number;
  restore: number;
}

for (const name of ["redis", "postgres", "mysql"] as const) {
  test(`a volume of ${counts.memoryFiles[1]} files on ${name} needs no more memory than one of ${counts.memoryFiles[0]}`, async (context) => {
    const folder = mkdtempSync(join(tmpdir(), "cairn-memory-"));
    await using engine = await openEngine(name);
    try {
      const [few, many] = counts.memoryFiles;
      const first = await measure(context, engine, join(folder, "few"), few);
      const second = await measure(context, engine, join(folder, "many"), many);
      for (const what of ["backup", "restore"] as const) {
        const most = Math.min(mostMib, first[what] * 1.1 + noiseMib);
        assert.ok(second[what] <= most, `${what}: ${second[what]} MiB, and ${first[what]} MiB for fewer`);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

async function measure(context: TestContext, engine: Engine, folder: string, files: number): Promise<Peaks> {
  const [url, copy] = [await engine.newPlace(), await engine.newPlace()];
  await fillVolume(url, files, `${folder}-bucket`);
  await cairn(["init", folder]);
  const quiet = ["--json", "--no-progress", "--memory", memory];
  const backup = await cairn([...quiet, "backup", url, folder]);
  const restore = await cairn([...quiet, "restore", `${folder}@latest`, copy]);
  assert.equal(cairnResult(restore)["proven"], true);
  const peaks = { backup: peakOf(backup), restore: peakOf(restore) };
  context.diagnostic(
    `${engine.name}, ${files} files: backup ${peaks.backup} MiB in ${seconds(backup)}, restore ${peaks.restore} MiB in ${seconds(restore)}`,
  );
  return peaks;
}

function peakOf({ rssKiB }: Measurement): number {
  return Math.round(rssKiB / 1024);
}

function seconds({ wallMs }: Measurement): string {
  return `${(wallMs / 1000).toFixed(1)} s`;
}
