import { randomBytes } from "node:crypto";

/*
 * Names of a repository's objects (docs/format.md, "Layout"):
 *   cairn.json                                   the repository header
 *   snapshots/<volume>/<time>-<id>               manifests
 *   packs/<volume>/<pack>                        packs; the id begins with the time, so that names sort by it
 *   doomed/<time>-<id>                           lists of packs that prune will delete
 */
export const headerName = "cairn.json";
export const snapshotsPrefix = "snapshots/";
export const doomedPrefix = "doomed/";

/** `20261121t094816.123z` for milliseconds since 1970: sorts by time. */
function compactTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replaceAll(/[-:]/g, "").toLowerCase();
}

export function snapshotName(volume: string, milliseconds: number, id: string): string {
  return `${snapshotsPrefix}${volumeFolder(volume)}/${compactTime(milliseconds)}-${id}`;
}

export function packsPrefix(volume: string): string {
  return `packs/${volumeFolder(volume)}/`;
}

export function packName(volume: string, pack: string): string {
  return packsPrefix(volume) + pack;
}

/** A volume's id as a name: UUIDs stay, anything else is written in hex. */
export function volumeFolder(volume: string): string {
  const plain = volume.toLowerCase();
  return /^[a-z0-9][a-z0-9_-]{0,63}$/.test(plain) ? plain : `_${Buffer.from(volume).toString("hex")}`;
}

/** 32 hex digits at random. */
export function newSnapshotId(): string {
  return randomBytes(16).toString("hex");
}

/** 32 hex digits: 48 bits of milliseconds, then random ones. */
export function newPackId(milliseconds: number): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(milliseconds, 0, 6);
  return bytes.toString("hex");
}

/** The milliseconds in a pack's id. */
export function packTime(pack: string): number {
  return Number.parseInt(pack.slice(0, 12), 16);
}
