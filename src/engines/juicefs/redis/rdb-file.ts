import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { CairnError, messageOf } from "../../../model/errors.ts";
import type { Facts } from "../../../model/ports.ts";
import type { RdbFacts } from "../../../protocols/redis/rdb-parser.ts";
import { RdbParser } from "../../../protocols/redis/rdb-parser.ts";
import type { RedisSink } from "../../../protocols/redis/rdb-sink.ts";
import { redisType } from "../../../protocols/redis/rdb-sink.ts";

const pieceBytes = 1 << 20;

/** An RDB file, open for reading. */
export interface RdbFile extends Disposable {
  readonly path: string;
  readonly bytes: number;
  /** The next bytes, valid until the next call; undefined at the end. */
  read(): Uint8Array | undefined;
  /** From the beginning again. */
  rewind(): void;
  /** Throws `source-changed` when the file is not the one that was opened any more. */
  verifyUnchanged(): void;
}

/** Throws `rdb-unreadable`. */
export function openRdbFile(path: string): RdbFile {
  let file: number;
  try {
    // A named pipe that nobody writes to would be waited for, beyond every signal.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw unreadable(path, messageOf(error));
  }
  const before = fstatSync(file);
  if (!before.isFile()) {
    closeSync(file);
    throw unreadable(path, "it is no file");
  }
  const piece = new Uint8Array(pieceBytes);
  let position = 0;
  return {
    path,
    bytes: before.size,
    read() {
      const count = readSync(file, piece, 0, pieceBytes, position);
      position += count;
      return count === 0 ? undefined : piece.subarray(0, count);
    },
    rewind() {
      position = 0;
    },
    verifyUnchanged() {
      const now = fstatSync(file);
      if (now.size === before.size && now.mtimeMs === before.mtimeMs) return;
      throw new CairnError("source-changed", `the file ${path} changed while it was being read`, {
        unharmed: "it was only read",
        next: "copy it to a place where nobody writes to it, or wait until it is complete",
        exit: "sourceUnreachable",
      });
    },
    [Symbol.dispose]: () => closeSync(file),
  };
}

function unreadable(path: string, why: string): CairnError {
  return new CairnError("rdb-unreadable", `the RDB file ${path} cannot be read: ${why}`, {
    unharmed: "nothing was read or written",
    next: "check its path and its permissions",
    exit: "sourceUnreachable",
  });
}

/** Where a volume is in an RDB. */
export interface RdbVolume {
  readonly database: number;
  readonly prefix: string;
  /** The setting's JSON. */
  readonly setting: string;
  readonly serverVersion: string | undefined;
  /** When the server saved it. */
  readonly savedAt: string | undefined;
}

/** Ends a parse early. */
const found = new Error("the setting was found");

/**
 * Looks for the setting of the volume in database `number` of an RDB file: under `setting` there, or, for a file of a cluster's member, under
 * `{number}setting` in database 0. Reads up to it. Throws `not-formatted`, `rdb-damaged`, `rdb-unsupported`.
 */
export function findVolumeInRdb(file: RdbFile, number: number): RdbVolume {
  const clusterPrefix = `{${number}}`;
  let volume: RdbVolume | undefined;
  let prefix = "";
  const sink: RedisSink = {
    begin(type, bytes, start, end) {
      if (type !== redisType.string || end - start > clusterPrefix.length + 7) return false;
      const key = Buffer.from(bytes.subarray(start, end)).toString("latin1");
      prefix = key === "setting" ? "" : clusterPrefix;
      return key === `${prefix}setting` && parser.database === (prefix === "" ? number : 0);
    },
    string(bytes, start, end) {
      volume = {
        database: parser.database,
        prefix,
        setting: Buffer.from(bytes.subarray(start, end)).toString(),
        serverVersion: parser.aux.get("valkey-ver") ?? parser.aux.get("redis-ver"),
        savedAt: savedAt(parser.aux),
      };
      throw found;
    },
    element: () => {},
    field: () => {},
    member: () => {},
    end: () => {},
  };
  const parser = new RdbParser(sink, { database: undefined, unsummed: true });
  let facts: RdbFacts | undefined;
  try {
    file.rewind();
    for (let piece = file.read(); piece !== undefined; piece = file.read()) parser.feed(piece);
    facts = parser.finish();
  } catch (error) {
    if (error !== found) throw error;
  }
  file.rewind();
  if (volume !== undefined) return volume;
  const databases = [...(facts?.keys ?? [])].map(([database, keys]) => `${database} (${keys} keys)`);
  const holds = databases.length === 0 ? "it holds no keys" : `it holds keys in database ${databases.join(", ")}`;
  throw new CairnError("not-formatted", `database ${number} in ${file.path} holds no JuiceFS volume: ${holds}`, {
    unharmed: "the file was only read",
    next: "give the URL with the volume's database number, as JuiceFS' clients have it",
    exit: "sourceUnreachable",
  });
}

/** What an RDB says of itself, for the manifest. */
export function positionOfRdb({ aux, version, isValkey, hasChecksum }: RdbFacts): Facts {
  const position: Facts = { rdbVersion: version, rdbChecksum: hasChecksum };
  const names = { "redis-ver": "serverVersion", "valkey-ver": "serverVersion", "used-mem": "usedMemory" } as const;
  for (const [name, fact] of Object.entries(names)) {
    const value = aux.get(name);
    if (value !== undefined) position[fact] = value;
  }
  const saved = savedAt(aux);
  if (saved !== undefined) position["savedAt"] = saved;
  for (const [name, fact] of [
    ["repl-id", "replicationId"],
    ["repl-offset", "replicationOffset"],
  ]) {
    const value = aux.get(name);
    if (value !== undefined) position[fact] = value;
  }
  if (isValkey) position["server"] = "Valkey";
  return position;
}

/** When the server began to save it. */
export function savedAt(aux: ReadonlyMap<string, string>): string | undefined {
  const seconds = Number(aux.get("ctime") ?? Number.NaN);
  return Number.isSafeInteger(seconds) && seconds > 0 && seconds < 1e11
    ? new Date(seconds * 1000).toISOString()
    : undefined;
}
