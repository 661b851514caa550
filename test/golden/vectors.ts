import { createHash } from "node:crypto";
import { batchFromRows } from "../../src/model/batch.ts";
import type { Row, Value } from "../../src/model/batch.ts";
import { juicefs } from "../../src/model/juicefs.ts";
import { tableNamed } from "../../src/model/schema.ts";
import type { TableSchema } from "../../src/model/schema.ts";
import { indexSchema } from "../../src/format/index-page.ts";
import { encodeKey, hashKeys } from "../../src/format/key.ts";
import { encodePage } from "../../src/format/page.ts";
import { Pager } from "../../src/format/pager.ts";
import type { RawPage } from "../../src/format/pager.ts";
import { encodePatchScript } from "../../src/format/patch.ts";
import { pathSchema } from "../../src/format/path-index.ts";
import { computeRoot, TableHasher } from "../../src/format/root.ts";

/** A record as JSON holds it: integers in decimal, bytes in hex. */
export type PlainRow = string[];

export interface PageVector {
  about: string;
  table: string;
  records: PlainRow[];
  keys: string[];
  keyHashes: number[];
  raw: string;
  id: string;
}

export interface PatchVector {
  about: string;
  table: string;
  base: PlainRow[];
  records: PlainRow[];
  script: string;
}

export interface RootVector {
  about: string;
  kind: string;
  tables: {
    name: string;
    records: PlainRow[];
    pages: { firstKey: string; id: string; records: number }[];
    hash: string;
  }[];
  root: string;
}

export interface Vectors {
  identityVersion: number;
  pages: PageVector[];
  patches: PatchVector[];
  roots: RootVector[];
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

export function schemaNamed(name: string): TableSchema {
  if (name === pathSchema.name) return pathSchema;
  return name === indexSchema.name ? indexSchema : tableNamed(juicefs, name);
}

export function plainRow(row: Row): PlainRow {
  return row.map((value) => (value instanceof Uint8Array ? hex(value) : String(value)));
}

export function rowFromPlain(schema: TableSchema, plain: PlainRow): Row {
  return plain.map((text, index): Value =>
    schema.columns[index].type === "bytes" ? new Uint8Array(Buffer.from(text, "hex")) : BigInt(text),
  );
}

/** What Cairn makes of records: the rest of a vector. */
export function pageVector(about: string, table: string, records: readonly PlainRow[]): PageVector {
  const schema = schemaNamed(table);
  const batch = batchFromRows(
    schema,
    0,
    records.map((record) => rowFromPlain(schema, record)),
  );
  const hashes = new Uint32Array(batch.count);
  hashKeys(schema, batch, 0, batch.count, hashes);
  const { raw } = encodePage(schema, batch, 0, batch.count);
  return {
    about,
    table,
    records: [...records],
    keys: records.map((_, row) => hex(encodeKey(schema, batch, row))),
    keyHashes: [...hashes],
    raw: hex(raw),
    id: createHash("sha256").update(raw).digest("hex"),
  };
}

export function patchVector(
  about: string,
  table: string,
  base: readonly PlainRow[],
  records: readonly PlainRow[],
): PatchVector {
  const schema = schemaNamed(table);
  const batch = (rows: readonly PlainRow[]): ReturnType<typeof batchFromRows> =>
    batchFromRows(
      schema,
      0,
      rows.map((row) => rowFromPlain(schema, row)),
    );
  return {
    about,
    table,
    base: [...base],
    records: [...records],
    script: hex(encodePatchScript(schema, batch(base), batch(records))),
  };
}

export function rootVector(about: string, records: Record<string, readonly PlainRow[]>): RootVector {
  const tables: RootVector["tables"] = [];
  for (const [number, schema] of juicefs.tables.entries()) {
    const own = records[schema.name] ?? [];
    if (own.length === 0) continue;
    const pages: RawPage[] = [];
    const pager = new Pager(schema, number, { page: (page) => pages.push(page), large: () => undefined });
    pager.push(
      batchFromRows(
        schema,
        number,
        own.map((row) => rowFromPlain(schema, row)),
      ),
    );
    pager.finish();
    const hasher = new TableHasher();
    const plainPages = pages.map((page) => {
      const id = createHash("sha256").update(page.raw).digest();
      hasher.add(page.firstKey, id, page.count);
      return { firstKey: hex(page.firstKey), id: hex(id), records: page.count };
    });
    tables.push({ name: schema.name, records: [...own], pages: plainPages, hash: hasher.finish() });
  }
  const identities = tables.map(({ name, records: own, hash }) => ({ name, records: own.length, hash }));
  return { about, kind: juicefs.name, tables, root: computeRoot(juicefs, identities) };
}
