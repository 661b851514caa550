/** The types of values that have contents of use; every other type (streams, modules) is passed over. */
export const redisType = { string: 0, list: 1, set: 2, zset: 3, hash: 4 } as const;

/**
 * Takes the keys of one Redis database as they are read, from an RDB or with SCAN: `begin`, then its contents, then `end`, then the next
 * key. Bytes are given as a span of a buffer that is the reader's: it is overwritten after the call. Nothing is held back, and a
 * hash or list of any length comes piece by piece.
 *
 * What is thrown ends the reading with that error.
 */
export interface RedisSink {
  /**
   * A key and the type of its value (`redisType`). `false`: its contents are skipped, and none of the other calls is made for it.
   * `expires`: the key has a time at which it vanishes.
   */
  begin(type: number, bytes: Uint8Array, start: number, end: number, expires: boolean): boolean;
  /** The value of a string: once. */
  string(bytes: Uint8Array, start: number, end: number): void;
  /** One element of a list (in its order) or of a set (in any). */
  element(bytes: Uint8Array, start: number, end: number): void;
  /** One field of a hash. The two spans may lie in different buffers. */
  field(
    name: Uint8Array,
    nameStart: number,
    nameEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void;
  /** One member of a sorted set. */
  member(bytes: Uint8Array, start: number, end: number, score: number): void;
  /** The key is complete. */
  end(): void;
}
