import { createHash } from "node:crypto";
import { largeReferenceBytes } from "./limits.ts";

/** What a page holds in place of a large value: its length and the SHA-256 of its bytes. */
export interface LargeReference {
  length: number;
  hash: Uint8Array;
}

/** The 40 bytes of a reference: length as u64 little-endian, then the hash. */
export function encodeLargeReference(value: Uint8Array): Uint8Array<ArrayBuffer> {
  const reference = new Uint8Array(largeReferenceBytes);
  new DataView(reference.buffer).setBigUint64(0, BigInt(value.length), true);
  reference.set(createHash("sha256").update(value).digest(), 8);
  return reference;
}

/** Undefined when these are no 40 bytes or claim a length beyond 2^53. */
export function decodeLargeReference(bytes: Uint8Array): LargeReference | undefined {
  if (bytes.length !== largeReferenceBytes) return undefined;
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true));
  return Number.isSafeInteger(length) ? { length, hash: bytes.slice(8) } : undefined;
}
