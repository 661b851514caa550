/**
 * Takes the keys of a Redis database one after the other: as commands for a server, or as records of an RDB. Keys and short values are given as
 * spans of buffers of the caller; values are written by the caller itself, into `bytes` from the position that a call returns, before the next
 * call to the same object: nothing is copied twice.
 */
export interface KeyWriter {
  /** The output under way; a call may replace it, so it is read anew after each. */
  readonly bytes: Uint8Array;
  /** A string key; returns where its value of `valueLength` bytes goes. */
  string(key: Uint8Array, keyLength: number, valueLength: number): number;
  /** A list key whose elements are the pieces of `elementLength` bytes of a span (the last may be shorter), at least one. */
  list(key: Uint8Array, keyLength: number, bytes: Uint8Array, start: number, end: number, elementLength: number): void;
  /** An object that writes keys of a type with contents; several can be under way at the same time. */
  collection(type: CollectionType): CollectionWriter;
}

export type CollectionType = "hash" | "set" | "zset";

/** Writes keys of one type, one after the other: `begin`, contents of any number (none: no key), `end`. */
export interface CollectionWriter {
  readonly bytes: Uint8Array;
  begin(key: Uint8Array, keyLength: number): void;
  /** A field of a hash; returns where its value goes. */
  field(name: Uint8Array, start: number, end: number, valueLength: number): number;
  /** A member of a set. */
  member(name: Uint8Array, start: number, end: number): void;
  /** A member of a sorted set; the score is a decimal number in ASCII. */
  scored(name: Uint8Array, start: number, end: number, score: string): void;
  end(): void;
}
