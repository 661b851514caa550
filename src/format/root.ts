import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
import type { Kind } from "../model/schema.ts";
import { identityVersion } from "./limits.ts";

/** Adds up one table's hash: SHA-256 over first key and page hash of its pages in order (docs/format.md, "Root"). */
export class TableHasher {
  readonly #hash: Hash = createHash("sha256");
  records = 0;
  pages = 0;

  add(firstKey: Uint8Array, pageHash: Uint8Array, records: number): void {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(firstKey.length);
    this.#hash.update(length).update(firstKey).update(pageHash);
    this.records += records;
    this.pages += 1;
  }

  /** The hash as hex; once. */
  finish(): string {
    return this.#hash.digest("hex");
  }
}

/** Record count and hash of one table. */
export interface TableIdentity {
  name: string;
  records: number;
  hash: string;
}

/** The root of metadata as hex: of its kind and its non-empty tables, in the kind's order. */
export function computeRoot(kind: Kind, tables: readonly TableIdentity[]): string {
  const hash = createHash("sha256");
  hash.update(`cairn root ${identityVersion}\0${kind.name}\0`);
  for (const { name } of kind.tables) {
    const table = tables.find((candidate) => candidate.name === name);
    if (table === undefined || table.records === 0) continue;
    const count = Buffer.alloc(8);
    count.writeBigUInt64LE(BigInt(table.records));
    hash.update(`${name}\0`).update(count).update(Buffer.from(table.hash, "hex"));
  }
  return hash.digest("hex");
}
