/** RDB files made by hand, for encodings that the servers at hand only read, or do not know. Written from the formats' descriptions. */

/** A length: 6, 14, 32 or 64 bits. */
export function rdbLength(length: number | bigint): Buffer {
  if (length < 64) return Buffer.from([Number(length)]);
  if (length < 16384) return Buffer.from([0x40 | (Number(length) >> 8), Number(length) & 255]);
  if (length < 4294967296) {
    const bytes = Buffer.from([0x80, 0, 0, 0, 0]);
    bytes.writeUInt32BE(Number(length), 1);
    return bytes;
  }
  const bytes = Buffer.alloc(9, 0x81);
  bytes.writeBigUInt64BE(BigInt(length), 1);
  return bytes;
}

export function rdbString(text: string | Uint8Array): Buffer {
  const bytes = typeof text === "string" ? Buffer.from(text, "latin1") : text;
  return Buffer.concat([rdbLength(bytes.length), bytes]);
}

/** A key of the type and its value, already encoded. */
export function rdbKey(type: number, key: string, ...value: Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from([type]), rdbString(key), ...value]);
}

/** A whole file without a checksum (which 0 says). */
export function rdbFile(magic: string, ...parts: Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from(magic), Buffer.from([254, 0]), ...parts, Buffer.from([255]), Buffer.alloc(8)]);
}

const u16 = (value: number): Buffer => Buffer.from([value & 255, value >> 8]);
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const i64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(value);
  return bytes;
};

/** The element of a ziplist for a text or a number, without the length of the one before. */
function ziplistElement(value: string | bigint): Buffer {
  if (typeof value === "string") {
    const bytes = Buffer.from(value, "latin1");
    if (bytes.length < 64) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
    if (bytes.length < 16384)
      return Buffer.concat([Buffer.from([0x40 | (bytes.length >> 8), bytes.length & 255]), bytes]);
    const length = Buffer.from([0x80, 0, 0, 0, 0]);
    length.writeUInt32BE(bytes.length, 1);
    return Buffer.concat([length, bytes]);
  }
  if (value >= 0n && value <= 12n) return Buffer.from([0xf1 + Number(value)]);
  const whole = i64(value);
  if (value >= -128n && value < 128n) return Buffer.from([0xfe, whole[0]]);
  if (value >= -32768n && value < 32768n) return Buffer.from([0xc0, ...whole.subarray(0, 2)]);
  if (value >= -8388608n && value < 8388608n) return Buffer.from([0xf0, ...whole.subarray(0, 3)]);
  if (value >= -2147483648n && value < 2147483648n) return Buffer.from([0xd0, ...whole.subarray(0, 4)]);
  return Buffer.from([0xe0, ...whole]);
}

function ziplist(values: readonly (string | bigint)[]): Buffer {
  const parts: Buffer[] = [];
  let before = 0;
  let tail = 10;
  let at = 10;
  for (const value of values) {
    const link = before < 254 ? Buffer.from([before]) : Buffer.concat([Buffer.from([254]), u32(before)]);
    const part = Buffer.concat([link, ziplistElement(value)]);
    parts.push(part);
    tail = at;
    at += part.length;
    before = part.length;
  }
  return Buffer.concat([u32(at + 1), u32(tail), u16(values.length), ...parts, Buffer.from([255])]);
}

function zipmap(pairs: readonly (readonly [string, string])[]): Buffer {
  const length = (text: string): Buffer =>
    text.length < 254 ? Buffer.from([text.length]) : Buffer.concat([Buffer.from([254]), u32(text.length)]);
  const parts = pairs.map(([name, value], at) => {
    const free = at % 3;
    return Buffer.concat([
      length(name),
      Buffer.from(name, "latin1"),
      length(value),
      Buffer.from([free]),
      Buffer.from(value, "latin1"),
      Buffer.alloc(free, 0x2a),
    ]);
  });
  return Buffer.concat([Buffer.from([Math.min(254, pairs.length)]), ...parts, Buffer.from([255])]);
}

/** A listpack of texts and numbers. */
function listpack(values: readonly (string | bigint)[]): Buffer {
  const parts = values.map((value) => {
    const element = listpackElement(value);
    return Buffer.concat([element, backLength(element.length)]);
  });
  const bytes = 7 + parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([u32(bytes), u16(values.length), ...parts, Buffer.from([255])]);
}

function listpackElement(value: string | bigint): Buffer {
  if (typeof value === "bigint") {
    const whole = i64(value);
    if (value >= 0n && value < 128n) return Buffer.from([Number(value)]);
    if (value >= -4096n && value < 4096n) {
      const bits = Number(BigInt.asUintN(13, value));
      return Buffer.from([0xc0 | (bits >> 8), bits & 255]);
    }
    if (value >= -32768n && value < 32768n) return Buffer.from([0xf1, ...whole.subarray(0, 2)]);
    if (value >= -8388608n && value < 8388608n) return Buffer.from([0xf2, ...whole.subarray(0, 3)]);
    if (value >= -2147483648n && value < 2147483648n) return Buffer.from([0xf3, ...whole.subarray(0, 4)]);
    return Buffer.from([0xf4, ...whole]);
  }
  const bytes = Buffer.from(value, "latin1");
  if (bytes.length < 64) return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
  if (bytes.length < 4096) return Buffer.concat([Buffer.from([0xe0 | (bytes.length >> 8), bytes.length & 255]), bytes]);
  return Buffer.concat([Buffer.from([0xf0]), u32(bytes.length), bytes]);
}

function backLength(length: number): Buffer {
  if (length <= 127) return Buffer.from([length]);
  const groups: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 128)) groups.unshift(rest % 128);
  return Buffer.from(groups.map((group, at) => (at === 0 ? group : group | 128)));
}

/** Every encoding of before Redis 7.0 that 7.0 still reads. */
export function oldEncodings(): Buffer {
  const values = [
    "",
    "a",
    "text",
    "x".repeat(300),
    "y".repeat(20_000),
    0n,
    12n,
    13n,
    -1n,
    127n,
    -129n,
    40_000n,
    -8388609n,
    1n << 40n,
  ];
  const pairs = values.flatMap((value, at) => [`name ${at}`, value]);
  const scores = values.flatMap((_, at) => [`member ${at}`, at % 2 === 0 ? BigInt(at * 1000) : `${at}.5`]);
  return rdbFile(
    "REDIS0009",
    rdbKey(10, "list:ziplist", rdbString(ziplist(values))),
    rdbKey(13, "hash:ziplist", rdbString(ziplist(pairs))),
    rdbKey(12, "zset:ziplist", rdbString(ziplist(scores))),
    rdbKey(
      9,
      "hash:zipmap",
      rdbString(
        zipmap([
          ["a", "1"],
          ["name", ""],
          ["long", "v".repeat(400)],
          ["z", "last"],
        ]),
      ),
    ),
    rdbKey(14, "list:quicklist", rdbLength(2), rdbString(ziplist(values)), rdbString(ziplist(["tail", 7n]))),
    rdbKey(1, "list:plain", rdbLength(3), rdbString("one"), rdbString("two"), Buffer.from([0xc0, 0xff])),
    rdbKey(
      3,
      "zset:text",
      rdbLength(4),
      rdbString("one"),
      rdbString("1.25"),
      rdbString("two"),
      rdbString("-3e10"),
      rdbString("most"),
      Buffer.from([254]),
      rdbString("least"),
      Buffer.from([255]),
    ),
    Buffer.from([253, 0, 0, 0, 0x7f]),
    rdbKey(0, "expires:seconds", rdbString("value")),
    Buffer.from([248, 5]),
    Buffer.from([252, 0, 0, 0, 0, 0, 0x7f, 0, 0]),
    Buffer.from([249, 9]),
    rdbKey(0, "expires:milliseconds", rdbString("value")),
  );
}

/** Hashes whose fields have times, as Redis 7.4 and 8 write them: with their content as text. */
export function timedHashes(): Buffer {
  const field = (name: string, value: string): Buffer[] => [rdbString(name), rdbString(value)];
  const later = i64(1n << 41n);
  return rdbFile(
    "REDIS0012",
    rdbKey(
      22,
      "metadata before",
      rdbLength(2),
      rdbLength(0),
      ...field("a", "1"),
      rdbLength(1n << 41n),
      ...field("b", "2"),
    ),
    rdbKey(23, "listpack before", rdbString(listpack(["a", 1n, 0n, "b", "2", 1n << 41n]))),
    rdbKey(24, "metadata", later, rdbLength(2), rdbLength(0), ...field("a", "1"), rdbLength(5), ...field("b", "2")),
    rdbKey(25, "listpack", later, rdbString(listpack(["a", 1n, 0n, "b", "2", 1n << 41n]))),
    rdbKey(4, "plain", rdbLength(1), ...field("a", "1")),
  );
}

/** The same of Valkey 9, with slots that are being imported. */
export function valkeyHashes(): Buffer {
  return rdbFile(
    "VALKEY080",
    Buffer.concat([Buffer.from([243]), rdbString("job"), rdbLength(1), rdbLength(5), rdbLength(9)]),
    Buffer.concat([Buffer.from([244]), rdbLength(3), rdbLength(1), rdbLength(0)]),
    rdbKey(
      22,
      "hash",
      rdbLength(2),
      rdbString("a"),
      rdbString("1"),
      i64(-1n),
      rdbString("b"),
      rdbString("2"),
      i64(1n << 41n),
    ),
  );
}
