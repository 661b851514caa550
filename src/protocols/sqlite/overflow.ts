import { openPageReader } from "./page-source.ts";
import type { PageReader, PageSource } from "./page-source.ts";
import { pageNumber } from "./table-leaves.ts";

/** Puts records together whose payload goes on in overflow pages. */
export interface OverflowReader {
  /** The buffer that holds the last record that was put together, from its start. */
  readonly bytes: Uint8Array;
  /** Reads a payload of `payloadBytes`, of which `localBytes` stand at `at` in `page`, before the number of the first overflow page. */
  read(page: Uint8Array, at: number, localBytes: number, payloadBytes: number): void;
}

/** Opens a reader of overflow chains; `fail` makes the error for the table at hand. */
export function openOverflowReader(
  source: PageSource,
  countPage: () => void,
  fail: (message: string) => Error,
): OverflowReader {
  let reader: PageReader | undefined;
  const overflow = {
    bytes: new Uint8Array(0),
    read(page: Uint8Array, at: number, localBytes: number, payloadBytes: number): void {
      reader ??= openPageReader(source, source.pageSize);
      const perPage = source.usableBytes - 4;
      if (payloadBytes - localBytes > source.pageCount * perPage) throw fail("a record is larger than the database");
      if (overflow.bytes.length < payloadBytes) {
        overflow.bytes = new Uint8Array(Math.max(65536, Math.ceil(payloadBytes * 1.25)));
      }
      overflow.bytes.set(page.subarray(at, at + localBytes), 0);
      let done = localBytes;
      let next = pageNumber(page, at + localBytes);
      while (done < payloadBytes) {
        if (next === 0) throw fail("a chain of overflow pages ends too early");
        countPage();
        const start = reader.load(next);
        const taken = Math.min(perPage, payloadBytes - done);
        overflow.bytes.set(reader.bytes.subarray(start + 4, start + 4 + taken), done);
        done += taken;
        next = pageNumber(reader.bytes, start);
      }
      if (next !== 0) throw fail("a chain of overflow pages goes on beyond its record");
    },
  };
  return overflow;
}

/** Bytes of a table leaf's payload that stand in the page itself ("Cell Payload Overflow Pages" of the format). */
export function localPayloadBytes(payloadBytes: number, usableBytes: number): number {
  const largestLocal = usableBytes - 35;
  if (payloadBytes <= largestLocal) return payloadBytes;
  const smallestLocal = (((usableBytes - 12) * 32) / 255 - 23) | 0;
  const local = smallestLocal + ((payloadBytes - smallestLocal) % (usableBytes - 4));
  return local <= largestLocal ? local : smallestLocal;
}
