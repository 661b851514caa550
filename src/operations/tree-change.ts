/** One difference of the tree. `trashed` is renamed into the volume's trash. */
export interface TreeChange {
  kind: "added" | "removed" | "trashed" | "renamed" | "replaced" | "changed";
  /** Where it is now, or was when it is gone; undefined where the inode hangs below no directory. */
  path: Uint8Array | undefined;
  /** Where it was, of a renamed one. */
  from: Uint8Array | undefined;
  /** Two halves, low first. */
  low: number;
  high: number;
  /** File type, where the edges tell. */
  type: number | undefined;
  /** How it changed: `content`, `size`, `mode`, `owner`, …; `inode` of one that came or went without a name. */
  what: readonly string[];
}

/** What both halves of a diff of two trees need: where its changes go. */
export interface TreeDiffOptions {
  countsOnly: boolean;
  signal: AbortSignal;
  emit: (change: TreeChange) => Promise<void>;
}
