import { CairnError } from "../../../model/errors.ts";
import type { RedisConnection } from "../../../protocols/redis/client.ts";
import { textOf } from "../../../protocols/redis/client.ts";
import { connectionLost, replyError, serverTimedOut } from "../../../protocols/redis/redis-errors.ts";
import { putSmall, putText } from "../../../protocols/redis/put-decimal.ts";
import type { RedisSink } from "../../../protocols/redis/rdb-sink.ts";
import { redisType } from "../../../protocols/redis/rdb-sink.ts";
import type { AskedKeys } from "../../../protocols/redis/reply-walker.ts";
import { ReplyRefused, ReplyWalker } from "../../../protocols/redis/reply-walker.ts";
import type { RedisSite } from "./connect.ts";
import { listedKeys } from "./key-list.ts";
import type { ListedKey } from "./key-list.ts";
import { restoreLockKey, restoreMarkerKey } from "./restore-marker.ts";
import type { ScanProgress } from "./scan-reader.ts";
import { KeyReader } from "./scan-reader.ts";

export interface ListedKeysOptions {
  readonly signal: AbortSignal;
  readonly temporaryFolder: string;
  /** Of the file with the names. */
  readonly path: string;
  readonly timeoutMs: number;
}

/** Keys of one question. */
const groupKeys = 256;
/** Elements that are asked for and not answered yet: some megabytes. */
const elementsUnderWay = 65_536;
/** A key with more is read piece by piece; the server answers for so many in some milliseconds. */
export const elementsAtOnce = 32_768;
const fieldsPerScan = 4096;

/**
 * Reads back what a restore wrote, by the names that it noted: nobody else writes there, so this gives the same as a full synchronisation at less
 * cost for the server, in the order of the keys, and without the right to replicate. That the database holds exactly as many keys
 * shows that nothing else is in it. Throws `target-lost` where it is otherwise.
 */
export async function* readListedKeys(
  site: RedisSite,
  sink: RedisSink,
  options: ListedKeysOptions,
): AsyncGenerator<ScanProgress, void> {
  const long: LongKey[] = [];
  let listed = 0;
  let done = 0;
  let isListEnded = false;
  let underWay = 0;
  const weights = new Map<AskedKeys, number>();
  const walker = new ReplyWalker(sink, (asked) => {
    underWay -= weights.get(asked) ?? 0;
    weights.delete(asked);
    done += asked.count;
  });
  const questions = questionsOf(listedKeys(options.path), long, () => listed++);
  const link = await site.connect();
  const { address, user } = link;
  const { socket } = link.detach();
  socket.setTimeout(options.timeoutMs, () =>
    socket.destroy(serverTimedOut(address, options.timeoutMs, "while a reply was awaited")),
  );
  const ask = (): void => {
    while (!isListEnded && underWay < elementsUnderWay) {
      const next = questions.next();
      if (next.done === true) {
        isListEnded = true;
        return;
      }
      const { asked, request, weight } = next.value;
      underWay += weight;
      weights.set(asked, weight);
      walker.expect(asked);
      socket.write(request);
    }
  };
  try {
    ask();
    if (weights.size > 0) {
      for await (const chunk of socket) {
        walker.feed(chunk as Buffer);
        if (underWay < elementsUnderWay / 2) ask();
        if (isListEnded && weights.size === 0) break;
        // While the taker takes, it is not the server that is silent.
        socket.setTimeout(0);
        yield { phase: "keys", done, total: listed };
        socket.setTimeout(options.timeoutMs);
      }
    }
    if (weights.size > 0) throw connectionLost(address, "(the server closed it)");
  } catch (error) {
    if (error instanceof ReplyRefused) throw replyError(error.reply, [error.command], { address, user });
    if (error instanceof Error && "syscall" in error) throw connectionLost(address, `(${error.message})`);
    throw error;
  } finally {
    socket.destroy();
  }
  const found = walker.found + (yield* readLongKeys(site, sink, long, options));
  await requireNothingElse(site, found);
}

/**
 * Hashes with HSCAN: no element comes twice, for nothing is removed from them and they do not shrink. The others, which are few, as any reader
 * of keys does.
 */
async function* readLongKeys(
  site: RedisSite,
  sink: RedisSink,
  keys: readonly LongKey[],
  { signal, temporaryFolder }: ListedKeysOptions,
): AsyncGenerator<ScanProgress, number> {
  if (keys.length === 0) return 0;
  await using connection = await site.connect();
  const reader = new KeyReader(connection, sink, site.keyPrefix.length, {
    signal,
    temporaryFolder,
    pacer: { pass: async () => {} },
  });
  let found = 0;
  for (const { type, name } of keys) {
    const progress: ScanProgress = { phase: "keys", done: found, total: keys.length };
    if (type === redisType.hash) {
      found++;
      for await (const _ of readLongHash(connection, sink, name)) yield progress;
      continue;
    }
    for (const key of await reader.ask([name])) {
      found++;
      const rest = reader.put(key);
      if (rest !== undefined) for await (const _ of rest) yield progress;
    }
  }
  return found;
}

async function* readLongHash(connection: RedisConnection, sink: RedisSink, name: Buffer): AsyncGenerator<void, void> {
  if (!sink.begin(redisType.hash, name, 0, name.length, false)) return;
  let cursor = "0";
  do {
    const reply = await connection.call("HSCAN", name, cursor, "COUNT", fieldsPerScan);
    const [next, fields] = Array.isArray(reply) ? reply : [];
    if (!Array.isArray(fields)) throw new RangeError("a reply to HSCAN of an unknown form");
    cursor = textOf(next ?? null) ?? "0";
    for (let at = 0; at + 1 < fields.length; at += 2) {
      const field = fields[at] as Buffer;
      const value = fields[at + 1] as Buffer;
      sink.field(field, 0, field.length, value, 0, value.length);
    }
    yield;
  } while (cursor !== "0");
  sink.end();
}

async function requireNothingElse(site: RedisSite, found: number): Promise<void> {
  await using connection = await site.connect();
  const keys = Number(await connection.call("DBSIZE"));
  const own = Number(await connection.call("EXISTS", restoreMarkerKey, restoreLockKey));
  if (keys - own === found) return;
  throw new CairnError(
    "target-lost",
    `the database at ${site.address} holds ${keys - own} keys, and ${found} of those that the restore wrote: something else writes to it`,
    {
      exit: "targetRefused",
      unharmed: "the volume was not published",
      next: "find out what writes there or removes keys, and restore again into an empty database",
    },
  );
}

interface LongKey {
  readonly type: number;
  readonly name: Buffer;
}

interface Question {
  readonly asked: AskedKeys;
  readonly request: Uint8Array;
  /** Elements in the answer. */
  readonly weight: number;
}

/** Neighbours of one type become one question; keys that are read otherwise go to `long`. */
function* questionsOf(keys: Iterable<ListedKey>, long: LongKey[], count: () => void): Generator<Question, void> {
  let names = new Uint8Array(groupKeys * 16);
  let offsets = new Uint32Array(groupKeys + 1);
  let type = -1;
  let size = 0;
  let weight = 0;
  const take = (): Question => {
    const asked: AskedKeys = { type, count: size, names, offsets };
    const question = { asked, request: requestOf(asked), weight };
    names = new Uint8Array(groupKeys * 16);
    offsets = new Uint32Array(groupKeys + 1);
    size = 0;
    weight = 0;
    return question;
  };
  for (const key of keys) {
    count();
    if (key.type === redisType.set || key.type === redisType.zset || key.count > elementsAtOnce) {
      long.push({ type: key.type, name: Buffer.from(key.name.subarray(0, key.nameLength)) });
      continue;
    }
    if (size > 0 && (key.type !== type || size === groupKeys || weight > elementsAtOnce)) yield take();
    ({ type } = key);
    const start = offsets[size];
    if (start + key.nameLength > names.length) {
      const grown = new Uint8Array(2 * (start + key.nameLength));
      grown.set(names);
      names = grown;
    }
    for (let at = 0; at < key.nameLength; at++) names[start + at] = key.name[at];
    offsets[++size] = start + key.nameLength;
    weight += Math.max(1, key.count);
  }
  if (size > 0) yield take();
}

/** The commands that ask for the keys. */
function requestOf({ type, count, names, offsets }: AskedKeys): Uint8Array {
  const each =
    type === redisType.list ? ["*4\r\n$6\r\nLRANGE\r\n", "$1\r\n0\r\n$2\r\n-1\r\n"] : ["*2\r\n$7\r\nHGETALL\r\n", ""];
  const out = new Uint8Array(64 + count * 64 + offsets[count]);
  let at = 0;
  if (type === redisType.string) {
    at = putText(out, at, "*");
    at = putSmall(out, at, count + 1);
    at = putText(out, at, "\r\n$4\r\nMGET\r\n");
  }
  for (let key = 0; key < count; key++) {
    if (type !== redisType.string) at = putText(out, at, each[0]);
    at = putText(out, at, "$");
    at = putSmall(out, at, offsets[key + 1] - offsets[key]);
    at = putText(out, at, "\r\n");
    for (let from = offsets[key]; from < offsets[key + 1]; from++) out[at++] = names[from];
    at = putText(out, at, "\r\n");
    if (type !== redisType.string) at = putText(out, at, each[1]);
  }
  return out.subarray(0, at);
}
