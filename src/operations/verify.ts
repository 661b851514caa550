import { createHash } from "node:crypto";
import type { Batch } from "../model/batch.ts";
import { CairnError } from "../model/errors.ts";
import type { Progress } from "../model/ports.ts";
import type { TableSchema } from "../model/schema.ts";
import { mapOrdered } from "../std/map-ordered.ts";
import type { IndexEntry } from "../format/index-page.ts";
import { Pager } from "../format/pager.ts";
import { pathSchema } from "../format/path-index.ts";
import { computeRoot, TableHasher } from "../format/root.ts";
import type { TableIdentity } from "../format/root.ts";
import { readPage } from "../repository/snapshot.ts";
import type { Snapshot } from "../repository/snapshot.ts";

export interface VerifyOptions {
  snapshot: Snapshot;
  progress: Progress;
  signal: AbortSignal;
}

export interface VerifyResult {
  snapshot: string;
  root: string;
  pages: number;
  records: number;
  /** Bytes read from the repository. */
  bytes: number;
}

const pagesAtOnce = 8;

/**
 * Reads every page of a snapshot and proves that it is whole: each frame decodes and matches its id, its records stand in order, cutting
 * and encoding them again gives the same pages, and the root that follows is the manifest's. Throws at the first damage, naming it.
 */
export async function verifySnapshot(options: VerifyOptions): Promise<VerifyResult> {
  const { snapshot, progress } = options;
  const { manifest, kind } = snapshot;
  const total = manifest.tables.reduce((sum, table) => sum + table.index.pages, 0) + (manifest.pathIndex?.pages ?? 0);
  let pages = 0;
  let records = 0;
  const tables: TableIdentity[] = [];
  for (const schema of [...kind.tables, pathSchema]) {
    const identity = await verifyTable(options, schema, (count) => {
      pages += 1;
      if (schema !== pathSchema) records += count;
      progress.report({ phase: "verify", done: pages, total, unit: "pages" });
    });
    if (schema === pathSchema) continue;
    const claimed = manifest.tables.find((one) => one.name === schema.name);
    if ((claimed?.records ?? 0) !== identity.records || (claimed !== undefined && claimed.hash !== identity.hash)) {
      throw damaged(manifest.id, schema.name, "its pages are not the ones that the manifest counts");
    }
    tables.push(identity);
  }
  const root = computeRoot(kind, tables);
  if (root !== manifest.root)
    throw damaged(manifest.id, "root", `it is ${root}, and the manifest says ${manifest.root}`);
  return { snapshot: manifest.id, root, pages, records, bytes: snapshot.reader.bytesRead };
}

async function verifyTable(
  { snapshot, signal }: VerifyOptions,
  schema: TableSchema,
  onPage: (records: number) => void,
): Promise<TableIdentity> {
  const { manifest, kind } = snapshot;
  const hasher = new TableHasher();
  const expected: IndexEntry[] = [];
  const pager = new Pager(schema, schema === pathSchema ? kind.tables.length : kind.tables.indexOf(schema), {
    page: (page) => {
      const entry = expected.shift();
      const id = createHash("sha256").update(page.raw).digest("hex");
      if (
        entry === undefined ||
        entry.id !== id ||
        entry.tail !== page.tail ||
        entry.records !== page.count ||
        Buffer.compare(entry.firstKey, page.firstKey) !== 0
      ) {
        throw damaged(manifest.id, schema.name, "its records do not give the pages that the index names");
      }
    },
    large: () => undefined,
  });
  const read = async (entry: IndexEntry): Promise<{ entry: IndexEntry; batch: Batch }> => ({
    entry,
    batch: await readPage(snapshot, schema.name, entry),
  });
  for await (const { entry, batch } of mapOrdered(snapshot.index(schema.name).entries(), pagesAtOnce, read)) {
    signal.throwIfAborted();
    hasher.add(entry.firstKey, Buffer.from(entry.id, "hex"), batch.count);
    expected.push(entry);
    pager.push(batch);
    onPage(batch.count);
  }
  pager.finish();
  if (expected.length > 0)
    throw damaged(manifest.id, schema.name, "the index names pages that its records do not give");
  return { name: schema.name, records: hasher.records, hash: hasher.finish() };
}

function damaged(snapshot: string, where: string, reason: string): CairnError {
  return new CairnError("snapshot-damaged", `snapshot ${snapshot} is damaged in ${where}: ${reason}`, {
    exit: "repositoryDamaged",
    unharmed: "nothing was changed, and other snapshots may be whole",
    next: "verify the whole repository to learn which snapshots are, and restore from one of those",
    details: { snapshot, where },
  });
}
