import { CairnError } from "../model/errors.ts";
import type { Manifest } from "../format/manifest.ts";
import { volumeFolder } from "../repository/layout.ts";
import type { Repository } from "../repository/repository.ts";
import { listSnapshots, readManifest } from "../repository/snapshots.ts";
import type { SnapshotName } from "../repository/snapshots.ts";
import type { Address } from "./address.ts";
import { formatTime } from "./output/format.ts";
import { holdsReplaced } from "./replaced-tag.ts";

/**
 * The manifest that an address selects. What a restore replaced is selected by its id alone: latest and times pass it over. Throws `snapshot-not-found`, `snapshot-ambiguous`, `volume-ambiguous` or `volume-not-found`.
 */
export async function chooseSnapshot(
  repository: Repository,
  address: Address,
  volume: string | undefined,
): Promise<Manifest> {
  const { selector, selectorText } = address;
  const all = await snapshotsOfVolume(repository, volume);
  const where = repository.store.location;
  if (all.length === 0) {
    throw new CairnError("snapshot-not-found", `${where} holds no snapshots`, {
      exit: "notFound",
      next: `make one with: cairn backup META-URL ${where}`,
    });
  }
  if (selector.kind === "id") {
    const fitting = all.filter(({ id }) => id.startsWith(selector.prefix));
    if (fitting.length === 1) return readManifest(repository, fitting[0]);
    if (fitting.length > 1) {
      throw new CairnError(
        "snapshot-ambiguous",
        `${fitting.length} snapshots have ids that begin with ${selector.prefix}`,
        {
          exit: "notFound",
          next: `give more digits: ${fitting
            .slice(0, 4)
            .map(({ id }) => id.slice(0, selector.prefix.length + 4))
            .join(", ")}`,
        },
      );
    }
    throw new CairnError("snapshot-not-found", `${where} holds no snapshot whose id begins with ${selector.prefix}`, {
      exit: "notFound",
      next: `list them with: cairn snapshots ${where}`,
    });
  }
  await requireOneVolume(repository, all);
  const fitting = selector.kind === "latest" ? all : all.filter(({ time }) => time <= selector.notAfter);
  for (const name of fitting.toReversed()) {
    const manifest = await readManifest(repository, name);
    if (!holdsReplaced(manifest)) return manifest;
  }
  if (fitting.length > 0) {
    throw new CairnError(
      "snapshot-not-found",
      `@${selectorText} fits only snapshots of what a restore with --replace found, and it never means those`,
      { exit: "notFound", next: `name one by its id; list them with: cairn snapshots ${where}` },
    );
  }
  throw new CairnError(
    "snapshot-not-found",
    `no snapshot is as old as @${selectorText}; the oldest is of ${formatTime(all[0].time)}`,
    {
      exit: "notFound",
      next: `list them with: cairn snapshots ${where}`,
    },
  );
}

/** Snapshots by name, oldest first: of one volume, given by UUID or name, or of all. */
export async function snapshotsOfVolume(repository: Repository, volume: string | undefined): Promise<SnapshotName[]> {
  const all = await listSnapshots(repository);
  if (volume === undefined) return all;
  const folder = volumeFolder(volume);
  const byId = all.filter((name) => name.volume === folder);
  if (byId.length > 0) return byId;
  const volumes = await volumesOf(repository, all);
  const named = volumes.filter(({ name }) => name === volume);
  if (named.length === 1) return all.filter((name) => name.volume === named[0].folder);
  if (named.length > 1) {
    throw new CairnError("volume-ambiguous", `${named.length} volumes are named ${volume}`, {
      exit: "notFound",
      next: `say which with --volume ${named.map(({ id }) => id).join(" or --volume ")}`,
    });
  }
  throw new CairnError("volume-not-found", `${repository.store.location} holds no volume ${volume}`, {
    exit: "notFound",
    next:
      volumes.length === 0
        ? "back one up first"
        : `it holds ${volumes.map(({ name, id }) => `${name} (${id})`).join(", ")}`,
  });
}

async function requireOneVolume(repository: Repository, names: readonly SnapshotName[]): Promise<void> {
  if (names.every(({ volume }) => volume === names[0].volume)) return;
  const volumes = await volumesOf(repository, names);
  throw new CairnError("volume-ambiguous", `${repository.store.location} holds ${volumes.length} volumes`, {
    exit: "notFound",
    next: `say which: ${volumes.map(({ name, id }) => `--volume ${name} (${id})`).join(", ")}`,
    details: { volumes: volumes.length },
  });
}

/** Id and name of each volume, from its newest snapshot. */
async function volumesOf(
  repository: Repository,
  names: readonly SnapshotName[],
): Promise<{ folder: string; id: string; name: string }[]> {
  const newest = new Map(names.map((name) => [name.volume, name]));
  const volumes: { folder: string; id: string; name: string }[] = [];
  for (const [folder, name] of newest) {
    const manifest = await readManifest(repository, name);
    volumes.push({ folder, id: manifest.volume, name: manifest.volumeName });
  }
  return volumes;
}
