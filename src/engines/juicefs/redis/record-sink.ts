/** The data types of Redis that JuiceFS uses. */
export type RedisType = "string" | "hash" | "list" | "set" | "zset";

/**
 * Takes the contents of a Redis server one key after the other: from the RDB parser, or from a scan. Every byte range is a triple
 * (bytes, start, end) that is only valid during the call: the sink copies what it keeps. Calls come in the order
 * `database`, then for each key `beginKey`, the elements, `endKey`.
 */
export interface RecordSink {
  /** A database begins, or goes on; whether its keys are wanted. */
  database(index: number): boolean;

  /** A key of a wanted database begins; whether its elements are wanted. `endKey` follows only when they are. */
  beginKey(type: RedisType, bytes: Uint8Array, start: number, end: number): boolean;

  /** The value of a string, whole. Once a key. */
  string(bytes: Uint8Array, start: number, end: number): void;

  hashField(
    field: Uint8Array,
    fieldStart: number,
    fieldEnd: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void;

  /** In the order of the list. */
  listElement(bytes: Uint8Array, start: number, end: number): void;

  setMember(bytes: Uint8Array, start: number, end: number): void;

  zsetMember(bytes: Uint8Array, start: number, end: number, score: number): void;

  endKey(): void;
}
