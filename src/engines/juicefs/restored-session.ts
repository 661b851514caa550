/**
 * An ended session, written for every one that held deleted files open: the first client that cleans up finds it and frees them. Without it they
 * would stay for ever. `now` is in seconds since 1970.
 */
export function restoredSession(now: number): { expire: number; info: string } {
  const info = {
    Version: "restored",
    HostName: "restored-session",
    MountPoint: "restored from a backup: it holds deleted files until it is cleaned up",
    ProcessID: 0,
  };
  return { expire: now - 3600, info: JSON.stringify(info) };
}
