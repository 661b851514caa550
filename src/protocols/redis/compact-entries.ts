/**
 * Walks over a collection that Redis keeps in one string (listpack, ziplist, zipmap, intset). After `next` returned true the element is
 * `bytes[start … end)`, valid until the second call after it: numbers are written as decimal text into two places in turn.
 */
export interface CompactEntries {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** What is wrong with the collection, once `next` returned false. */
  readonly problem: string | undefined;
  /** Begins with `bytes[start … end)`. */
  open(bytes: Uint8Array, start: number, end: number): void;
  /** The next element; false at the end, and where the collection is damaged. */
  next(): boolean;
}

/** Two places for numbers as text, each of 32 bytes. */
export const numberPlaceBytes = 32;

export function u16At(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8);
}

export function i32At(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}

export function u32At(bytes: Uint8Array, at: number): number {
  return i32At(bytes, at) >>> 0;
}

/** Three bytes, signed. */
export function i24At(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 8) | (bytes[at + 1] << 16) | (bytes[at + 2] << 24)) >> 8;
}
