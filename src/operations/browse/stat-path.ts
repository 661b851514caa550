import { rowAt } from "../../model/batch.ts";
import type { Value } from "../../model/batch.ts";
import { CairnError } from "../../model/errors.ts";
import { fileType } from "../../model/juicefs.ts";
import { columnIndex } from "../../model/schema.ts";
import { keyFrom } from "../../format/key.ts";
import type { Browser } from "./browser.ts";
import { inodeKey } from "./inode-key.ts";
import { PathNames } from "./path-names.ts";
import { resolvePath, symlinkTarget } from "./resolve-path.ts";
import type { Place } from "./resolve-path.ts";

/** A record's values by column name. */
export type Named = Record<string, Value>;

export interface ChunkSummary {
  chunks: number;
  slices: number;
  /** Slices that are holes: id 0. */
  holes: number;
  /** Bytes that slices refer to, overlaid ones included. */
  sliceBytes: number;
}

/** All that a snapshot holds of one inode. */
export interface FileFacts {
  place: Place;
  node: Named;
  /** All paths of the inode, the one asked for included. */
  paths: Uint8Array[];
  target: Uint8Array | undefined;
  xattrs: { name: Uint8Array; value: Uint8Array }[];
  accessAcl: Named | undefined;
  defaultAcl: Named | undefined;
  content: ChunkSummary | undefined;
  dirStat: Named | undefined;
  quota: Named | undefined;
}

const sliceBytes = 24;
const directoryQuota = 0n;

/** Gathers everything about what a path leads to. Throws as `resolvePath`, or `node-missing` where a name leads to no inode. */
export async function statPath(browser: Browser, path: Uint8Array): Promise<FileFacts> {
  const place = await resolvePath(browser, path);
  const key = inodeKey(place.inode);
  const node = await named(browser, "node", key);
  if (node === undefined) {
    throw new CairnError("node-missing", `the name leads to inode ${place.inode}, which the snapshot does not hold`, {
      exit: "failed",
      unharmed: "the snapshot is as the volume was: this name was broken there already",
      next: "check the volume with: juicefs fsck",
    });
  }
  const acl = async (column: string): Promise<Named | undefined> => {
    const id = node[column] as number;
    return id === 0 ? undefined : named(browser, "acl", keyFrom(browser.schema("acl"), [BigInt(id)]));
  };
  const isDirectory = node["type"] === fileType.directory;
  const quotaKey = keyFrom(browser.schema("quota"), [directoryQuota, place.inode]);
  return {
    place,
    node,
    paths: await new PathNames(browser).paths(place.inode),
    target: node["type"] === fileType.symlink ? await symlinkTarget(browser, place.inode) : undefined,
    xattrs: await xattrsOf(browser, key),
    accessAcl: await acl("access_acl"),
    defaultAcl: await acl("default_acl"),
    content: node["type"] === fileType.regular ? await contentOf(browser, key) : undefined,
    dirStat: isDirectory ? await named(browser, "dir_stat", key) : undefined,
    quota: isDirectory ? await named(browser, "quota", quotaKey) : undefined,
  };
}

async function named(browser: Browser, table: string, key: Uint8Array): Promise<Named | undefined> {
  const found = await browser.record(table, key);
  if (found === undefined) return undefined;
  const schema = browser.schema(table);
  const row = rowAt(schema, found.batch, found.row);
  return Object.fromEntries(schema.columns.map(({ name }, index) => [name, row[index]]));
}

async function xattrsOf(browser: Browser, key: Uint8Array): Promise<{ name: Uint8Array; value: Uint8Array }[]> {
  const schema = browser.schema("xattr");
  const xattrs: { name: Uint8Array; value: Uint8Array }[] = [];
  for await (const { batch, from, to } of browser.below("xattr", key)) {
    for (let row = from; row < to; row += 1) {
      const [, name, value] = rowAt(schema, batch, row);
      xattrs.push({ name: name as Uint8Array, value: value as Uint8Array });
    }
  }
  return xattrs;
}

async function contentOf(browser: Browser, key: Uint8Array): Promise<ChunkSummary> {
  const summary: ChunkSummary = { chunks: 0, slices: 0, holes: 0, sliceBytes: 0 };
  const column = columnIndex(browser.schema("chunk"), "slices");
  for await (const { batch, from, to } of browser.below("chunk", key)) {
    const slices = batch.columns[column];
    summary.chunks += to - from;
    if (slices === undefined || !("offsets" in slices)) continue;
    const { arena, offsets } = slices;
    const view = new DataView(arena.buffer, arena.byteOffset, arena.byteLength);
    for (let at = offsets[from]; at + sliceBytes <= offsets[to]; at += sliceBytes) {
      summary.slices += 1;
      if (view.getBigUint64(at + 4) === 0n) summary.holes += 1;
      summary.sliceBytes += view.getUint32(at + 20);
    }
  }
  return summary;
}
