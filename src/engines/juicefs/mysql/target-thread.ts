import type { Batch } from "../../../model/batch.ts";
import { transferablesOf } from "../../../model/batch.ts";
import type { MysqlConnection } from "../../../protocols/mysql/connection.ts";
import { sendNote, serveCalls } from "../thread-calls.ts";
import { markerTable } from "../sql/volume-schema.ts";
import type { Builder, BuilderOptions } from "./builder.ts";
import { openBuilder } from "./builder.ts";
import type { EngineContext } from "./engine-error.ts";
import { engineError } from "./engine-error.ts";
import { lockTarget } from "./lock.ts";
import type { Marker } from "./marker.ts";
import { dropRestored, putMarker } from "./marker.ts";
import type { NameCheck } from "./name-check.ts";
import { openNameCheck } from "./name-check.ts";
import { isSealedTarget, requireEmptyTarget } from "./prepare-target.ts";
import { contextOf, literal, openSession, quoted } from "./session.ts";
import type { LoadWay } from "./table-loader.ts";
import { findLoadWay } from "./table-loader.ts";
import type { MysqlUrl } from "./url.ts";
import { watched } from "./watch.ts";

export interface ConnectRequest {
  readonly url: MysqlUrl;
  readonly discardUnfinished: boolean;
}

export interface BeginRequest extends BuilderOptions {
  readonly marker: Marker;
}

export interface DiscardRequest {
  readonly url: MysqlUrl;
  readonly written: Marker;
  /** Remove it although it has a setting, which this restore wrote and found wrong. */
  readonly isSealed: boolean;
}

/** Sent while indexes are made. */
export interface IndexNote {
  readonly indexes: number;
  readonly total: number;
}

/** The calls that `target.ts` makes, in this order. */
export interface TargetCalls {
  /** Logs in, takes the lock, and refuses what is not empty. Writes nothing, but for the removal of an unfinished restore. */
  connect(request: ConnectRequest): Promise<void>;
  /** Batches of table `xattr`; `undefined` ends them. */
  checkNames(batch: Batch | undefined): Promise<void>;
  begin(request: BeginRequest): Promise<void>;
  write(batch: Batch): Promise<void>;
  finish(nothing: undefined): Promise<void>;
  /** Writes the setting: from here on it is a volume. */
  seal(setting: string): Promise<void>;
  /** The setting was read back: takes the marker away. */
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
  async connect({ url, discardUnfinished }) {
    const context = contextOf(url, "target");
    try {
      const rows = await openSession(url, context, { localData: true });
      const way = await findLoadWay(rows);
      const moreRows = await openSession(url, context, { localData: true });
      const indexes = await openSession(url, context);
      target = { url, context, rows, moreRows, indexes, way };
      await lockTarget(rows, context, url.tablePrefix);
      await requireEmptyTarget(rows, context, url.tablePrefix, discardUnfinished);
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
    step(async ({ rows, moreRows, indexes, way, url }) => {
      await putMarker(rows, url.tablePrefix, marker);
      builder = openBuilder({ rows: [rows, moreRows], indexes }, way, options);
      await builder.createTables();
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
      begun()[Symbol.dispose]();
      builder = undefined;
    }),

  seal: (setting) =>
    step(async ({ rows, url }) => {
      await rows.run(
        `INSERT INTO ${quoted(`${url.tablePrefix}setting`)} (name, value) VALUES ('format', ${literal(setting)})`,
      );
    }),

  unmark: () =>
    step(async ({ rows, moreRows, indexes, url }) => {
      await rows.run(`DROP TABLE ${quoted(url.tablePrefix + markerTable)}`);
      for (const connection of [rows, moreRows, indexes]) connection.close();
    }),

  async discard({ url, written, isSealed }) {
    const context = contextOf(url, "target");
    try {
      using connection = await openSession(url, context);
      await lockTarget(connection, context, url.tablePrefix, lockWaitSeconds);
      // Whether it was sealed may be unknown, when the connection was lost: what has a setting is whole, and may be in use.
      if (!isSealed && (await isSealedTarget(connection, url.tablePrefix))) return;
      await dropRestored(connection, url.tablePrefix, written);
    } catch (error) {
      throw engineError(context, error);
    }
  },
};

const indexSilenceMs = 24 * 3_600_000;
const lockWaitSeconds = 10;

serveCalls({ ...handlers });
