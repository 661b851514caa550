import type { Row } from "../../src/model/batch.ts";
import { juicefs, trashInode } from "../../src/model/juicefs.ts";
import { seededRandom } from "../volumes/seeded-random.ts";
import type { SeededRandom } from "../volumes/seeded-random.ts";

/** The records of a volume by table name, sorted by key. */
export type TableRows = Record<string, Row[]>;

const utf8 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "utf8"));

/** One 24-byte slice record of a chunk. */
export function sliceRecord(pos: number, id: bigint, size: number, off: number, len: number): Uint8Array {
  const bytes = Buffer.alloc(24);
  bytes.writeUInt32BE(pos, 0);
  bytes.writeBigUInt64BE(id, 4);
  bytes.writeUInt32BE(size, 12);
  bytes.writeUInt32BE(off, 16);
  bytes.writeUInt32BE(len, 20);
  return new Uint8Array(bytes);
}

/**
 * A volume of `files` files that fills every table of the kind, the same for the same seed: names that share prefixes, names that are no
 * UTF-8, a chunk whose slices are no whole records, one value above 256 KiB, an inode of the trash.
 */
export function volumeRows(seed: number, files: number): TableRows {
  const random = seededRandom(seed);
  const rows: TableRows = {};
  for (const { name } of juicefs.tables) rows[name] = [];
  addSetting(rows, files);
  const directories = Math.max(1, Math.floor(files / 50));
  rows["node"].push(nodeRow(random, 1n, 2, 1n));
  for (let at = 0; at < directories; at += 1) {
    const inode = BigInt(2 + at);
    rows["node"].push(nodeRow(random, inode, 2, 1n));
    rows["edge"].push([1n, utf8(`directory-${String(at).padStart(6, "0")}`), inode, 2]);
    rows["dir_stat"].push([inode, BigInt(random.below(1 << 30)), BigInt(random.below(1 << 30)), 50n]);
  }
  for (let at = 0; at < files; at += 1)
    addFile(rows, random, BigInt(2 + directories + at), BigInt(2 + random.below(directories)));
  rows["node"].push(nodeRow(random, trashInode, 2, 1n));
  addSmallTables(rows, random);
  for (const name of Object.keys(rows)) sortRows(name, rows[name]);
  return rows;
}

function addSetting(rows: TableRows, files: number): void {
  rows["setting"].push([utf8("BlockSize"), 1, utf8("4096")], [utf8("Name"), 0, utf8("synthetic")]);
  rows["counter"].push([utf8("nextInode"), BigInt(files + 1000)], [utf8("usedSpace"), -4096n]);
}

function addFile(rows: TableRows, random: SeededRandom, inode: bigint, parent: bigint): void {
  const style = random.below(20);
  const number = String(inode).padStart(8, "0");
  const name =
    style === 0
      ? Buffer.concat([Buffer.from(`caf\u00e9-${number}`, "latin1"), Buffer.of(0xff)])
      : Buffer.from(style < 10 ? `IMG_2026_${number}.jpg` : `report-${number}`, "utf8");
  const type = style === 1 ? 3 : 1;
  rows["node"].push(nodeRow(random, inode, type, parent));
  rows["edge"].push([parent, new Uint8Array(name), inode, type]);
  if (type === 3) {
    rows["symlink"].push([inode, utf8(`../target/${number}`)]);
    return;
  }
  if (style === 2) rows["xattr"].push([inode, utf8("user.tag"), new Uint8Array(random.bytes(random.below(40)))]);
  const size = 1 + random.below(4 << 20);
  const slices = style === 3 ? 3 : 1;
  const records = Array.from({ length: slices }, (_, at) =>
    sliceRecord(at * 100, inode * 4n + BigInt(at), size, 0, size),
  );
  rows["chunk"].push([inode, 0, new Uint8Array(Buffer.concat(records))]);
  records.forEach((_, at) => rows["slice_ref"].push([inode * 4n + BigInt(at), size, style === 4 ? 2n : 1n]));
}

function nodeRow(random: SeededRandom, inode: bigint, type: number, parent: bigint): Row {
  const mtime = BigInt(1_700_000_000 + random.below(60_000_000));
  const nanoseconds = random.below(1_000_000_000);
  const later = mtime + BigInt(random.below(3));
  const isOdd = random.below(100) === 0;
  return [
    inode,
    type,
    isOdd ? 2 : 0,
    type === 2 ? 0o755 : 0o644,
    1000 + random.below(3),
    1000,
    isOdd ? -mtime : mtime,
    nanoseconds,
    later,
    nanoseconds,
    later,
    nanoseconds,
    type === 2 ? 2 : 1,
    BigInt(random.below(1 << 30)),
    0,
    parent,
    isOdd ? 7 : 0,
    0,
    0,
  ];
}

function addSmallTables(rows: TableRows, random: SeededRandom): void {
  rows["acl"].push([7, 7, 5, 0xffff, 0, new Uint8Array(random.bytes(6)), new Uint8Array(0)]);
  rows["quota"].push([0, 2n, 1n << 40n, -1n, 4096n, 1n], [1, 1000n, -1n, 500n, 0n, 0n]);
  rows["deleted_file"].push([1n << 40n, 4096n, 1_760_000_000n]);
  rows["delayed_slice"].push([1n << 41n, 1_760_000_000n, new Uint8Array(random.bytes(12))]);
  rows["detached_node"].push([1n << 42n, 1_760_000_000n]);
  rows["sustained"].push([5n, 1n << 43n]);
  rows["chunk"].push([1n << 44n, 3, new Uint8Array(random.bytes(25))]);
  rows["chunk"].push([1n << 44n, 9, new Uint8Array(random.bytes(300_000))]);
}

/** Sorts rows in place by their table's key, in the plainest way there is: as the judge of faster ways. */
export function sortRows(table: string, rows: Row[]): void {
  const schema = juicefs.tables.find(({ name }) => name === table);
  if (schema === undefined) throw new RangeError(`no table ${table}`);
  rows.sort((a, b) => {
    for (let index = 0; index < schema.keyCount; index += 1) {
      const left = a[index];
      const right = b[index];
      if (left instanceof Uint8Array) {
        const order = Buffer.compare(left, right as Uint8Array);
        if (order !== 0) return order;
      } else if (left !== right) return left < (right as number | bigint) ? -1 : 1;
    }
    return 0;
  });
}

/** The same volume a while later: some records changed, some gone, some new. `share` of the nodes (0 … 1) is touched. */
export function changedRows(before: TableRows, seed: number, share: number): TableRows {
  const random = seededRandom(seed);
  const after: TableRows = Object.fromEntries(Object.entries(before).map(([name, rows]) => [name, [...rows]]));
  const hits = (): boolean => random.below(1_000_000) < share * 1_000_000;
  after["node"] = before["node"].map((row) =>
    hits() ? row.with(6, 1_790_000_000n).with(13, BigInt(random.below(1000))) : row,
  );
  const gone = new Set(before["edge"].filter(() => hits()).map((row) => row[2]));
  after["edge"] = before["edge"].filter((row) => !gone.has(row[2]));
  after["node"] = after["node"].filter((row) => !gone.has(row[0]));
  for (let at = 0; at < before["edge"].length * share; at += 1) {
    addFile(after, random, (1n << 33n) + BigInt(seed * 1_000_000 + at), 2n);
  }
  for (const name of ["node", "edge", "chunk", "slice_ref", "symlink", "xattr"]) {
    sortRows(name, after[name]);
  }
  return after;
}
