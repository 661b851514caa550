import type { FileHandle } from "node:fs/promises";
import { rm, truncate } from "node:fs/promises";
import { dirname } from "node:path";
import { nodeFileOperations } from "../../src/repository/stores/file-operations.ts";
import type { FileOperations } from "../../src/repository/stores/file-operations.ts";

export interface FaultyFiles extends FileOperations {
  /** Points at which a fault could have struck so far. */
  points(): number;
  hasStruck(): boolean;
  /** What a cut of the power takes on top: names that no flush of their folder made last, and content that was not flushed. */
  cutPower(): Promise<void>;
}

export interface Fault {
  /** Strikes at this point, counted from 1. Never, when left out: to count the points. */
  at?: number;
  /** `killed`: nothing works any more, cleaning up neither. `full`: no write works any more, everything else does. */
  kind: "killed" | "full";
}

/** Real file operations that do not wait for the disk: no test here pulls a real plug. */
export const quickFiles: FileOperations = { ...nodeFileOperations, sync: () => Promise.resolve() };

/**
 * File operations that go wrong at one point. Every change of the disk is a point; a write is two, before its first byte and after half
 * of its bytes.
 */
export function faultyFiles(fault: Fault): FaultyFiles {
  let points = 0;
  let hasStruck = false;
  const paths = new WeakMap<FileHandle, string>();
  const unflushed = new Set<string>();
  const newNames = new Map<string, Set<string>>();

  const strike = (): Error => {
    hasStruck = true;
    return fault.kind === "full"
      ? Object.assign(new Error("no space left on device"), { code: "ENOSPC" })
      : new Error("the process was killed");
  };
  const isDead = (): boolean => hasStruck && fault.kind === "killed";
  const live = (): void => {
    if (isDead()) throw strike();
  };
  const point = (isWrite: boolean): void => {
    live();
    if (fault.kind === "full" && !isWrite) return;
    points += 1;
    if (points === fault.at || (hasStruck && fault.kind === "full")) throw strike();
  };
  const addName = (path: string): void => {
    newNames.getOrInsertComputed(dirname(path), () => new Set()).add(path);
  };

  return {
    points: () => points,
    hasStruck: () => hasStruck,
    async cutPower() {
      for (const names of newNames.values()) for (const path of names) await rm(path, { recursive: true, force: true });
      for (const path of unflushed) await truncate(path, 0).catch(() => undefined);
    },
    async open(path, flags, mode) {
      live();
      const writes = mode !== undefined;
      if (writes) point(true);
      const file = await nodeFileOperations.open(path, flags, mode);
      paths.set(file, path);
      if (writes) addName(path);
      return file;
    },
    async write(file, bytes) {
      point(true);
      unflushed.add(paths.get(file) ?? "");
      const half = bytes.length >>> 1;
      await nodeFileOperations.write(file, bytes.subarray(0, half));
      point(true);
      await nodeFileOperations.write(file, bytes.subarray(half));
    },
    async sync(file) {
      point(false);
      const path = paths.get(file) ?? "";
      unflushed.delete(path);
      newNames.delete(path);
    },
    async link(from, to) {
      point(false);
      await nodeFileOperations.link(from, to);
      addName(to);
    },
    async rename(from, to) {
      point(false);
      await nodeFileOperations.rename(from, to);
      addName(to);
    },
    async unlink(path) {
      point(false);
      await nodeFileOperations.unlink(path);
    },
    async mkdir(path) {
      point(true);
      await nodeFileOperations.mkdir(path);
      addName(path);
    },
    readdir: nodeFileOperations.readdir,
    async stat(path) {
      live();
      return nodeFileOperations.stat(path);
    },
  };
}

/** So many of the points 1 … `all`, spread evenly, the first and the last among them. */
export function spreadPoints(all: number, wanted: number | "all"): number[] {
  if (wanted === "all" || wanted >= all) return Array.from({ length: all }, (_, at) => at + 1);
  return Array.from({ length: wanted }, (_, at) => 1 + Math.round((at * (all - 1)) / (wanted - 1)));
}
