import { rowAt } from "../model/batch.ts";
import type { Batch, Value } from "../model/batch.ts";
import { bytesToText } from "../std/byte-text.ts";
import { CairnError } from "../model/errors.ts";
import type { Progress } from "../model/ports.ts";
import { describeKey } from "../format/describe-key.ts";
import { encodeKey } from "../format/key.ts";
import type { Snapshot } from "../repository/snapshot.ts";
import { Browser } from "./browse/browser.ts";
import { InodeNamer } from "./browse/name-inodes.ts";
import { diffTable } from "./diff-records.ts";
import type { PageDifferences } from "./diff-records.ts";
import { diffEdges } from "./diff-edges.ts";
import { diffInodes } from "./diff-inodes.ts";
import type { TreeChange } from "./tree-change.ts";

/** One differing record outside the tree, or the name of it. */
export interface RecordChange {
  name: string;
  side: "a" | "b" | "both";
  /** Values by column; of changed ones the differing columns alone. */
  before: Record<string, Value>;
  after: Record<string, Value>;
}

export interface TableChange {
  table: string;
  added: number;
  removed: number;
  changed: number;
  /** All records of small tables, some of large ones. */
  records: RecordChange[];
}

export interface TreeCounts {
  added: number;
  removed: number;
  trashed: number;
  renamed: number;
  replaced: number;
  changed: number;
}

export interface DiffResult {
  isEqual: boolean;
  tree: TreeCounts;
  /** Tables outside the tree that differ. */
  outside: TableChange[];
}

export interface DiffOptions {
  /** Counts only: no paths are looked up, and `change` is not called. */
  countsOnly: boolean;
  /** Takes each difference of the tree; sorted by path within some 100,000. */
  change: (change: TreeChange) => Promise<void>;
  progress: Progress;
  signal: AbortSignal;
}

/** Tables whose records are listed one by one; of the others some are. */
const listedTables = new Set(["setting", "counter", "quota", "acl"]);
const listedMax = 1000;
const sampledMax = 3;

/** Tables that make up the tree: reported by path. */
const treeTables = new Set(["node", "edge", "chunk", "symlink", "xattr"]);

/**
 * Compares two snapshots of one kind, of one volume or of two: the tree by paths, all else by records. Only pages that differ are read.
 */
export async function diffSnapshots(a: Snapshot, b: Snapshot, options: DiffOptions): Promise<DiffResult> {
  if (a.kind.name !== b.kind.name) {
    throw new CairnError(
      "kinds-differ",
      `a snapshot of kind ${a.kind.name} cannot be compared with one of ${b.kind.name}`,
      {
        exit: "wrongUse",
      },
    );
  }
  const tree: TreeCounts = { added: 0, removed: 0, trashed: 0, renamed: 0, replaced: 0, changed: 0 };
  const result: DiffResult = { isEqual: a.manifest.root === b.manifest.root, tree, outside: [] };
  if (result.isEqual) return result;
  const { signal, countsOnly } = options;
  const emit = async (change: TreeChange): Promise<void> => {
    tree[change.kind] += 1;
    if (!countsOnly) await options.change(change);
  };
  const namers = { a: new InodeNamer(new Browser(a), signal), b: new InodeNamer(new Browser(b), signal) };
  const named = await diffEdges(a, b, namers, { countsOnly, signal, emit });
  await diffInodes(a, b, { namers, named }, { countsOnly, signal, emit });
  for (const { name } of a.kind.tables) {
    if (treeTables.has(name)) continue;
    const change = await diffOutside(a, b, name, signal);
    if (name === "quota") await nameQuotas(change, namers.b);
    if (change.added + change.removed + change.changed > 0) result.outside.push(change);
  }
  return result;
}

async function diffOutside(a: Snapshot, b: Snapshot, table: string, signal: AbortSignal): Promise<TableChange> {
  const change: TableChange = { table, added: 0, removed: 0, changed: 0, records: [] };
  const limit = listedTables.has(table) ? listedMax : sampledMax;
  for await (const page of diffTable(a, b, table, signal)) {
    for (let at = 0; at < page.count; at += 1) {
      if (page.rowsA[at] < 0) change.added += 1;
      else if (page.rowsB[at] < 0) change.removed += 1;
      else change.changed += 1;
      if (change.records.length < limit) change.records.push(recordChange(a, table, page, at));
    }
  }
  return change;
}

const owners: Readonly<Record<string, string>> = { "1": "user", "2": "group" };

/** Says whose quota it is: the path of a directory, a user or a group. */
async function nameQuotas(change: TableChange, namer: InodeNamer): Promise<void> {
  for (const record of change.records) {
    const [, type, key] = /^type=(\d+) key=(\d+)$/.exec(record.name) ?? [];
    if (owners[type] !== undefined) record.name = `${owners[type]} ${key}`;
    else if (type === "0") {
      const inode = BigInt(key);
      const [path] = await namer.paths(Uint32Array.of(Number(inode & 0xffffffffn), Number(inode >> 32n)));
      record.name = path === undefined ? `directory of inode ${key}` : bytesToText(path);
    }
  }
}

function recordChange({ kind }: Snapshot, table: string, page: PageDifferences, at: number): RecordChange {
  const schema = kind.tables.find(({ name }) => name === table) as (typeof kind.tables)[number];
  const rowA = page.rowsA[at];
  const rowB = page.rowsB[at];
  const mask = page.columns[at];
  const values = (batch: Batch | undefined, row: number): Record<string, Value> => {
    if (batch === undefined || row < 0) return {};
    const record = rowAt(schema, batch, row);
    return Object.fromEntries(
      schema.columns.flatMap(({ name }, index) =>
        index >= schema.keyCount && (mask === 0 || ((mask >>> index) & 1) === 1) ? [[name, record[index]]] : [],
      ),
    );
  };
  const key = rowA >= 0 ? encodeKey(schema, page.a as Batch, rowA) : encodeKey(schema, page.b as Batch, rowB);
  return {
    name: describeKey(schema, key),
    side: rowB < 0 ? "a" : rowA < 0 ? "b" : "both",
    before: values(page.a, rowA),
    after: values(page.b, rowB),
  };
}
