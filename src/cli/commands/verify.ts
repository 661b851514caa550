import { CairnError } from "../../model/errors.ts";
import { openSnapshot } from "../../repository/snapshot.ts";
import type { Snapshot } from "../../repository/snapshot.ts";
import { readManifest } from "../../repository/snapshots.ts";
import { verifySnapshot } from "../../operations/verify.ts";
import { isAddress } from "../address.ts";
import { snapshotsOfVolume } from "../choose-snapshot.ts";
import type { Context } from "../context.ts";
import { openRepositoryAt, repositoryArgument } from "../open-repository.ts";
import { openSnapshotAt } from "../open-snapshot.ts";
import type { VolumeOptions } from "../open-snapshot.ts";
import { formatBytes, formatCount, formatSeconds, formatTime, plural } from "../output/format.ts";
import { kinds } from "../registry.ts";

/** `verify [SNAPSHOT|REPO]`: one snapshot, or all of a repository, going on after damage and failing at the end. */
export async function verify(
  context: Context,
  [what]: readonly (string | undefined)[],
  options: VolumeOptions,
): Promise<void> {
  if (what !== undefined && isAddress(what)) {
    await using opened = await openSnapshotAt(context, what, options);
    const { records } = await verifyOne(context, opened.snapshot);
    await context.output.result("verify", { snapshots: 1, damaged: 0, records });
    return;
  }
  await verifyAll(context, repositoryArgument(context, what), options);
}

async function verifyAll(context: Context, location: string, options: VolumeOptions): Promise<void> {
  await using opened = await openRepositoryAt(location);
  const names = await snapshotsOfVolume(opened.repository, options.volume);
  const damages: { id: string; error: CairnError }[] = [];
  let total = 0;
  for (const name of names) {
    context.signal.throwIfAborted();
    try {
      const manifest = await readManifest(opened.repository, name);
      const { records } = await verifyOne(context, openSnapshot(opened.repository, manifest, kinds));
      total += records;
    } catch (error) {
      if (!(error instanceof CairnError) || context.signal.aborted) throw error;
      damages.push({ id: name.id, error });
      context.output.progress.warn(error.code, `snapshot ${name.id.slice(0, 12)}: ${error.message}`);
      await context.output.entry({ snapshot: name.id, ok: false, code: error.code, message: error.message });
    }
  }
  if (damages.length > 0) {
    throw new CairnError(
      "repository-damaged",
      `${damages.length} of ${plural(names.length, "snapshot")} in ${location} cannot be restored: ${damages.map(({ id }) => id.slice(0, 12)).join(", ")}`,
      {
        exit: "repositoryDamaged",
        unharmed: `${plural(names.length - damages.length, "snapshot")} passed every check`,
        next: "back the volumes up again (--full stores every page anew), and put damaged packs back from a copy",
        details: { damaged: damages.length, snapshots: names.length },
      },
    );
  }
  await context.output.text(
    names.length === 0 ? "No snapshots.\n" : `Checked ${plural(names.length, "snapshot")}: whole.\n`,
  );
  await context.output.result("verify", { snapshots: names.length, damaged: 0, records: total });
}

async function verifyOne(context: Context, snapshot: Snapshot): Promise<{ records: number }> {
  const { output, signal, world } = context;
  const { manifest } = snapshot;
  const began = world.clock.now();
  const result = await verifySnapshot({ snapshot, progress: output.progress, signal });
  const seconds = Math.max(0.001, (world.clock.now() - began) / 1000);
  const isSnapshot = manifest.consistency.level === "snapshot";
  await output.entry({
    snapshot: manifest.id,
    ok: true,
    root: result.root,
    pages: result.pages,
    records: result.records,
    bytes: result.bytes,
    seconds,
    consistency: manifest.consistency.level,
  });
  await output.text(
    `${manifest.id.slice(0, 12)}  ${formatTime(Date.parse(manifest.time))}  ${manifest.volumeName}: whole\n` +
      `  ${formatCount(result.records)} records in ${plural(result.pages, "page")}, ${formatBytes(result.bytes)} read in ${formatSeconds(seconds)} ` +
      `(${formatCount(Math.round(result.records / seconds))} records/s)\n` +
      `  root ${result.root}\n${isSnapshot ? "" : `  NOT consistent: ${manifest.consistency.method}\n`}`,
  );
  return { records: result.records };
}
