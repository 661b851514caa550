import type { Batch } from "../../../model/batch.ts";
import { transferablesOf } from "../../../model/batch.ts";
import { CairnError } from "../../../model/errors.ts";
import type { MysqlConnection } from "../../../protocols/mysql/connection.ts";
import { sendNote, serveCalls } from "../thread-calls.ts";
import { markerTable } from "../sql/volume-schema.ts";
import type { Builder, BuilderOptions } from "./builder.ts";
import { openBuilder } from "./builder.ts";
import type { EngineContext } from "./engine-error.ts";
import { engineError, unknownEnd } from "./engine-error.ts";
import { endConnections, lockTarget, nameConnections } from "./lock.ts";
import type { MadeNames } from "./made-tables.ts";
import { openMadeTables } from "./made-tables.ts";
import type { Marker } from "./marker.ts";
import { dropMade, putMarker } from "./marker.ts";
import type { NameCheck } from "./name-check.ts";
import { openNameCheck } from "./name-check.ts";
import { isSealedTarget, requireEmptyTarget } from "./prepare-target.ts";
import { contextOf, foldedUrl, literal, openSession, quoted } from "./session.ts";
import type { LoadWay } from "./table-loader.ts";
import { findLoadWay } from "./table-loader.ts";
import type { MysqlUrl } from "./url.ts";
import { watched } from "./watch.ts";

export interface ConnectRequest {
  /** Names this restore, and its connections. */
  readonly restore: string;
  readonly url: MysqlUrl;
  readonly discardUnfinished: boolean;
}

export interface BeginRequest extends BuilderOptions {
  readonly marker: Marker;
}

export interface DiscardRequest {
  readonly url: MysqlUrl;
  readonly restore: string;
  readonly made: MadeNames;
}

/** Sent while indexes are made. */
export interface IndexNote {
  readonly indexes: number;
  readonly total: number;
}

/** Sent while tables are made. */
export interface MadeNote {
  readonly made: MadeNames;
}

/** The calls that `target.ts` makes, in this order. */
export interface TargetCalls {
  /**
   * Logs in, takes the lock, and refuses what is not empty. Writes nothing, but for the removal of an unfinished restore. Gives the URL with the prefix
   * in the server's letters: the one of all later calls.
   */
  connect(request: ConnectRequest): Promise<MysqlUrl>;
  /** Batches of table `xattr`; `undefined` ends them. */
  checkNames(batch: Batch | undefined): Promise<void>;
  begin(request: BeginRequest): Promise<void>;
  write(batch: Batch): Promise<void>;
  finish(nothing: undefined): Promise<void>;
  /** Writes the setting, reads it back and commits it: from here on it is a volume. Throws `proof-failed`. */
  seal(setting: string): Promise<void>;
  /** It is a volume: takes the marker away. */
  unmark(nothing: undefined): Promise<void>;
  /** Removes what a restore wrote, in a thread of its own: the one that wrote may have ended in the middle. */
  discard(request: DiscardRequest): Promise<void>;
}

interface Target {
  readonly url: MysqlUrl;
  readonly context: EngineContext;
  /** Holds the lock. */
  readonly rows: MysqlConnection;
  /** For rows, too: two threads of the server fill a table faster than one. */
  readonly moreRows: MysqlConnection;
  readonly indexes: MysqlConnection;
  readonly way: LoadWay;
}

let target: Target | undefined;
let nameCheck: NameCheck | undefined;
let builder: Builder | undefined;

/** Does a step with the server; what it says comes out as an error of ours. */
async function step<Result>(run: (target: Target) => Promise<Result>): Promise<Result> {
  if (target === undefined) throw new Error("nothing is connected");
  try {
    return await run(target);
  } catch (error) {
    throw engineError(target.context, error);
  }
}

function begun(): Builder {
  if (builder === undefined) throw new Error("nothing was begun");
  return builder;
}

const handlers: TargetCalls = {
  async connect({ url: given, restore, discardUnfinished }) {
    const context = contextOf(given, "target");
    try {
      const rows = await openSession(given, context, { localData: true });
      const url = await foldedUrl(rows, given);
      const way = await findLoadWay(rows);
      const moreRows = await openSession(url, context, { localData: true });
      const indexes = await openSession(url, context);
      target = { url, context, rows, moreRows, indexes, way };
      await lockTarget(rows, context, url.tablePrefix);
      await nameConnections([rows, moreRows, indexes], restore);
      await requireEmptyTarget(rows, context, url.tablePrefix, discardUnfinished);
      return url;
    } catch (error) {
      throw engineError(context, error);
    }
  },

  checkNames: (batch) =>
    step(async ({ rows, context, way }) => {
      nameCheck ??= await openNameCheck(rows, context, way);
      if (batch === undefined) await nameCheck?.end();
      else await nameCheck?.see(batch);
    }),

  begin: ({ marker, ...options }) =>
    step(async ({ rows, moreRows, indexes, way, url, context }) => {
      const made = openMadeTables(context, (names) => sendNote({ made: names } satisfies MadeNote));
      await putMarker(rows, url.tablePrefix, marker, made);
      builder = openBuilder({ rows: [rows, moreRows], indexes }, way, options);
      await builder.createTables(made);
    }),

  write: (batch) =>
    step(async () => {
      await begun().write(batch);
      // The batch is ours alone now. Left to the collector, buffers pile up to some hundred megabytes before it looks.
      for (const buffer of transferablesOf(batch)) buffer.transfer(0);
    }),

  finish: () =>
    step(async ({ url, context, rows, moreRows, indexes }) => {
      // Building an index or analysing takes its time without a word.
      rows.silenceMs = indexSilenceMs;
      moreRows.silenceMs = indexSilenceMs;
      indexes.silenceMs = indexSilenceMs;
      await watched(url, context, () =>
        begun().finish((done, total) => sendNote({ indexes: done, total } satisfies IndexNote)),
      );
      for (const connection of [rows, moreRows, indexes]) connection.silenceMs = url.address.silenceMs;
      begun()[Symbol.dispose]();
      builder = undefined;
    }),

  seal: (setting) =>
    step(async ({ rows, url, context }) => {
      const table = quoted(`${url.tablePrefix}setting`);
      await rows.run("START TRANSACTION");
      await rows.run(`INSERT INTO ${table} (name, value) VALUES ('format', ${literal(setting)})`);
      const stored = await rows.query(`SELECT name, value FROM ${table}`);
      if (stored.length !== 1 || String(stored[0][0]) !== "format" || String(stored[0][1]) !== setting) {
        await rows.run("ROLLBACK");
        throw new CairnError("proof-failed", "the setting that was written is not the one of the snapshot", {
          unharmed: "the target was not published",
          exit: "proofFailed",
        });
      }
      await rows.run("COMMIT").catch((error: unknown) => {
        throw unknownEnd(context, error);
      });
    }),

  unmark: () =>
    step(async ({ rows, moreRows, indexes, url }) => {
      await rows.run("SET SESSION lock_wait_timeout = 30");
      await rows.run(`DROP TABLE ${quoted(url.tablePrefix + markerTable)}`);
      for (const connection of [rows, moreRows, indexes]) connection.close();
    }),

  async discard({ url, restore, made }) {
    const context = contextOf(url, "target");
    try {
      using connection = await openSession(url, context);
      await endConnections(connection, restore);
      await lockTarget(connection, context, url.tablePrefix, lockWaitSeconds);
      // Whether it was sealed may be unknown, when the connection was lost: what has a setting is whole, and may be in use.
      if (await isSealedTarget(connection, url.tablePrefix)) return;
      await dropMade(connection, context, url.tablePrefix, restore, made);
    } catch (error) {
      throw engineError(context, error);
    }
  },
};

const indexSilenceMs = 24 * 3_600_000;
const lockWaitSeconds = 10;

serveCalls({ ...handlers });
