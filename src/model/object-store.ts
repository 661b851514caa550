/**
 * Immutable objects by name. Names are relative, `/`-separated, of `[a-z0-9._-]` only.
 * Every implementation passes `test/conformance/object-store.ts`.
 */
export interface ObjectStore {
  /** Where it is, for messages; no secrets. */
  readonly location: string;
  /**
   * Writes a new object, durable and whole when it resolves; never seen in part by a reader. A streamed chunk is valid until the
   * next one is asked for.
   * A chunk of a stream is the store's only until it asks for the next one.
   * Throws `object-exists` when the name is taken, and leaves that object as it is.
   */
  put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void>;
  /** The bytes of a range (the caller's own), or of the whole object; `undefined` when there is no such object. Shorter than asked at its end. */
  get(name: string, range?: { offset: number; length: number }, signal?: AbortSignal): Promise<Uint8Array | undefined>;
  /** Bytes of an object, or `undefined`. */
  size(name: string, signal?: AbortSignal): Promise<number | undefined>;
  /** Names that begin with a prefix (which ends with `/` or is empty), sorted bytewise; with a limit, at most that many of them, any. */
  list(prefix: string, limit?: number): Promise<string[]>;
  /** Removes an object; no error when it is not there. */
  delete(name: string, signal?: AbortSignal): Promise<void>;
}
