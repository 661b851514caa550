import { randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { CairnError, messageOf } from "../../../model/errors.ts";

/** What SQLite keeps beside a database while it is in use, or after a crash. */
const sideSuffixes = ["-wal", "-shm", "-journal"];

/** A name in the same folder, so that the finished file can take its place in one step. */
export function temporaryPathFor(path: string): string {
  return `${path}.cairn-${randomBytes(6).toString("hex")}.tmp`;
}

/** The file that a symbolic link leads to: that is what clients have open, and what is kept and replaced. */
export function replacedPathOf(path: string): string {
  return statSync(path, { throwIfNoEntry: false }) === undefined ? path : realpathSync(path);
}

export function removeDatabase(path: string): void {
  for (const suffix of ["", ...sideSuffixes]) rmSync(path + suffix, { force: true });
}

/** Whether something is there that is not an empty file. */
export function isTaken(path: string): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat !== undefined && !(stat.isFile() && stat.size === 0);
}

/** Refuses a folder that is not there, an existing file, and what a crashed client left beside the name. */
export function requireFree(path: string): void {
  requireFolder(path);
  if (isTaken(path)) throw notEmpty(path, `${path} exists and is not empty`);
  for (const suffix of sideSuffixes) {
    // An empty log says nothing; anything else would be taken for part of the new database.
    if (!isTaken(path + suffix)) continue;
    throw notEmpty(path, `${path}${suffix} is left over from another database of that name`);
  }
}

function requireFolder(path: string): void {
  const folder = statSync(dirname(path), { throwIfNoEntry: false });
  if (folder?.isDirectory() === true) return;
  throw new CairnError("target-no-folder", `the folder ${dirname(path)} does not exist`, {
    unharmed: "nothing was written",
    next: "create it first",
    exit: "targetRefused",
  });
}

function notEmpty(path: string, message: string): CairnError {
  return new CairnError("target-not-empty", message, {
    unharmed: "it was left as it is",
    next: "name another file, move this one away, or restore over a broken volume with --replace and its UUID",
    exit: "targetRefused",
    details: { path },
  });
}

/** Gives a finished and flushed file its name: durable when it returns, and never in place of another file. */
export function publishFile(temporary: string, path: string): void {
  requireFree(path);
  // What is there now is empty, or `requireFree` had thrown.
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) unlinkSync(path);
  try {
    linkSync(temporary, path);
    unlinkSync(temporary);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") throw notEmpty(path, `${path} appeared while the restore was running`);
    if (code !== "EPERM" && code !== "EOPNOTSUPP" && code !== "ENOTSUP") throw error;
    renameOverNothing(temporary, path);
  }
  flush(dirname(path));
}

/** For file systems without hard links: takes the name with an empty file of our own first. */
function renameOverNothing(temporary: string, path: string): void {
  try {
    closeSync(openSync(path, "wx"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST")
      throw notEmpty(path, `${path} appeared while the restore was running`);
    throw error;
  }
  renameSync(temporary, path);
}

/**
 * The same over an existing file, which keeps its content under `keptPath`. To be called while the existing database is locked, its log
 * empty: a log that says something is another client's, and nothing is replaced.
 */
export function publishInPlaceOf(temporary: string, path: string, keptPath: string): void {
  for (const suffix of ["-wal", "-journal"]) {
    if (!isTaken(path + suffix)) continue;
    throw new CairnError("target-in-use", `${path}${suffix} holds what is not in the database itself`, {
      unharmed: "it was left as it is",
      next: "unmount the volume everywhere, and run it again",
      exit: "targetRefused",
      details: { path },
    });
  }
  try {
    linkSync(path, keptPath);
  } catch (error) {
    throw new CairnError("target-not-kept", `the old database cannot be kept as ${keptPath}: ${messageOf(error)}`, {
      unharmed: `${path} was left as it is`,
      next: "restore into a new file, and move it yourself",
      exit: "targetRefused",
      cause: error,
    });
  }
  // They say nothing. Once the new file has the name they could be those of its first client.
  for (const suffix of sideSuffixes) rmSync(path + suffix, { force: true });
  renameSync(temporary, path);
  flush(dirname(path));
}

/** Where the old file of a replaced volume stays: `meta.db.replaced-20261121T100319Z`. */
export function keptPathFor(path: string, milliseconds: number): string {
  const time = new Date(milliseconds).toISOString().replace(/[-:]/g, "").replace(/\.\d+/, "");
  return join(dirname(path), `${basename(path)}.replaced-${time}`);
}

/** Makes a file's content, or a folder's names, durable. */
export function flush(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
