import type { RedisConnection } from "../peers/redis-connection.ts";

/** Numbers at the bounds of every width that an encoding has. */
const numbers = [
  0, 1, -1, 12, 13, 127, 128, -128, -129, 4095, 4096, -4096, -4097, 32767, 32768, -32768, -32769, 8388607, 8388608,
  -8388608, -8388609, 2147483647, 2147483648, -2147483648, -2147483649,
].map(String);
const longNumbers = ["9007199254740993", "9223372036854775807", "-9223372036854775808", "18446744073709551615"];
/** Not compressible, compressible, all bytes, and long enough for each form of a length. */
const texts = [
  "",
  "a",
  "x".repeat(63),
  "y".repeat(64),
  Buffer.from(Array.from({ length: 256 }, (_, at) => at)).toString("latin1"),
  Array.from({ length: 200 }, (_, at) => `word${at % 7} `).join(""),
  "z".repeat(5000),
  Array.from({ length: 3000 }, (_, at) => String.fromCharCode((at * at * 31 + at) % 251)).join(""),
];

const values = [...numbers, ...longNumbers, ...texts];

/**
 * Fills a database with keys in every encoding that the server writes: small ones (listpack, or ziplist before 7.0; intset) and large ones
 * (hash table, skip list, quicklist), compressed strings, numbers of all widths, expiry, and a stream with groups.
 */
export async function fillEncodings(connection: RedisConnection): Promise<void> {
  const command = (...words: (string | Uint8Array)[]): Promise<unknown> =>
    connection.command(...words.map((word) => (typeof word === "string" ? Buffer.from(word, "latin1") : word)));
  for (const [at, value] of values.entries()) await command("SET", `string:${at}`, value);
  for (const value of ["1", "longer than twenty characters, aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"])
    await command("SET", value, "key");
  await command("SET", "expires", "later", "PX", "100000000");
  await command("SET", "expires:too", "later", "EX", "100000000");
  const short = values.filter((value) => value.length < 60);
  await command("RPUSH", "list:small", ...short);
  await command(
    "RPUSH",
    "list:large",
    ...values,
    ...values,
    ...Array.from({ length: 3000 }, (_, at) => `element ${at}`),
  );
  await command("RPUSH", "list:plain", "p".repeat(20_000), "q", "r".repeat(12_000));
  await command("SADD", "set:int16", "1", "-5", "32767");
  await command("SADD", "set:int32", "1", "-5", "2147483647");
  await command("SADD", "set:int64", "1", "-5", "9223372036854775807");
  await command("SADD", "set:small", ...short);
  await command("SADD", "set:large", ...values, ...Array.from({ length: 600 }, (_, at) => `member ${at}`));
  const pairs = (list: readonly string[]): string[] =>
    list.flatMap((value, at) => [value, list[(at * 7 + 3) % list.length]]);
  await command("HSET", "hash:small", ...pairs(short));
  await command(
    "HSET",
    "hash:large",
    ...pairs(values),
    ...pairs(Array.from({ length: 600 }, (_, at) => `field ${at}`)),
  );
  const scores = ["0", "1", "-1.5", "3.141592653589793", "1e300", "-inf", "+inf", "1795264395", "4611686018427387904"];
  const members = (count: number): string[] =>
    Array.from({ length: count }, (_, at) => [scores[at % scores.length], `member ${at}`]).flat();
  await command("ZADD", "zset:small", ...members(20));
  await command("ZADD", "zset:large", ...members(400), "5", "m".repeat(100));
  for (let at = 1; at <= 300; at++) await command("XADD", "stream", `${at}-1`, "field", `value ${at}`, "other", "1");
  await command("XGROUP", "CREATE", "stream", "group", "0");
  await command("XREADGROUP", "GROUP", "group", "one", "COUNT", "7", "STREAMS", "stream", ">");
  await command("XREADGROUP", "GROUP", "group", "two", "COUNT", "5", "STREAMS", "stream", ">");
  await command("XDEL", "stream", "3-1");
  await command("SET", "last", "of all");
}

/** What a server has beside its databases: a library of functions, where it knows them. */
export async function addFunctions(connection: RedisConnection): Promise<void> {
  try {
    await connection.command(
      "FUNCTION",
      "LOAD",
      `#!lua name=testing\nredis.register_function('answer', function() return 42 end) -- ${"comment ".repeat(50)}`,
    );
  } catch {
    // Before 7.0.
  }
}
