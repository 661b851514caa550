/**
 * Keys of our own that stand in a database while a restore fills it, after the cluster prefix if there is one. A reader passes over both.
 * The marker is a hash that says which restore wrote what else is there; the lock is a string that expires when the restore dies.
 */
export const restoreMarkerKey = "cairn:restore";
export const restoreLockKey = "cairn:restore-lock";
