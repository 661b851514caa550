import { readManifests } from "../../repository/snapshots.ts";
import type { Manifest } from "../../format/manifest.ts";
import { snapshotsOfVolume } from "../choose-snapshot.ts";
import type { Context } from "../context.ts";
import { openRepositoryAt, repositoryArgument } from "../open-repository.ts";
import type { VolumeOptions } from "../open-snapshot.ts";
import { alignColumns, formatBytes, formatCount, formatTime } from "../output/format.ts";
import type { JsonObject } from "../output/output.ts";
import { holdsReplaced } from "../replaced-tag.ts";

/** `snapshots [REPO]`: oldest first. */
export async function snapshots(
  context: Context,
  [repo]: readonly (string | undefined)[],
  options: VolumeOptions,
): Promise<void> {
  const { output } = context;
  const location = repositoryArgument(context, repo);
  await using opened = await openRepositoryAt(location);
  const names = await snapshotsOfVolume(opened.repository, options.volume);
  const rows = [["ID", "TIME", "VOLUME", "INODES", "METADATA", "STORED", "CONSISTENT", "NOTE"]];
  for await (const manifest of readManifests(opened.repository, names)) {
    context.signal.throwIfAborted();
    await output.entry(snapshotSummary(manifest));
    const mark = holdsReplaced(manifest) ? "(by id only)" : "";
    const tags = Object.entries(manifest.tags).map(([key, value]) => `${key}=${value}`);
    rows.push([
      manifest.id.slice(0, 8),
      formatTime(Date.parse(manifest.time)),
      manifest.volumeName,
      formatCount(manifest.tables.find(({ name }) => name === "node")?.records ?? 0),
      formatBytes(manifest.logicalBytes),
      formatBytes(manifest.storedBytes),
      manifest.consistency.level === "snapshot" ? "yes" : "NO: not a snapshot",
      [mark, manifest.note, ...tags].filter((text) => text !== "").join(" "),
    ]);
  }
  if (names.length === 0) await output.text("No snapshots.\n");
  else await output.text(`${alignColumns(rows, [3, 4, 5]).join("\n")}\n`);
  await output.result("snapshots", { repository: opened.repository.store.location, snapshots: names.length });
}

/** What lists and results say of a snapshot. */
export function snapshotSummary(manifest: Manifest): JsonObject {
  return {
    id: manifest.id,
    time: manifest.time,
    volume: manifest.volume,
    volumeName: manifest.volumeName,
    kind: manifest.kind,
    root: manifest.root,
    consistency: { level: manifest.consistency.level, method: manifest.consistency.method },
    records: Object.fromEntries(manifest.tables.map(({ name, records }) => [name, records])),
    logicalBytes: manifest.logicalBytes,
    storedBytes: manifest.storedBytes,
    parent: manifest.parent,
    note: manifest.note,
    tags: manifest.tags,
  };
}
