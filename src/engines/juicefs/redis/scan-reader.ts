import { CairnError } from "../../../model/errors.ts";
import type { RedisConnection } from "../../../protocols/redis/client.ts";
import { textOf } from "../../../protocols/redis/client.ts";
import type { RedisSink } from "../../../protocols/redis/rdb-sink.ts";
import { redisType } from "../../../protocols/redis/rdb-sink.ts";
import { replyError } from "../../../protocols/redis/redis-errors.ts";
import type { Command, Reply } from "../../../protocols/redis/resp.ts";
import { RespError } from "../../../protocols/redis/resp.ts";
import { requireSpace } from "../../../protocols/redis/spill-queue.ts";
import type { Pacer } from "../pacer.ts";
import type { RedisSite } from "./connect.ts";
import { counterLikeKey, namedKeys, numberedKeys } from "./key-kinds.ts";
import { openUniquePairs } from "./unique-pairs.ts";

export interface ScanOptions {
  readonly signal: AbortSignal;
  readonly temporaryFolder: string;
  readonly pacer: Pick<Pacer, "pass">;
}

/** How far a scan is. First the names of all keys are collected, then they are read. */
export interface ScanProgress {
  readonly phase: "names" | "keys";
  readonly done: number;
  /** Keys of the database when the scan began: other volumes of a cluster's server are among them. */
  readonly total: number;
}

/** Names, and elements of one key, that are asked for at once. A reply of so many keeps the server busy for well below a millisecond. */
const scanCount = 1000;
const elementCount = 512;
/** Keys that are read at once. */
const groupKeys = 128;
const listElements = 8192;
/** Bytes of a name in the temporary file, and bytes that a server's answer takes beside its values: for estimates. */
const nameBytes = 40;

/**
 * Reads the keys of a volume one after the other while clients may write: **not a snapshot**. For servers that do not allow replication. Each
 * key comes once, also where SCAN names it twice, and each element of it. A key that vanishes meanwhile is left out. Yields after each group of
 * keys, so that what the sink emitted can be taken.
 */
export async function* scanVolume(
  site: RedisSite,
  sink: RedisSink,
  options: ScanOptions,
): AsyncGenerator<ScanProgress, void> {
  await using connection = await site.connect();
  const total = Number(await connection.call("DBSIZE"));
  requireSpace(options.temporaryFolder, total * nameBytes);
  using names = openUniquePairs(options.temporaryFolder, total);
  const noValue = new Uint8Array(0);
  let done = 0;
  for await (const found of scanNames(connection, site.keyPrefix, options.pacer)) {
    for (const name of found) names.add(name, noValue);
    done += found.length;
    yield { phase: "names", done, total };
  }
  const reader = new KeyReader(connection, sink, site.keyPrefix.length, options);
  done = 0;
  let group: Buffer[] = [];
  let before: Promise<AskedKey[]> | undefined;
  // The next group is under way while one is being read.
  for (const { bytes, keyStart, keyEnd } of names.pairs()) {
    group.push(Buffer.from(bytes.subarray(keyStart, keyEnd)));
    if (group.length < groupKeys) continue;
    const asked = reader.ask(group);
    // Thrown when its turn comes.
    asked.catch(() => {});
    group = [];
    if (before !== undefined) done += yield* readGroup(await before);
    before = asked;
  }
  if (before !== undefined) done += yield* readGroup(await before);
  done += yield* readGroup(await reader.ask(group));

  async function* readGroup(keys: AskedKey[]): AsyncGenerator<ScanProgress, number> {
    options.signal.throwIfAborted();
    await options.pacer.pass(keys.reduce((sum, { name, reply }) => sum + name.length + bytesOf([reply ?? null]), 0));
    for (const key of keys) {
      const rest = reader.put(key);
      if (rest !== undefined) for await (const _ of rest) yield { phase: "keys", done, total };
    }
    yield { phase: "keys", done: done + keys.length, total };
    return keys.length;
  }
}

async function* scanNames(
  connection: RedisConnection,
  prefix: string,
  pacer: ScanOptions["pacer"],
): AsyncGenerator<Buffer[], void> {
  const match = prefix === "" ? [] : ["MATCH", `${prefix}*`];
  let cursor = "0";
  do {
    const [next, names] = scanReply(await connection.call("SCAN", cursor, ...match, "COUNT", scanCount));
    cursor = next;
    await pacer.pass(bytesOf(names));
    yield names;
  } while (cursor !== "0");
}

/** The next cursor and the elements of a reply of SCAN, HSCAN, SSCAN or ZSCAN. */
function scanReply(reply: Reply): [string, Buffer[]] {
  if (!Array.isArray(reply)) throw new Error("a reply to SCAN that is no array");
  const [cursor, elements] = reply;
  const text = textOf(cursor);
  if (text === undefined || !Array.isArray(elements)) throw new Error("a reply to SCAN of an unknown form");
  return [text, elements.filter((element) => Buffer.isBuffer(element))];
}

function bytesOf(values: readonly Reply[]): number {
  let total = 0;
  for (const value of values) {
    if (Buffer.isBuffer(value)) total += value.length;
    else total += Array.isArray(value) ? bytesOf(value) : 16;
  }
  return total;
}

/** A key, its type, and the server's answer to the question for its first elements; none for a key that is no record of JuiceFS'. */
export interface AskedKey {
  readonly name: Buffer;
  readonly type: number;
  readonly reply: Reply | undefined;
}

/** Reads keys by their names, long ones piece by piece. */
export class KeyReader {
  readonly #connection: RedisConnection;
  readonly #sink: RedisSink;
  readonly #prefixLength: number;
  readonly #options: ScanOptions;

  constructor(connection: RedisConnection, sink: RedisSink, prefixLength: number, options: ScanOptions) {
    this.#connection = connection;
    this.#sink = sink;
    this.#prefixLength = prefixLength;
    this.#options = options;
  }

  /** Asks for the first elements of each key. The types of JuiceFS' keys follow from their names; others are asked for. */
  async ask(names: readonly Buffer[]): Promise<AskedKey[]> {
    const types = await this.#typesOf(names);
    const known = names.flatMap((name, at) => (types[at] === undefined ? [] : [{ name, type: types[at] }]));
    const wanted = known.filter(({ name }) => this.#isRecord(name));
    const replies = await this.#connection.askAll(wanted.map(({ name, type }) => questionOf(name, type)));
    const asked: AskedKey[] = [];
    let next = 0;
    for (const { name, type } of known) {
      if (!this.#isRecord(name)) {
        asked.push({ name, type, reply: undefined });
        continue;
      }
      const reply = replies[next++];
      if (!(reply instanceof RespError)) asked.push({ name, type, reply });
      else if (reply.kind === "WRONGTYPE") asked.push(...(await this.#askAnew(name)));
      else throw replyError(reply, questionOf(name, type), this.#connection);
    }
    return asked;
  }

  /** A value of others may be of any size: the sink is only told that there is such a key. */
  #isRecord(name: Buffer): boolean {
    const ownName = name.toString("latin1", this.#prefixLength);
    return typeByName(ownName) !== undefined || counterLikeKey.test(ownName);
  }

  /** A key of JuiceFS' that is of another type: the sink refuses it, and must be told the type. */
  async #askAnew(name: Buffer): Promise<AskedKey[]> {
    const type = typeOf(await this.#connection.call("TYPE", name));
    if (type === undefined) return [];
    return [{ name, type, reply: await this.#connection.call(...questionOf(name, type)) }];
  }

  async #typesOf(names: readonly Buffer[]): Promise<(number | undefined)[]> {
    const types = names.map((name) => typeByName(name.toString("latin1", this.#prefixLength)));
    const unknown = names.filter((_, at) => types[at] === undefined);
    if (unknown.length === 0) return types;
    const replies = await this.#connection.askAll(unknown.map((name): Command => ["TYPE", name]));
    let next = 0;
    return types.map((type) => {
      if (type !== undefined) return type;
      const command: Command = ["TYPE", unknown[next]];
      const reply = replies[next++];
      if (reply instanceof RespError) throw replyError(reply, command, this.#connection);
      return typeOf(reply);
    });
  }

  /** Hands a key to the sink. Of a long one the rest is still to be read: by iterating over what is returned. */
  put({ name, type, reply }: AskedKey): AsyncGenerator<void, void> | undefined {
    const sink = this.#sink;
    if (reply === undefined) {
      // What is refused by its name is refused here; anything else is passed over.
      if (sink.begin(type, name, 0, name.length, false)) throw new Error("a record whose value was not asked for");
      return undefined;
    }
    if (type === redisType.string) {
      if (!Buffer.isBuffer(reply) || !sink.begin(type, name, 0, name.length, false)) return undefined;
      sink.string(reply, 0, reply.length);
    } else if (type === redisType.list) {
      const elements = arrayOf(reply);
      if (elements.length === 0 || !sink.begin(type, name, 0, name.length, false)) return undefined;
      this.#putList(elements);
      if (elements.length === listElements) return this.#readRestOfList(name);
    } else {
      const [cursor, elements] = scanReply(reply);
      if ((elements.length === 0 && cursor === "0") || !sink.begin(type, name, 0, name.length, false)) return undefined;
      // Only where the server needs several calls may an element come twice.
      if (cursor !== "0") return this.#readLong(name, type, cursor, elements);
      this.#putAll(type, elements);
    }
    sink.end();
    return undefined;
  }

  #putList(elements: readonly Reply[]): void {
    for (const element of elements) if (Buffer.isBuffer(element)) this.#sink.element(element, 0, element.length);
  }

  async *#readRestOfList(name: Buffer): AsyncGenerator<void, void> {
    for (let start = listElements; ; start += listElements) {
      yield;
      const elements = arrayOf(await this.#connection.call("LRANGE", name, start, start + listElements - 1));
      await this.#options.pacer.pass(bytesOf(elements));
      this.#putList(elements);
      if (elements.length < listElements) break;
    }
    this.#sink.end();
  }

  #putAll(type: number, elements: readonly Buffer[]): void {
    const sink = this.#sink;
    if (type === redisType.set) {
      for (const member of elements) sink.element(member, 0, member.length);
      return;
    }
    for (let at = 0; at + 1 < elements.length; at += 2) {
      const key = elements[at];
      const value = elements[at + 1];
      if (type === redisType.zset) sink.member(key, 0, key.length, scoreOf(value));
      else sink.field(key, 0, key.length, value, 0, value.length);
    }
  }

  async *#readLong(
    name: Buffer,
    type: number,
    firstCursor: string,
    firstElements: readonly Buffer[],
  ): AsyncGenerator<void, void> {
    const size = Number(await this.#connection.call(sizeCommands[type], name));
    requireSpace(this.#options.temporaryFolder, size * nameBytes);
    using pairs = openUniquePairs(this.#options.temporaryFolder, size);
    let cursor = firstCursor;
    let elements = firstElements;
    for (;;) {
      addPairs(pairs, type, elements);
      if (cursor === "0") break;
      yield;
      const reply = scanReply(await this.#connection.call(scanCommands[type], name, cursor, "COUNT", 2 * scanCount));
      [cursor, elements] = reply;
      await this.#options.pacer.pass(bytesOf(elements));
    }
    let sinceTurn = 0;
    for (const { bytes, keyStart, keyEnd, valueEnd } of pairs.pairs()) {
      if (type === redisType.set) this.#sink.element(bytes, keyStart, keyEnd);
      else if (type === redisType.zset) {
        this.#sink.member(bytes, keyStart, keyEnd, scoreOf(bytes.subarray(keyEnd, valueEnd)));
      } else this.#sink.field(bytes, keyStart, keyEnd, bytes, keyEnd, valueEnd);
      if (++sinceTurn % 4096 === 0) yield;
    }
    this.#sink.end();
  }
}

function addPairs(pairs: ReturnType<typeof openUniquePairs>, type: number, elements: readonly Buffer[]): void {
  if (type === redisType.set) {
    for (const member of elements) pairs.add(member, member.subarray(0, 0));
    return;
  }
  for (let at = 0; at + 1 < elements.length; at += 2) pairs.add(elements[at], elements[at + 1]);
}

const scanCommands: Record<number, string> = {
  [redisType.hash]: "HSCAN",
  [redisType.set]: "SSCAN",
  [redisType.zset]: "ZSCAN",
};
const sizeCommands: Record<number, string> = {
  [redisType.hash]: "HLEN",
  [redisType.set]: "SCARD",
  [redisType.zset]: "ZCARD",
};

function questionOf(name: Buffer, type: number): Command {
  if (type === redisType.string) return ["GET", name];
  if (type === redisType.list) return ["LRANGE", name, 0, listElements - 1];
  return [scanCommands[type], name, 0, "COUNT", elementCount];
}

const lettered: ReadonlyMap<string, number> = new Map([
  ["i", redisType.string],
  ["s", redisType.string],
  ["k", redisType.string],
  ["c", redisType.list],
  ["d", redisType.hash],
  ["x", redisType.hash],
  ["p", redisType.hash],
]);

/** The type of a key of JuiceFS'; `undefined` for any other name. */
function typeByName(name: string): number | undefined {
  const named = namedKeys.get(name);
  if (named !== undefined) return named.type;
  const match = /^([a-z]+)\d+(?:_\d+)?$/.exec(name);
  if (match === null) return undefined;
  return lettered.get(match[1]) ?? numberedKeys.get(match[1])?.type;
}

const typesByName: ReadonlyMap<string, number> = new Map(Object.entries(redisType));

/** `undefined` for a key that is gone, and for types that JuiceFS does not use. */
function typeOf(reply: Reply): number | undefined {
  return typesByName.get(textOf(reply) ?? "");
}

function arrayOf(reply: Reply): Reply[] {
  return Array.isArray(reply) ? reply : [];
}

function scoreOf(bytes: Buffer): number {
  const score = Number(bytes.toString("latin1").replace("inf", "Infinity"));
  if (Number.isNaN(score))
    throw new CairnError("record-invalid", "a sorted set has a score that is no number", {
      exit: "sourceUnreachable",
      unharmed: "the database was only read",
      next: "look what wrote it: JuiceFS' scores are whole numbers",
    });
  return score;
}
