/** The keys of a Redis database as plain values: read with commands, and gathered from what a parser says. */
import { RdbParser } from "../../src/protocols/redis/rdb-parser.ts";
import type { RdbFacts } from "../../src/protocols/redis/rdb-parser.ts";
import type { RedisSink } from "../../src/protocols/redis/rdb-sink.ts";
import type { RedisConnection } from "../peers/redis-connection.ts";

/** Each key with its type and its contents as text, one byte a character; sets, hashes and sorted sets in sorted order. */
export type RedisContents = Map<string, { type: string; values: string[] }>;

const types = ["string", "list", "set", "zset", "hash"];

/** A sink that keeps everything. */
function gatheringSink(): RedisSink & { contents: RedisContents } {
  const contents: RedisContents = new Map();
  let name = "";
  let type = "";
  let values: string[] = [];
  const text = (bytes: Uint8Array, start: number, end: number): string =>
    Buffer.from(bytes.subarray(start, end)).toString("latin1");
  return {
    contents,
    begin(number, bytes, start, end) {
      name = text(bytes, start, end);
      type = types[number];
      values = [];
      return true;
    },
    string: (bytes, start, end) => void values.push(text(bytes, start, end)),
    element: (bytes, start, end) => void values.push(text(bytes, start, end)),
    field: (field, fieldStart, fieldEnd, value, start, end) =>
      void values.push(`${text(field, fieldStart, fieldEnd)}=${text(value, start, end)}`),
    member: (bytes, start, end, score) => void values.push(`${text(bytes, start, end)}=${score}`),
    end() {
      contents.set(name, { type, values: type === "list" ? values : values.toSorted() });
    },
  };
}

/** Parses an RDB in pieces of the given lengths, over and over. */
export function parseRdb(
  bytes: Uint8Array,
  {
    database = 0,
    cuts = [bytes.length],
    stringBytesMax,
  }: { database?: number; cuts?: readonly number[]; stringBytesMax?: number } = {},
): { contents: RedisContents; facts: RdbFacts } {
  const sink = gatheringSink();
  const parser = new RdbParser(sink, { database, ...(stringBytesMax === undefined ? {} : { stringBytesMax }) });
  let cut = 0;
  for (let at = 0; at < bytes.length;) {
    const length = Math.max(1, cuts[cut++ % cuts.length]);
    // A copy that is overwritten: what the parser keeps must be its own.
    const piece = Uint8Array.prototype.slice.call(bytes, at, at + length);
    parser.feed(piece);
    piece.fill(0xee);
    at += length;
  }
  return { contents: sink.contents, facts: parser.finish() };
}

/** Reads every key of the connection's database, but for streams. */
export async function readContents(connection: RedisConnection): Promise<RedisContents> {
  const contents: RedisContents = new Map();
  for (const name of (await connection.command("KEYS", "*")) as Buffer[]) {
    const type = String(await connection.command("TYPE", name));
    const values = await valuesOf(connection, name, type);
    if (values !== undefined) contents.set(name.toString("latin1"), { type, values });
  }
  return contents;
}

async function valuesOf(connection: RedisConnection, name: Buffer, type: string): Promise<string[] | undefined> {
  const texts = async (...words: (string | Uint8Array)[]): Promise<string[]> =>
    ((await connection.command(...words)) as Buffer[]).map((value) => value.toString("latin1"));
  const pairs = (flat: string[], value: (text: string) => string = (same) => same): string[] =>
    flat.flatMap((text, at) => (at % 2 === 0 ? [`${text}=${value(flat[at + 1])}`] : [])).toSorted();
  switch (type) {
    case "string":
      return [((await connection.command("GET", name)) as Buffer).toString("latin1")];
    case "list":
      return await texts("LRANGE", name, "0", "-1");
    case "set":
      return (await texts("SMEMBERS", name)).toSorted();
    case "hash":
      return pairs(await texts("HGETALL", name));
    case "zset":
      return pairs(await texts("ZRANGE", name, "0", "-1", "WITHSCORES"), (text) =>
        String(Number(text.replace("inf", "Infinity"))),
      );
    default:
      return undefined;
  }
}
