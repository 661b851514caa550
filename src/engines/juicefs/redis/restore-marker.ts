/**
 * Keys of our own that stand in a database while a restore fills it, after the cluster prefix if there is one. A reader passes over both.
 * The marker is a hash that says which restore wrote what else is there; the lock is a string that expires when the restore dies.
 */
export const restoreMarkerKey = "cairn:restore";
export const restoreLockKey = "cairn:restore-lock";

/** Which restore it is. */
export interface RestoreMarker {
  /** Random, of this run. */
  readonly token: string;
  readonly volumeId: string;
  /** ISO 8601. */
  readonly started: string;
}

/** As fields of the hash; the token comes first, for it is what claims the database. */
export function markerFields(marker: RestoreMarker): [string, string][] {
  return [
    ["token", marker.token],
    ["volume", marker.volumeId],
    ["started", marker.started],
  ];
}
