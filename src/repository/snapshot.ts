import type { Batch, BytesColumn, Column } from "../model/batch.ts";
import { bytesAt } from "../model/batch.ts";
import { CairnError } from "../model/errors.ts";
import type { Kind, TableSchema } from "../model/schema.ts";
import { releaseBytes } from "../std/release.ts";
import { mapOrdered } from "../std/map-ordered.ts";
import { createHash } from "node:crypto";
import type { IndexEntry } from "../format/index-page.ts";
import { identityVersion } from "../format/limits.ts";
import { decodeLargeReference } from "../format/large-value.ts";
import type { IndexTop, Manifest } from "../format/manifest.ts";
import { decodePage } from "../format/page.ts";
import type { LargeRow } from "../format/page.ts";
import { pathSchema } from "../format/path-index.ts";
import { IndexReader } from "./index-reader.ts";
import { PageReader } from "./page-reader.ts";
import type { Repository } from "./repository.ts";

/** One snapshot, opened for reading. */
export interface Snapshot {
  readonly repository: Repository;
  readonly manifest: Manifest;
  readonly kind: Kind;
  readonly reader: PageReader;
  /** The index of a table of the kind, or of `path`. */
  index(table: string): IndexReader;
  /** The index of the parts of large values. */
  readonly largeIndex: IndexReader;
}

/** Opens a snapshot of a known kind; a schema of a newer Cairn is refused by name. */
export function openSnapshot(repository: Repository, manifest: Manifest, kinds: readonly Kind[]): Snapshot {
  const kind = kinds.find((candidate) => candidate.name === manifest.kind);
  if (kind === undefined || manifest.schemaVersion > kind.schemaVersion) {
    const version = kind === undefined ? "" : ` schema version ${manifest.schemaVersion}`;
    throw new CairnError(
      "format-unknown",
      `snapshot ${manifest.id} is of kind ${manifest.kind}${version}, which this Cairn does not know`,
      {
        exit: "repositoryDamaged",
        next: "use a newer version of Cairn",
      },
    );
  }
  if (manifest.identityVersion !== identityVersion) {
    throw new CairnError(
      "format-unknown",
      `snapshot ${manifest.id} has identity version ${manifest.identityVersion}; this Cairn reads version ${identityVersion}`,
      { exit: "repositoryDamaged", next: "use a newer version of Cairn" },
    );
  }
  const unknown = manifest.tables.find(({ name }) => !kind.tables.some((table) => table.name === name));
  if (unknown !== undefined) {
    throw new CairnError(
      "format-unknown",
      `snapshot ${manifest.id} has the table ${unknown.name}, which this Cairn does not know`,
      { exit: "repositoryDamaged", next: "use a newer version of Cairn" },
    );
  }
  const reader = new PageReader(repository.store, manifest.volume);
  const indexes = new Map<string, IndexReader>();
  const top = (table: string): IndexTop | null =>
    table === pathSchema.name ? manifest.pathIndex : (manifest.tables.find((one) => one.name === table)?.index ?? null);
  return {
    repository,
    manifest,
    kind,
    reader,
    largeIndex: new IndexReader(reader, manifest.largeValues),
    index(table) {
      let index = indexes.get(table);
      if (index === undefined) {
        index = new IndexReader(reader, top(table));
        indexes.set(table, index);
      }
      return index;
    },
  };
}

/** Position and schema of a table in the kind; `path` has the position after the last. */
function tableOf(kind: Kind, name: string): { schema: TableSchema; table: number } {
  if (name === pathSchema.name) return { schema: pathSchema, table: kind.tables.length };
  const table = kind.tables.findIndex((candidate) => candidate.name === name);
  return { schema: kind.tables[table], table };
}

/** Decodes one page of a table, with its large values in place. */
export async function readPage(snapshot: Snapshot, name: string, entry: IndexEntry): Promise<Batch> {
  const { schema, table } = tableOf(snapshot.kind, name);
  // A page that is patched holds no large values.
  if (entry.chain.length > 0) return { ...(await snapshot.reader.readPatched(entry, schema)).batch, table };
  const raw = await snapshot.reader.readWhole(entry);
  const { batch, large } = decodePage(schema, table, raw);
  releaseBytes(raw);
  return large.length === 0 ? batch : withLargeValues(snapshot, batch, large);
}

async function withLargeValues(snapshot: Snapshot, batch: Batch, large: readonly LargeRow[]): Promise<Batch> {
  const columns: (Column | undefined)[] = [...batch.columns];
  for (const index of new Set(large.map((one) => one.column))) {
    const column = columns[index] as BytesColumn;
    const values: Uint8Array[] = [];
    for (let row = 0; row < batch.count; row += 1) {
      const value = bytesAt(column, row);
      const isLarge = large.some((one) => one.column === index && one.row === row);
      values.push(isLarge ? await readLargeValue(snapshot, value) : value);
    }
    const offsets = new Uint32Array(batch.count + 1);
    values.forEach((value, row) => {
      offsets[row + 1] = offsets[row] + value.length;
    });
    columns[index] = { offsets, arena: new Uint8Array(Buffer.concat(values)) };
  }
  return { ...batch, columns };
}

async function readLargeValue(snapshot: Snapshot, bytes: Uint8Array): Promise<Uint8Array> {
  const reference = decodeLargeReference(bytes);
  if (reference === undefined) throw largeDamaged("a reference to it is damaged");
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const entry of snapshot.largeIndex.entries(reference.hash)) {
    const order = Buffer.compare(entry.firstKey.subarray(0, 32), reference.hash);
    if (order > 0) break;
    if (order < 0) continue;
    const part = await snapshot.reader.readWhole(entry);
    parts.push(part);
    length += part.length;
    if (length >= reference.length) break;
  }
  const value = new Uint8Array(Buffer.concat(parts));
  if (value.length !== reference.length || !createHash("sha256").update(value).digest().equals(reference.hash)) {
    throw largeDamaged(`it has ${value.length} of ${reference.length} bytes, or others than it should`);
  }
  return value;
}

function largeDamaged(reason: string): CairnError {
  return new CairnError("page-damaged", `a large value is damaged: ${reason}`, { exit: "repositoryDamaged" });
}

/** Pages read ahead while the consumer works on one. */
const readAhead = 6;

/** All pages of a table as batches in key order, optionally from the page that may hold a key; reads ahead. */
export function readTable(snapshot: Snapshot, name: string, fromKey?: Uint8Array): AsyncGenerator<Batch> {
  return mapOrdered(snapshot.index(name).entries(fromKey), readAhead, (entry) => readPage(snapshot, name, entry));
}
