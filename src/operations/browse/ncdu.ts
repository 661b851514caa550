import { bytesAt, bytesOf, integersOf } from "../../model/batch.ts";
import { fileType, nodeColumn } from "../../model/juicefs.ts";
import type { Browser } from "./browser.ts";
import { gatherColumns } from "./gather.ts";
import type { Gathered } from "./gather.ts";
import { listDirectory } from "./list-directory.ts";
import type { EntryBlock } from "./list-directory.ts";
import type { Place } from "./resolve-path.ts";

export interface NcduOptions {
  signal: AbortSignal;
  /** Seconds since 1970. */
  timestamp: number;
  program: { name: string; version: string };
}

const flushBytes = 64 * 1024;

/**
 * The tree below a place in ncdu's export format 1.2 (https://dev.yorhel.nl/ncdu/jsonfmt), with the extended fields, in parts.
 * Names are written as the bytes they are, as ncdu itself does.
 */
export async function* ncduExport(browser: Browser, place: Place, options: NcduOptions): AsyncGenerator<Uint8Array> {
  const { program, timestamp } = options;
  const head = { progname: program.name, progver: program.version, timestamp };
  const parts: Uint8Array[] = [Buffer.from(`[1,2,${JSON.stringify(head)},\n`)];
  const inode = Uint32Array.of(Number(place.inode & 0xffffffffn), Number(place.inode >> 32n));
  const nodes = await gatherColumns(browser, "node", inode, listed);
  parts.push(entry(place.path, inode, nodes, 0, place.type, true));
  let bytes = 0;
  for await (const part of directory(browser, place.inode, options)) {
    parts.push(part);
    bytes += part.length;
    if (bytes < flushBytes) continue;
    yield Buffer.concat(parts.splice(0));
    bytes = 0;
  }
  yield Buffer.concat([...parts, Buffer.from("]]\n")]);
}

const listed: readonly number[] = [
  nodeColumn.mode,
  nodeColumn.uid,
  nodeColumn.gid,
  nodeColumn.mtime,
  nodeColumn.nlink,
  nodeColumn.length,
];

/** What stands inside a directory's brackets after its own entry. */
async function* directory(browser: Browser, inode: bigint, options: NcduOptions): AsyncGenerator<Uint8Array> {
  for await (const block of listDirectory(browser, inode, true)) {
    options.signal.throwIfAborted();
    yield* entries(browser, block, options);
  }
}

async function* entries(browser: Browser, block: EntryBlock, options: NcduOptions): AsyncGenerator<Uint8Array> {
  const { edges } = block;
  const nodes = block.nodes as Gathered;
  const names = bytesOf(edges, 1);
  const inodes = integersOf(edges, 2);
  const types = edges.columns[3] === undefined ? undefined : integersOf(edges, 3);
  for (let row = 0; row < edges.count; row += 1) {
    const type = types?.[row] ?? 0;
    yield Buffer.from(",\n");
    yield entry(bytesAt(names, row), inodes, nodes, row, type, type === fileType.directory);
    if (type !== fileType.directory) continue;
    yield* directory(browser, (BigInt(inodes[2 * row + 1]) << 32n) | BigInt(inodes[2 * row]), options);
    yield Buffer.from("]");
  }
}

function entry(
  name: Uint8Array,
  inodes: Uint32Array,
  { columns }: Gathered,
  row: number,
  type: number,
  isDirectory: boolean,
): Uint8Array {
  const value = (index: number): number => columns.get(index)?.[row] ?? 0;
  const wide = (index: number): bigint => {
    const values = columns.get(index);
    return values === undefined ? 0n : (BigInt(values[2 * row + 1]) << 32n) | BigInt(values[2 * row]);
  };
  const length = type === fileType.regular ? wide(nodeColumn.length) : 0n;
  const space = type === fileType.regular && length > 0n ? ((length + 4095n) >> 12n) << 12n : 4096n;
  const inode = (BigInt(inodes[2 * row + 1]) << 32n) | BigInt(inodes[2 * row]);
  const nlink = value(nodeColumn.nlink);
  const isShared = !isDirectory && nlink > 1;
  const notRegular = type !== fileType.regular && !isDirectory;
  const fields =
    `"asize":${length},"dsize":${space},"ino":${inode}` +
    (isShared ? `,"hlnkc":true,"nlink":${nlink}` : "") +
    (notRegular ? `,"notreg":true` : "") +
    `,"uid":${value(nodeColumn.uid)},"gid":${value(nodeColumn.gid)},"mode":${value(nodeColumn.mode) | modeBits(type)},"mtime":${BigInt.asIntN(64, wide(nodeColumn.mtime))}}`;
  return Buffer.concat([
    Buffer.from(`${isDirectory ? "[" : ""}{"name":"`),
    escapeName(name),
    Buffer.from(`",${fields}`),
  ]);
}

/** The type as `st_mode` holds it. */
function modeBits(type: number): number {
  const bits: Readonly<Record<number, number>> = {
    [fileType.regular]: 0o100000,
    [fileType.directory]: 0o040000,
    [fileType.symlink]: 0o120000,
    [fileType.fifo]: 0o010000,
    [fileType.blockDevice]: 0o060000,
    [fileType.charDevice]: 0o020000,
    [fileType.socket]: 0o140000,
  };
  return bits[type] ?? 0;
}

/** Quotes, backslashes and control bytes escaped; all else as it is. */
function escapeName(name: Uint8Array): Uint8Array {
  let isPlain = true;
  for (const byte of name) {
    if (byte < 0x20 || byte === 0x22 || byte === 0x5c || byte === 0x7f) isPlain = false;
  }
  if (isPlain) return name;
  const parts: number[] = [];
  for (const byte of name) {
    if (byte === 0x22 || byte === 0x5c) parts.push(0x5c, byte);
    else if (byte < 0x20 || byte === 0x7f) parts.push(...Buffer.from(`\\u00${byte.toString(16).padStart(2, "0")}`));
    else parts.push(byte);
  }
  return Uint8Array.from(parts);
}
