import { bytesAt, integersOf, unsignedAt } from "../../model/batch.ts";
import { bytesToText } from "../../std/byte-text.ts";
import { CairnError } from "../../model/errors.ts";
import { fileType, trashInode } from "../../model/juicefs.ts";
import type { Browser } from "./browser.ts";
import { inodeKey } from "./inode-key.ts";

/** What a path leads to. */
export interface Place {
  inode: bigint;
  type: number;
  /** The path without repeated and trailing slashes. */
  path: Uint8Array<ArrayBuffer>;
}

export const rootInode = 1n;
const slash = 0x2f;
export const trashName: Uint8Array<ArrayBuffer> = new Uint8Array(Buffer.from(".trash"));

/**
 * Follows a path from the volume's root. Names are bytes; `.` and `..` are names like any other (no directory holds them); symbolic
 * links are not followed; a trailing slash asks for a directory. `/.trash` is the trash, as in a mount, unless the root has a file of
 * that name. Throws `path-not-found` or `not-a-directory`, naming the part that failed.
 */
export async function resolvePath(browser: Browser, path: Uint8Array): Promise<Place> {
  const names = splitPath(path);
  let place: Place = { inode: rootInode, type: fileType.directory, path: new Uint8Array([slash]) };
  for (const name of names) {
    if (place.type !== fileType.directory) throw await notADirectory(browser, place);
    const next = await findEntry(browser, place, name);
    if (next === undefined) throw notFound(browser, place, name);
    place = next;
  }
  if (path.at(-1) === slash && place.type !== fileType.directory) throw await notADirectory(browser, place);
  return place;
}

/** The parts between slashes; empty ones are left out. */
function splitPath(path: Uint8Array): Uint8Array[] {
  const names: Uint8Array[] = [];
  let start = 0;
  for (let at = 0; at <= path.length; at += 1) {
    if (at < path.length && path[at] !== slash) continue;
    if (at > start) names.push(path.subarray(start, at));
    start = at + 1;
  }
  return names;
}

/** A directory's path and a name as one path. */
export function joinPath(directory: Uint8Array, name: Uint8Array): Uint8Array<ArrayBuffer> {
  const isRoot = directory.length === 1;
  const path = new Uint8Array(directory.length + name.length + (isRoot ? 0 : 1));
  path.set(directory);
  if (!isRoot) path[directory.length] = slash;
  path.set(name, path.length - name.length);
  return path;
}

async function findEntry(browser: Browser, directory: Place, name: Uint8Array): Promise<Place | undefined> {
  const key = Buffer.concat([inodeKey(directory.inode), name]);
  const found = await browser.record("edge", key);
  const path = joinPath(directory.path, name);
  if (found !== undefined) {
    const { batch, row } = found;
    const types = batch.columns[3];
    return {
      inode: unsignedAt(integersOf(batch, 2), row),
      type: types === undefined ? 0 : integersOf(batch, 3)[row],
      path,
    };
  }
  if (directory.inode !== rootInode || Buffer.compare(name, trashName) !== 0) return undefined;
  const trash = await browser.record("node", inodeKey(trashInode));
  return trash === undefined ? undefined : { inode: trashInode, type: fileType.directory, path };
}

function notFound(browser: Browser, directory: Place, name: Uint8Array): CairnError {
  const text = bytesToText(name);
  return new CairnError("path-not-found", `${bytesToText(directory.path)} holds no ${JSON.stringify(text)}`, {
    exit: "notFound",
    next:
      text === "." || text === ".."
        ? "give the path without . and .., which are taken as names"
        : "list the directory with ls; bytes that are not printable UTF-8 are written as %XX, and % as %25",
    details: { snapshot: browser.snapshot.manifest.id },
  });
}

async function notADirectory(browser: Browser, place: Place): Promise<CairnError> {
  const target = place.type === fileType.symlink ? await symlinkTarget(browser, place.inode) : undefined;
  const link =
    target === undefined ? "" : `: it is a symbolic link to ${bytesToText(target)}, and links are not followed`;
  return new CairnError("not-a-directory", `${bytesToText(place.path)} is no directory${link}`, { exit: "notFound" });
}

/** The target of a symbolic link. */
export async function symlinkTarget(browser: Browser, inode: bigint): Promise<Uint8Array | undefined> {
  const found = await browser.record("symlink", inodeKey(inode));
  if (found === undefined) return undefined;
  const column = found.batch.columns[1];
  return column !== undefined && "offsets" in column ? bytesAt(column, found.row) : new Uint8Array(0);
}
