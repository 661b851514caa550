import assert from "node:assert/strict";
import { mkdtempDisposableSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { VolumeRecords } from "../../src/engines/juicefs/redis/volume-records.ts";
import { releaseBatch } from "../../src/model/batch.ts";
import { CairnError } from "../../src/model/errors.ts";
import { Crc64 } from "../../src/protocols/redis/crc64.ts";
import { RdbParser } from "../../src/protocols/redis/rdb-parser.ts";
import type { RedisSink } from "../../src/protocols/redis/rdb-sink.ts";
import { counts } from "../counts.ts";
import { redisVersions } from "../peers/redis-programs.ts";
import { startRedis } from "../peers/redis.ts";
import { oldEncodings, timedHashes, valkeyHashes } from "../support/rdb-builder.ts";
import { addFunctions, fillEncodings } from "../support/redis-encodings.ts";
import { writeVolumeKeys } from "../support/redis-volume-keys.ts";
import { seededRandom } from "../volumes/seeded-random.ts";
import type { SeededRandom } from "../volumes/seeded-random.ts";

const seed = Number(process.env["CAIRN_FUZZ_SEED"] ?? 20261121);
const stringBytesMax = 1 << 20;
const inputMsMax = 2000;
/** Two strings of the bound in a window that grows by doubling, and the same expanded. */
const parserBytesMax = 10 << 20;
/** What may be left of all runs together. */
const leftBytesMax = 32 << 20;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const inputs: { name: string; bytes: Buffer; isVolume: boolean }[] = [];

async function savedWith(
  version: (typeof redisVersions)[number],
  config: readonly string[],
  fill: (server: Awaited<ReturnType<typeof startRedis>>) => Promise<void>,
): Promise<Buffer> {
  await using server = await startRedis({ version, config });
  await fill(server);
  await server.command("SAVE");
  return readFileSync(join(server.folder, "dump.rdb"));
}

before(async () => {
  for (const version of redisVersions) {
    for (const config of [[], ["rdbcompression no", "list-max-ziplist-size 4", "hash-max-ziplist-entries 4"]]) {
      const name = `Redis ${version} ${config.join()}`;
      const encodings = await savedWith(version, config, async (server) => {
        await using first = await server.connect(0);
        await fillEncodings(first);
        await addFunctions(first);
        await using other = await server.connect(3);
        await other.command("SET", "other", "database");
      });
      const volume = await savedWith(version, config, async (server) => {
        await using connection = await server.connect(0);
        await writeVolumeKeys(connection);
      });
      inputs.push({ name, bytes: encodings, isVolume: false }, { name, bytes: volume, isVolume: true });
    }
  }
  inputs.push(
    { name: "old encodings", bytes: withChecksum(oldEncodings()), isVolume: false },
    { name: "timed hashes", bytes: withChecksum(timedHashes()), isVolume: false },
    { name: "hashes of Valkey", bytes: withChecksum(valkeyHashes()), isVolume: false },
  );
});

/** The same with the right checksum in its last eight bytes. */
function withChecksum(rdb: Buffer): Buffer {
  const result = Buffer.from(rdb);
  if (result.length < 8) return result;
  const crc = new Crc64();
  crc.update(result, 0, result.length - 8);
  result.writeUInt32LE(crc.low, result.length - 8);
  result.writeUInt32LE(crc.high, result.length - 4);
  return result;
}

const extremes = [0, 1, 4, 12, 18, 0x3f, 0x40, 0x7f, 0x80, 0x81, 0xc0, 0xc3, 0xf0, 0xf4, 0xfa, 0xfc, 0xfe, 0xff];

/** Bits, bytes that mean something, stretches moved, doubled, cut or taken from another input. */
function mutate(random: SeededRandom, bytes: Buffer): Buffer {
  let result = Buffer.from(bytes);
  for (let left = 1 + random.below(4); left > 0 && result.length > 9; left--) {
    const at = random.below(20) === 0 ? random.below(result.length) : 9 + random.below(result.length - 9);
    const length = 1 + random.below(Math.min(64, result.length - at));
    switch (random.below(8)) {
      case 0:
        result[at] ^= 1 << random.below(8);
        break;
      case 1:
        result[at] = random.pick(extremes);
        break;
      case 2:
        result.fill(random.pick([0x80, 0x81, 0xff, 0x7f]), at, at + Math.min(9, length));
        break;
      case 3:
        result = Buffer.concat([result.subarray(0, at), result.subarray(at + length)]);
        break;
      case 4:
        result = Buffer.concat([result.subarray(0, at + length), result.subarray(at)]);
        break;
      case 5:
        result = random.below(4) === 0 ? result.subarray(0, at) : result;
        break;
      case 6: {
        const other = random.pick(inputs).bytes;
        const from = random.below(other.length);
        other.copy(result, at, from, from + Math.min(length * 4, result.length - at));
        break;
      }
      default:
        result.set(random.bytes(length), at);
    }
  }
  return Buffer.from(result);
}

/** Everything that a sink is told, as one sum: much faster than to keep it. */
function summingSink(): RedisSink & { sum: Crc64; calls: number } {
  const sum = new Crc64();
  const length = new Uint8Array(8);
  const take = (bytes: Uint8Array, start: number, end: number): void => {
    length[0] = end - start;
    length[1] = (end - start) >>> 8;
    length[2] = (end - start) >>> 16;
    sum.update(length, 0, 8);
    sum.update(bytes, start, end);
    sink.calls++;
  };
  const sink = {
    sum,
    calls: 0,
    begin(type: number, bytes: Uint8Array, start: number, end: number) {
      sum.update(Uint8Array.of(type), 0, 1);
      take(bytes, start, end);
      return true;
    },
    string: take,
    element: take,
    field(name: Uint8Array, nameStart: number, nameEnd: number, value: Uint8Array, start: number, end: number) {
      take(name, nameStart, nameEnd);
      take(value, start, end);
    },
    member(bytes: Uint8Array, start: number, end: number, score: number) {
      take(bytes, start, end);
      sum.update(new Uint8Array(Float64Array.of(score).buffer), 0, 8);
    },
    end: () => void sink.calls++,
  };
  return sink;
}

/** Parses in pieces of the given lengths, over and over; what was read comes back as a text to compare. */
function parseRdb(bytes: Buffer, database = 0, cuts: readonly number[] = [bytes.length]): string {
  const sink = summingSink();
  const parser = new RdbParser(sink, { database, stringBytesMax });
  try {
    for (let at = 0, cut = 0; at < bytes.length; cut++) {
      const length = cuts[cut % cuts.length];
      parser.feed(bytes.subarray(at, at + length));
      at += length;
    }
  } finally {
    assert.ok(parser.heldBytes <= parserBytesMax, `the parser holds ${parser.heldBytes} bytes`);
  }
  const { keys } = parser.finish();
  return `${sink.calls} calls, sum ${sink.sum.high} ${sink.sum.low}, ${JSON.stringify([...keys])}`;
}

type Outcome = { error: CairnError } | { value: unknown };

function outcomeOf(run: () => unknown): Outcome {
  try {
    return { value: run() };
  } catch (error) {
    if (error instanceof CairnError) return { error };
    throw error;
  }
}

function readAsVolume(bytes: Buffer, temporaryFolder: string): number {
  using volume = new VolumeRecords({
    prefix: "",
    keepSecrets: true,
    volumeId: "5c5bd6ae-3b7a-4d0f-9d86-6f6f1f0f3a11",
    temporaryFolder,
  });
  const parser = new RdbParser(volume.records, { database: 0, stringBytesMax });
  parser.feed(bytes);
  parser.finish();
  volume.finish().toArray();
  volume.summary();
  let records = 0;
  for (let batch = volume.take(); batch !== undefined; batch = volume.take()) {
    records += batch.count;
    releaseBatch(batch);
  }
  return records;
}

function cutsOf(random: SeededRandom): number[] {
  return Array.from({ length: 1 + random.below(5) }, () => 1 + random.below(random.pick([3, 100, 5000, 200_000])));
}

test("RDB files: a mutation is refused, or read as some whole RDB, the same in any cut, within bounds", (context) => {
  using folder = mkdtempDisposableSync(join(tmpdir(), "cairn-fuzz-"));
  const random = seededRandom(seed);
  for (const { name, bytes, isVolume } of inputs) {
    assert.doesNotMatch(parseRdb(bytes), /^0 calls/, name);
    if (isVolume) assert.ok(readAsVolume(bytes, folder.path) > 100, name);
  }
  const end = performance.now() + counts.rdbFuzzSeconds * 1000;
  const leftBefore = left();
  let runs = 0;
  let accepted = 0;
  let volumes = 0;
  for (; performance.now() < end; runs++) {
    const { bytes, isVolume } = random.pick(inputs);
    const mutation = mutate(random, bytes);
    const isSame = mutation.equals(bytes);
    const began = performance.now();
    try {
      // A wrong checksum is always found.
      const unsealed = outcomeOf(() => parseRdb(mutation));
      assert.ok(isSame || "error" in unsealed, "a mutation with a wrong checksum is accepted");
      // With the right one, the structure alone decides.
      const sealed = withChecksum(mutation);
      const whole = outcomeOf(() => parseRdb(sealed));
      const cut = outcomeOf(() => parseRdb(sealed, 0, cutsOf(random)));
      assert.equal("error" in whole, "error" in cut, "a cut changes whether it is accepted");
      if ("error" in whole) {
        assert.match(whole.error.code, /^rdb-(?:damaged|unsupported)$/);
        assert.equal("error" in cut ? cut.error.message : "", whole.error.message);
      } else {
        accepted++;
        assert.deepEqual(cut, whole, "a cut changes what is read");
      }
      // Passed over whole, it is accepted or refused, too.
      outcomeOf(() => parseRdb(sealed, 9, cutsOf(random)));
      if (isVolume && "value" in outcomeOf(() => readAsVolume(sealed, folder.path))) volumes++;
    } catch (error) {
      context.diagnostic(`seed ${seed}, run ${runs}: ${mutation.toString("base64").slice(0, 4000)}`);
      throw error;
    }
    assert.ok(performance.now() - began < inputMsMax * 4, `run ${runs} took too long`);
    if (runs % 500 === 499) {
      const grown = left() - leftBefore;
      assert.ok(grown < leftBytesMax, `${grown} bytes are left`);
    }
  }
  context.diagnostic(`seed ${seed}: ${runs} inputs, ${accepted} of them accepted, ${volumes} as volumes`);
  assert.ok(accepted > 0);
});

/** Bytes that are in use once the garbage is collected. */
function left(): number {
  // The first collection hands buffers to a thread that frees them, the second waits for it.
  collectGarbage();
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
