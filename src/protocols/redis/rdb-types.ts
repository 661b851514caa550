import { redisType } from "./rdb-sink.ts";

/**
 * How the values of an RDB are laid out (Redis `rdb.h` and `rdb.c`, versions 1 to 12 and what is known of later ones; Valkey 80 and
 * later). `item` is the layout of one item; a layout with `one` has no count before it, it is a single item.
 */
export interface RdbType {
  /** What it is to a sink, or nothing when no sink wants it. */
  readonly type: number | undefined;
  readonly name: string;
  /** Plain 8 bytes before everything else: the earliest time at which a field vanishes. */
  readonly head: boolean;
  readonly one: boolean;
  readonly item: number;
}

/** Layouts of an item. */
export const rdbItem = {
  string: 0,
  element: 1,
  field: 2,
  /** A member, and its score as text. */
  textScore: 3,
  /** A member, and its score as a double. */
  binaryScore: 4,
  listpackElements: 5,
  ziplistElements: 6,
  intsetElements: 7,
  listpackFields: 8,
  ziplistFields: 9,
  zipmapFields: 10,
  /** Fields with the time at which each vanishes behind it. */
  listpackTimedFields: 11,
  listpackScores: 12,
  ziplistScores: 13,
  /** How the node is kept (1 as a plain string, 2 as a listpack), and the node. */
  quicklistNode: 14,
  /** The time at which it vanishes, the name, the value. */
  timedField: 15,
  /** The name, the value, the time at which it vanishes in 8 bytes. */
  fieldWithTime: 16,
  stream: 17,
  module: 18,
} as const;

function known(
  name: string,
  type: number | undefined,
  item: number,
  shape: { head?: boolean; one?: boolean } = {},
): RdbType {
  return { name, type, item, head: shape.head === true, one: shape.one === true };
}

const { string, list, set, zset, hash } = redisType;
const one = { one: true };

/** Layouts by type byte, as all servers write them. */
export const rdbTypes: ReadonlyMap<number, RdbType> = new Map([
  [0, known("string", string, rdbItem.string, one)],
  [1, known("list", list, rdbItem.element)],
  [2, known("set", set, rdbItem.element)],
  [3, known("zset", zset, rdbItem.textScore)],
  [4, known("hash", hash, rdbItem.field)],
  [5, known("zset 2", zset, rdbItem.binaryScore)],
  [7, known("module 2", undefined, rdbItem.module, one)],
  [9, known("zipmap hash", hash, rdbItem.zipmapFields, one)],
  [10, known("ziplist list", list, rdbItem.ziplistElements, one)],
  [11, known("intset", set, rdbItem.intsetElements, one)],
  [12, known("ziplist zset", zset, rdbItem.ziplistScores, one)],
  [13, known("ziplist hash", hash, rdbItem.ziplistFields, one)],
  [14, known("quicklist", list, rdbItem.ziplistElements)],
  [15, known("stream", undefined, rdbItem.stream, one)],
  [16, known("listpack hash", hash, rdbItem.listpackFields, one)],
  [17, known("listpack zset", zset, rdbItem.listpackScores, one)],
  [18, known("quicklist 2", list, rdbItem.quicklistNode)],
  [19, known("stream 2", undefined, rdbItem.stream, one)],
  [20, known("listpack set", set, rdbItem.listpackElements, one)],
  [21, known("stream 3", undefined, rdbItem.stream, one)],
]);

/** What Redis added after the ways parted. */
export const redisTypes: ReadonlyMap<number, RdbType> = new Map([
  [22, known("hash with times (7.4 release candidate)", hash, rdbItem.timedField)],
  [23, known("listpack hash with times (7.4 release candidate)", hash, rdbItem.listpackTimedFields, one)],
  [24, known("hash with times", hash, rdbItem.timedField, { head: true })],
  [25, known("listpack hash with times", hash, rdbItem.listpackTimedFields, { head: true, one: true })],
]);

/** What Valkey added. */
export const valkeyTypes: ReadonlyMap<number, RdbType> = new Map([
  [22, known("hash with times", hash, rdbItem.fieldWithTime)],
]);

/** Names of types that we know of and cannot read. */
export const unreadTypes: ReadonlyMap<number, string> = new Map([
  [6, "a module of a release candidate of Redis 4.0"],
  [26, "a stream of Redis 8.6 (type 26)"],
  [27, "a stream of Redis 8.8 (type 27)"],
]);

/** Bytes in the place of a type that are none. */
export const rdbOpcode = {
  /** Redis 8.6: metadata of modules. Valkey: a slot that is being imported. */
  keyMetadata: 243,
  slotInfo: 244,
  function2: 245,
  functionBefore: 246,
  moduleAux: 247,
  idle: 248,
  frequency: 249,
  aux: 250,
  resizeDatabase: 251,
  expiresMilliseconds: 252,
  expiresSeconds: 253,
  selectDatabase: 254,
  end: 255,
} as const;
