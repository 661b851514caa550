import { CairnError } from "../model/errors.ts";
import { mapOrdered } from "../std/map-ordered.ts";
import { decodeManifest } from "../format/manifest.ts";
import type { Manifest } from "../format/manifest.ts";
import { snapshotsPrefix, volumeFolder } from "./layout.ts";
import type { Repository } from "./repository.ts";

/** What a snapshot's object name says. */
export interface SnapshotName {
  object: string;
  /** The volume's folder: its UUID in lower case, or an escaped form. */
  volume: string;
  /** Milliseconds since 1970. */
  time: number;
  id: string;
}

/** The snapshots of a repository, or of one volume, by their names alone; oldest first. */
export async function listSnapshots(repository: Repository, volume?: string): Promise<SnapshotName[]> {
  const prefix = volume === undefined ? snapshotsPrefix : `${snapshotsPrefix}${volumeFolder(volume)}/`;
  const names: SnapshotName[] = [];
  for (const object of await repository.store.list(prefix)) {
    const match = /^snapshots\/([a-z0-9_-]+)\/(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)(\d\d)\.(\d{3})z-([0-9a-f]{32})$/.exec(
      object,
    );
    if (match === null) continue;
    const [, folder, year, month, day, hour, minute, second, fraction, id] = match;
    const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction}Z`);
    names.push({ object, volume: folder, time, id });
  }
  return names.toSorted((a, b) => a.time - b.time || (a.id < b.id ? -1 : 1));
}

/** Reads the manifest of a snapshot; throws `manifest-damaged`, `format-unknown` or `snapshot-not-found`. */
export async function readManifest(repository: Repository, name: SnapshotName): Promise<Manifest> {
  const bytes = await repository.store.get(name.object);
  if (bytes === undefined) {
    throw new CairnError("snapshot-not-found", `snapshot ${name.id} is gone from ${repository.store.location}`, {
      exit: "notFound",
    });
  }
  const manifest = decodeManifest(bytes, name.id);
  if (manifest.id !== name.id || volumeFolder(manifest.volume) !== name.volume) {
    throw new CairnError("manifest-damaged", `the object ${name.object} holds the manifest of another snapshot`, {
      exit: "repositoryDamaged",
      next: "give it back its own name, or use another snapshot",
    });
  }
  return manifest;
}

/** Manifests of the named snapshots, a few read at a time, in the same order. */
export function readManifests(repository: Repository, names: readonly SnapshotName[]): AsyncGenerator<Manifest> {
  return mapOrdered(names, 8, (name) => readManifest(repository, name));
}
