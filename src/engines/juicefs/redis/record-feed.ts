import type { Consistency, Facts } from "../../../model/ports.ts";
import type { FullSync } from "../../../protocols/redis/full-sync.ts";
import { RdbParser } from "../../../protocols/redis/rdb-parser.ts";
import type { RedisSink } from "../../../protocols/redis/rdb-sink.ts";
import type { Pacer } from "../pacer.ts";
import type { PacedLink } from "./paced-link.ts";
import type { RdbFile } from "./rdb-file.ts";
import { positionOfRdb, savedAt } from "./rdb-file.ts";
import type { ScanProgress } from "./scan-reader.ts";

/** Where the keys of a volume come from. */
export interface RecordFeed extends AsyncDisposable {
  /** Hands the next keys to the sink; false when there are none. */
  advance(): Promise<boolean>;
  /** After the last key: how consistent the records are, and of when. */
  origin(): { consistency: Consistency; position: Facts };
}

export interface SyncFeedOptions {
  readonly database: number;
  readonly role: "master" | "replica";
  readonly pacer: Pacer;
  /** Where the server is to be slowed down: shut but while a piece is being waited for. */
  readonly link: PacedLink | undefined;
}

/** Keys from a full synchronisation that has begun. */
export function feedFromSync(sync: FullSync, sink: RedisSink, options: SyncFeedOptions): RecordFeed {
  const { database, role, pacer, link } = options;
  const parser = new RdbParser(sink, { database });
  let taken = 0;
  let facts: Facts = {};
  return {
    async advance() {
      // One look at an open socket brings megabytes: none is needed while some of them wait.
      if (sync.receivedBytes === taken) link?.open();
      const piece = await sync.read();
      link?.shut();
      if (piece === undefined) {
        facts = positionOfRdb(parser.finish());
        return false;
      }
      taken += piece.length;
      parser.feed(piece);
      await pacer.pass(piece.length);
      return true;
    },
    origin: () => ({
      consistency: {
        level: "snapshot",
        method: `one full synchronisation of a ${role === "replica" ? "replica" : "server"}: its state at one moment`,
      },
      position: {
        ...facts,
        replicationId: sync.replicationId,
        replicationOffset: sync.replicationOffset,
        ...(sync.serverVersion === undefined ? {} : { serverVersion: sync.serverVersion }),
      },
    }),
    [Symbol.asyncDispose]: () => sync[Symbol.asyncDispose](),
  };
}

/** Keys from a saved RDB file. */
export function feedFromFile(
  file: RdbFile,
  sink: RedisSink,
  { database, pacer }: { database: number; pacer: Pacer },
): RecordFeed {
  const parser = new RdbParser(sink, { database });
  let facts: Facts = {};
  let saved: string | undefined;
  return {
    async advance() {
      const piece = file.read();
      if (piece === undefined) {
        file.verifyUnchanged();
        const rdb = parser.finish();
        facts = positionOfRdb(rdb);
        saved = savedAt(rdb.aux);
        return false;
      }
      parser.feed(piece);
      await pacer.pass(piece.length);
      return true;
    },
    origin: () => ({
      consistency: {
        level: "snapshot",
        method: `an RDB file, the server's state at one moment${saved === undefined ? "" : `: ${saved}`}`,
      },
      position: facts,
    }),
    async [Symbol.asyncDispose]() {
      file[Symbol.dispose]();
    },
  };
}

/** Keys that a scan hands over step by step, and what it tells about each. */
export function feedFromScan(
  steps: AsyncGenerator<ScanProgress, void>,
  address: string,
  onProgress: (progress: ScanProgress) => void,
): RecordFeed {
  return {
    async advance() {
      const step = await steps.next();
      if (step.done === true) return false;
      onProgress(step.value);
      return true;
    },
    origin: () => ({
      consistency: {
        level: "none",
        method: "keys read one after the other with SCAN, while clients may write",
      },
      position: { server: address },
    }),
    async [Symbol.asyncDispose]() {
      await steps.return();
    },
  };
}
