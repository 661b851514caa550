import { CairnError } from "../../model/errors.ts";
import { corrupt } from "./corrupt.ts";
import { readAt } from "./read-at.ts";

/** Bytes of the database header at the start of page 1 (https://sqlite.org/fileformat2.html, "The Database Header"). */
export const headerBytes = 100;

/** What the header of a database file says; numbers as stored. */
export interface DatabaseHeader {
  readonly pageSize: number;
  /** Bytes at the end of every page that hold no data. */
  readonly reservedBytes: number;
  /** Whether the file is to be read together with its write-ahead log. */
  readonly walMode: boolean;
  readonly changeCounter: number;
  /** Size of the database in pages, or 0 where an old writer did not keep it. */
  readonly pageCount: number;
  readonly freePageCount: number;
  readonly schemaCookie: number;
  /** Largest root page of an auto-vacuum database, else 0. */
  readonly largestRootPage: number;
  readonly userVersion: number;
  readonly applicationId: number;
}

const magic = "SQLite format 3\0";

/** Reads and parses the header of an open file. Errors as for `parseHeader`. */
export function readHeader(fd: number, path: string): DatabaseHeader {
  const bytes = new Uint8Array(headerBytes);
  return parseHeader(bytes.subarray(0, readAt(fd, bytes, 0, headerBytes, 0)), path);
}

/** Parses the first 100 bytes of a database; `path` is for messages. Refuses what is no SQLite 3 database, and text that is not UTF-8. */
export function parseHeader(bytes: Uint8Array, path: string): DatabaseHeader {
  if (bytes.length < headerBytes || Buffer.from(bytes.subarray(0, 16)).toString("latin1") !== magic) {
    throw new CairnError(
      "sqlite-not-a-database",
      `${path} is not an SQLite 3 database${bytes.length === 0 ? ": it is empty" : ""}`,
      {
        unharmed: "the file was only read",
        next: "check the path; an encrypted database cannot be read",
        exit: "sourceUnreachable",
      },
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stored = view.getUint16(16);
  const pageSize = stored === 1 ? 65536 : stored;
  if (pageSize < 512 || (pageSize & (pageSize - 1)) !== 0)
    throw corrupt(path, `the header names an impossible page size, ${stored}`);
  const reservedBytes = bytes[20];
  if (pageSize - reservedBytes < 480)
    throw corrupt(path, `the header reserves ${reservedBytes} of ${pageSize} bytes of a page`);
  const readVersion = bytes[19];
  if (readVersion > 2) {
    throw new CairnError("sqlite-unsupported", `${path} has read version ${readVersion}; versions 1 and 2 are known`, {
      unharmed: "the file was only read",
      next: "read the volume with a newer version of this tool",
      exit: "sourceUnreachable",
    });
  }
  if (bytes[21] !== 64 || bytes[22] !== 32 || bytes[23] !== 32)
    throw corrupt(path, "the header's payload fractions are not 64, 32, 32");
  const encoding = view.getUint32(56);
  if (encoding === 2 || encoding === 3) {
    throw new CairnError("sqlite-unsupported", `${path} stores text as UTF-16; only UTF-8 databases can be read`, {
      unharmed: "the file was only read",
      next: `copy the database into a new one made with PRAGMA encoding = "UTF-8"`,
      exit: "sourceUnreachable",
    });
  }
  if (encoding > 3) throw corrupt(path, `the header names an unknown text encoding, ${encoding}`);
  const changeCounter = view.getUint32(24);
  return {
    pageSize,
    reservedBytes,
    walMode: readVersion === 2,
    changeCounter,
    // The stored size counts only while the version that wrote it was the last to change the file.
    pageCount: view.getUint32(92) === changeCounter ? view.getUint32(28) : 0,
    freePageCount: view.getUint32(36),
    schemaCookie: view.getUint32(40),
    largestRootPage: view.getUint32(52),
    userVersion: view.getUint32(60),
    applicationId: view.getUint32(68),
  };
}
