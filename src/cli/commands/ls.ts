import { bytesAt, bytesOf, integersOf, signedAt, unsignedAt } from "../../model/batch.ts";
import { bytesToText } from "../../std/byte-text.ts";
import { fileType, nodeColumn } from "../../model/juicefs.ts";
import { Browser } from "../../operations/browse/browser.ts";
import { gatherColumns } from "../../operations/browse/gather.ts";
import { listDirectory, listedColumns } from "../../operations/browse/list-directory.ts";
import type { EntryBlock } from "../../operations/browse/list-directory.ts";
import { joinPath, resolvePath, symlinkTarget } from "../../operations/browse/resolve-path.ts";
import type { Place } from "../../operations/browse/resolve-path.ts";
import type { Context } from "../context.ts";
import { openSnapshotAt } from "../open-snapshot.ts";
import type { VolumeOptions } from "../open-snapshot.ts";
import { bigJson, bytesJson } from "../output/bytes-json.ts";
import { formatTime } from "../output/format.ts";
import { deviceNumbers, modeString, typeName } from "../output/mode.ts";
import type { JsonObject } from "../output/output.ts";

export interface LsOptions extends VolumeOptions {
  long?: boolean;
  recursive?: boolean;
}

/** What one line of a long listing shows. */
interface Attributes {
  type: number;
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  length: bigint;
  rdev: number;
  mtime: bigint;
  mtimensec: number;
}

const rootPath = new Uint8Array([0x2f]);

/** `ls SNAPSHOT[:/PATH]`: bytewise sorted; a directory of any size is streamed. */
export async function ls(
  context: Context,
  [address]: readonly (string | undefined)[],
  options: LsOptions,
): Promise<void> {
  await using opened = await openSnapshotAt(context, address ?? "", options);
  const browser = new Browser(opened.snapshot);
  const place = await resolvePath(browser, opened.address.path ?? rootPath);
  const lister = new Lister(context, browser, options.long === true);
  if (place.type !== fileType.directory) await lister.single(place);
  else if (options.recursive === true) await lister.tree(place);
  else await lister.directory(place.inode, place.path);
  await context.output.result("ls", {
    snapshot: opened.snapshot.manifest.id,
    ...bytesJson("path", place.path),
    entries: lister.entries,
    bytesRead: opened.snapshot.reader.bytesRead,
  });
}

class Lister {
  readonly #context: Context;
  readonly #browser: Browser;
  readonly #withAttributes: boolean;
  entries = 0;

  constructor(context: Context, browser: Browser, long: boolean) {
    this.#context = context;
    this.#browser = browser;
    this.#withAttributes = long;
  }

  /** A path that is no directory lists itself. */
  async single(place: Place): Promise<void> {
    const inodes = Uint32Array.of(Number(place.inode & 0xffffffffn), Number(place.inode >> 32n));
    const nodes = this.#withAttributes ? await gatherColumns(this.#browser, "node", inodes, listedColumns) : undefined;
    const target = place.type === fileType.symlink ? await symlinkTarget(this.#browser, place.inode) : undefined;
    const attributes = nodes === undefined ? undefined : attributesAt(nodes.columns, nodes.found, place.type, 0);
    await this.#print(place.path, place.path, place.inode, attributes, target, 8, place.type);
    this.entries = 1;
  }

  /** As ls -R: each directory under its path, parents first. Keeps one directory's place a level, never a whole directory. */
  async tree(place: Place): Promise<void> {
    const { output } = this.#context;
    await output.text(`${bytesToText(place.path)}:\n`);
    await this.directory(place.inode, place.path);
    for await (const block of listDirectory(this.#browser, place.inode, false)) {
      const { edges } = block;
      for (let row = 0; row < edges.count; row += 1) {
        if (typeAt(block, row) !== fileType.directory) continue;
        const inode = unsignedAt(integersOf(edges, 2), row);
        await output.text("\n");
        await this.tree({
          inode,
          type: fileType.directory,
          path: joinPath(place.path, bytesAt(bytesOf(edges, 1), row)),
        });
      }
    }
  }

  async directory(inode: bigint, path: Uint8Array): Promise<void> {
    let width = 8;
    for await (const block of listDirectory(this.#browser, inode, this.#withAttributes)) {
      this.#context.signal.throwIfAborted();
      width = Math.max(width, sizeWidth(block));
      await this.#printBlock(block, path, width);
      this.entries += block.edges.count;
    }
  }

  async #printBlock(block: EntryBlock, path: Uint8Array, width: number): Promise<void> {
    const { edges, nodes, targets } = block;
    const names = bytesOf(edges, 1);
    for (let row = 0; row < edges.count; row += 1) {
      const name = bytesAt(names, row);
      const type = typeAt(block, row);
      const attributes = nodes === undefined ? undefined : attributesAt(nodes.columns, nodes.found, type, row);
      const inode = unsignedAt(integersOf(edges, 2), row);
      await this.#print(name, path, inode, attributes, targets.get(row), width, type);
    }
  }

  async #print(
    name: Uint8Array,
    path: Uint8Array,
    inode: bigint,
    attributes: Attributes | undefined,
    target: Uint8Array | undefined,
    width: number,
    type: number,
  ): Promise<void> {
    const { output } = this.#context;
    if (output.json) {
      const full = name === path ? path : joinPath(path, name);
      await output.entry({
        ...bytesJson("path", full),
        inode: bigJson(inode),
        fileType: typeName(type),
        ...(this.#withAttributes ? attributesJson(attributes) : {}),
        ...(target === undefined ? {} : bytesJson("target", target)),
      });
      return;
    }
    const text = bytesToText(name);
    if (attributes === undefined) {
      const isBroken = this.#withAttributes;
      await output.text(isBroken ? `?????????? inode ${inode} is missing ${text}\n` : `${text}\n`);
      return;
    }
    const arrow = target === undefined ? "" : ` -> ${bytesToText(target)}`;
    await output.text(`${longLine(attributes, width)} ${text}${arrow}\n`);
  }
}

function typeAt({ edges }: EntryBlock, row: number): number {
  return edges.columns[3] === undefined ? 0 : integersOf(edges, 3)[row];
}

function attributesAt(
  columns: ReadonlyMap<number, Uint32Array>,
  found: Uint8Array,
  type: number,
  row: number,
): Attributes | undefined {
  if (found[row] === 0) return undefined;
  const column = (index: number): Uint32Array => columns.get(index) as Uint32Array;
  return {
    type,
    mode: column(nodeColumn.mode)[row],
    uid: column(nodeColumn.uid)[row],
    gid: column(nodeColumn.gid)[row],
    nlink: column(nodeColumn.nlink)[row],
    length: unsignedAt(column(nodeColumn.length), row),
    rdev: column(nodeColumn.rdev)[row],
    mtime: signedAt(column(nodeColumn.mtime), row),
    mtimensec: column(nodeColumn.mtimensec)[row],
  };
}

function isDevice(type: number): boolean {
  return type === fileType.blockDevice || type === fileType.charDevice;
}

function sizeWidth({ nodes }: EntryBlock): number {
  const lengths = nodes?.columns.get(nodeColumn.length);
  if (lengths === undefined) return 0;
  let high = 0;
  let low = 0;
  for (let at = 0; at < lengths.length; at += 2) {
    if (lengths[at + 1] > high) high = lengths[at + 1];
    if (lengths[at] > low) low = lengths[at];
  }
  return String((BigInt(high) << 32n) | BigInt(low)).length;
}

function longLine(node: Attributes, width: number): string {
  const size = isDevice(node.type) ? deviceNumbers(node.rdev) : String(node.length);
  const owner = `${String(node.uid).padStart(5)} ${String(node.gid).padStart(5)}`;
  const time =
    node.mtime > 8_640_000_000_000n || node.mtime < 0n ? String(node.mtime).padEnd(19) : localTime(Number(node.mtime));
  return `${modeString(node.type, node.mode)} ${String(node.nlink).padStart(3)} ${owner} ${size.padStart(width)} ${time}`;
}

let lastSecond = Number.NaN;
let lastText = "";

/** Files of one directory share their times more often than not. */
function localTime(seconds: number): string {
  if (seconds !== lastSecond) {
    lastSecond = seconds;
    lastText = formatTime(seconds * 1000).slice(0, 19);
  }
  return lastText;
}

function attributesJson(node: Attributes | undefined): JsonObject {
  if (node === undefined) return { missing: true };
  return {
    mode: node.mode,
    nlink: node.nlink,
    uid: node.uid,
    gid: node.gid,
    size: bigJson(node.length),
    ...(isDevice(node.type) ? { rdev: node.rdev } : {}),
    mtime: bigJson(node.mtime),
    mtimensec: node.mtimensec,
  };
}
