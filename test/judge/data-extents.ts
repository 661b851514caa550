import type { RawVolume } from "./raw-volume.ts";
import { CHUNK_BYTES } from "./raw-volume.ts";
import { readSlices } from "./slices.ts";
import { openSqliteFile, quoteName } from "./sqlite-file.ts";
import { tablePrefixOf } from "./sql-schema.ts";

/** A range of bytes of a file, the end not included. */
export type Extent = readonly [start: number, end: number];

/** Where a file has data, by its inode; null means that it may be anywhere. */
export type DataExtents = (inode: bigint) => readonly Extent[] | null;

/** A database of a volume and its URL option `table_prefix`. */
export interface VolumeDatabase {
  readonly path: string;
  readonly tablePrefix?: string | undefined;
}

/**
 * Where files of more than one chunk have data, by the slice records of any of the databases: what no slice covers reads as zeros. A mount does
 * not tell its holes (SEEK_DATA finds data everywhere), and a sparse file of a terabyte must not be read whole. What only one of two volumes
 * has is in the extents too, so a comparison of both meets it.
 */
export function readDataExtents(databases: readonly VolumeDatabase[]): DataExtents {
  const extents = new Map<bigint, Extent[]>();
  for (const { path, tablePrefix } of databases) {
    const prefix = tablePrefixOf(tablePrefix);
    const file = openSqliteFile(path);
    try {
      const large = `SELECT inode FROM ${quoteName(`${prefix}node`)} WHERE type = 1 AND length > ${CHUNK_BYTES}`;
      for (const [inode] of file.iterate(large)) {
        add(extents, inode);
      }
      const chunks = `SELECT inode, indx, CAST(slices AS BLOB) FROM ${quoteName(`${prefix}chunk`)} WHERE inode IN (${large})`;
      for (const [inode, index, slices] of file.iterate(chunks)) {
        const start = Number(index) * CHUNK_BYTES;
        for (const slice of slices instanceof Uint8Array ? readSlices(slices) : []) {
          if (slice.id !== 0n) {
            add(extents, inode).push([start + slice.position, start + slice.position + slice.length]);
          }
        }
      }
    } finally {
      file.close();
    }
  }
  for (const list of extents.values()) {
    list.sort((a, b) => a[0] - b[0]);
  }
  return (inode) => extents.get(inode) ?? null;
}

/** The same of volumes whose raw records were read, on any engine. */
export function dataExtentsOf(volumes: readonly RawVolume[]): DataExtents {
  const extents = new Map<bigint, Extent[]>();
  for (const { nodes, chunks } of volumes) {
    for (const { inode, type, length } of nodes) if (type === 1 && length > BigInt(CHUNK_BYTES)) add(extents, inode);
    for (const { inode, index, slices } of chunks) {
      const start = Number(index) * CHUNK_BYTES;
      for (const { id, position, length } of extents.has(inode) ? readSlices(slices) : []) {
        if (id !== 0n) add(extents, inode).push([start + position, start + position + length]);
      }
    }
  }
  for (const list of extents.values()) list.sort((a, b) => a[0] - b[0]);
  return (inode) => extents.get(inode) ?? null;
}

function add(extents: Map<bigint, Extent[]>, inode: unknown): Extent[] {
  if (typeof inode !== "bigint") {
    throw new TypeError("an inode is no number");
  }
  const list = extents.get(inode) ?? [];
  extents.set(inode, list);
  return list;
}
