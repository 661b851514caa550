import type { Batch } from "../../../model/batch.ts";
import { releaseBatch } from "../../../model/batch.ts";
import { CairnError, messageOf } from "../../../model/errors.ts";
import type { Facts } from "../../../model/ports.ts";
import type { Session } from "../../../protocols/postgres/session.ts";
import { isServerError } from "../../../protocols/postgres/session.ts";
import { quoteText } from "../../../protocols/postgres/sql-text.ts";
import type { JuicefsLine } from "../lines.ts";
import { tablesOfLine } from "../sql/tables.ts";
import { markerTable } from "../sql/volume-schema.ts";
import { sendNote, serveCalls } from "../thread-calls.ts";
import type { Builder } from "./builder.ts";
import { openBuilder } from "./builder.ts";
import type { Place } from "./catalogue.ts";
import { findPlace } from "./catalogue.ts";
import type { Server } from "./connect.ts";
import { connectServer, sideOf } from "./connect.ts";
import { grantForTarget, postgresError } from "./errors.ts";
import type { Ground } from "./marker.ts";
import {
  createMarker,
  discardUnfinished,
  endConnections,
  inspectGround,
  lockGround,
  requireFreeGround,
} from "./marker.ts";
import { placeOf } from "./schema.ts";
import type { PostgresUrl } from "./url.ts";

export interface PrepareRequest {
  readonly url: PostgresUrl;
  /** Names this restore, and its connections. */
  readonly restore: string;
}

export interface BeginRequest {
  readonly volumeId: string;
  readonly line: JuicefsLine;
  readonly facts: Facts;
  readonly temporaryFolder: string;
  readonly memoryBytes: number;
  readonly now: number;
  readonly discardUnfinished: boolean;
}

/** Sent while indexes are made. */
export interface IndexNote {
  readonly indexes: number;
  readonly total: number;
}

/** The calls that `target.ts` makes. */
export interface TargetCalls {
  /** Connects and looks, without writing anything; gives the database's encoding. */
  prepare(request: PrepareRequest): Promise<{ encoding: string }>;
  begin(request: BeginRequest): Promise<void>;
  write(batch: Batch): Promise<void>;
  finish(nothing: undefined): Promise<void>;
  publish(setting: string): Promise<void>;
  /** In a thread of its own: removes what a restore of this name wrote. */
  discard(request: PrepareRequest): Promise<void>;
}

interface Restore {
  readonly ground: Ground;
  readonly server: Server;
  /** Holds the lock; does small things. */
  readonly control: Session;
  readonly restore: string;
  builder?: Builder;
  /** Busy with ANALYZE. */
  analyst?: Session;
  line?: JuicefsLine;
  analyzing?: Promise<void>;
  watch?: NodeJS.Timeout;
}

let state: Restore | undefined;

function prepared(): Restore {
  if (state === undefined) throw new Error("nothing was prepared");
  return state;
}

function begun(): Builder {
  const { builder } = prepared();
  if (builder === undefined) throw new Error("nothing was begun");
  return builder;
}

/** Runs a step of the restore; what PostgreSQL says comes out as an error of ours. */
async function step<Result>(run: () => Promise<Result>): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    throw state === undefined ? error : postgresError(state.ground.side, error);
  }
}

async function openGround({ url, restore }: PrepareRequest): Promise<Restore> {
  const side = sideOf(url, true);
  const { session, server } = await connectServer(url, side, restore);
  try {
    // Where the server finds a volume of this prefix already, it is refused: one in a schema before it would hide it.
    const place = await findPlace(session, url);
    return { ground: { place, prefix: url.tablePrefix, side }, server, control: session, restore };
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw postgresError(side, error);
  }
}

/** Sessions that wait for others for hours must not be ended for it. */
async function setTimeouts(session: Session, { versionNumber }: Place): Promise<void> {
  const settings = ["statement_timeout = 0", "idle_in_transaction_session_timeout = 0", "client_encoding = 'UTF8'"];
  if (versionNumber >= 140000) settings.push("idle_session_timeout = 0");
  if (versionNumber >= 170000) settings.push("transaction_timeout = 0");
  await session.query(settings.map((setting) => `SET ${setting}`).join("; "));
}

function requireUsable({ place, side }: Ground): void {
  const unharmed = "nothing was written";
  const exit = "targetRefused";
  if (place.isStandby) {
    throw new CairnError("engine-read-only", `${side.location} is a standby, and takes no writes`, {
      unharmed,
      exit,
      next: "name the primary server in the URL",
    });
  }
  if (!place.exists) {
    throw new CairnError("target-no-schema", `${side.location} has no schema ${place.schema}`, {
      unharmed,
      exit,
      next: `create it: CREATE SCHEMA "${place.schema}" AUTHORIZATION "${place.user}"`,
    });
  }
  if (place.hasCreate && place.hasUsage) return;
  throw new CairnError(
    "privilege-missing",
    `${side.location}: the role ${place.user} may not create tables in the schema ${place.schema}`,
    { unharmed, exit, next: grantForTarget({ ...side, user: place.user }, place.schema) },
  );
}

const watchMs = 30_000;
const answerMs = 120_000;

const handlers: TargetCalls = {
  async prepare(request) {
    state = await openGround(request);
    requireUsable(state.ground);
    return { encoding: state.ground.place.encoding };
  },

  begin: (request) =>
    step(async () => {
      const { control, ground, server, restore } = prepared();
      await setTimeouts(control, ground.place);
      await lockGround(control, ground);
      await requireFreeGround(control, ground, request.discardUnfinished);
      await createMarker(control, ground, { volumeId: request.volumeId, line: request.line, restore });
      const { prefix, place } = ground;
      const builder = openBuilder(control, server, place, { ...request, prefix });
      prepared().builder = builder;
      prepared().line = request.line;
      // Builds of indexes are silent for long: that the server still answers is asked beside them.
      prepared().watch = setInterval(() => {
        control.query("SELECT 1", answerMs).catch((error: unknown) => {
          builder.fail(error);
          prepared().analyst?.destroy(error instanceof Error ? error : new Error(String(error)));
        });
      }, watchMs);
    }),

  write: (batch) =>
    step(async () => {
      await begun().write(batch);
      // The batch is ours alone now. Left to the collector, buffers pile up to some hundred megabytes before it looks.
      releaseBatch(batch);
    }),

  finish: () =>
    step(async () => {
      await begun().finish((indexes, total) => sendNote({ indexes, total } satisfies IndexNote));
      // While the proof reads.
      const analyzing = analyze(prepared());
      analyzing.catch(() => {});
      prepared().analyzing = analyzing;
    }),

  publish: (setting) =>
    step(async () => {
      const { control, ground, analyzing, watch } = prepared();
      // Its presence says that all tables are filled.
      if (analyzing === undefined) throw new Error("nothing was finished");
      const { place, prefix } = ground;
      await analyzing;
      // From here on every statement has its own limit.
      clearInterval(watch);
      const table = placeOf(place.schema, prefix, "setting");
      await control.query(
        `BEGIN; ${commitsDurably}; SET LOCAL lock_timeout = '30s';
         INSERT INTO ${table} (name, value) VALUES ('format', ${quoteText(setting)})`,
      );
      const { rows } = await control.query(`SELECT name, value FROM ${table}`);
      if (rows.length !== 1 || rows[0][1] !== setting) {
        throw new CairnError("proof-failed", "the setting that was written is not the one of the snapshot", {
          unharmed: "the target was not published",
          exit: "proofFailed",
        });
      }
      await control.query(`DROP TABLE ${placeOf(place.schema, prefix, markerTable)}`);
      await commitPublication(control, ground);
      await prepared().builder?.[Symbol.asyncDispose]();
      await control[Symbol.asyncDispose]();
    }),

  discard: async (request) => {
    const { ground, control } = await openGround(request);
    await using _ = control;
    // Another restore may have the place, or it was never taken.
    if (!(await isOurs(control, ground, request.restore))) return;
    await endConnections(control, request.restore);
    await lockGround(control, ground);
    if (await isOurs(control, ground, request.restore)) await discardUnfinished(control, ground);
  },
};

const undefinedTable = "42P01";

/** Fresh statistics, on a connection of its own: the other one is asked all the while whether the server still answers. */
async function analyze(restore: Restore): Promise<void> {
  const { ground, line, server } = restore;
  const tables = tablesOfLine(line ?? "1.4").map(({ name }) => placeOf(ground.place.schema, ground.prefix, name));
  const analyst = await server.connect().catch((error: unknown) => {
    // Others took the builder's connections: the server's own autovacuum will do it.
    if (error instanceof CairnError && error.code === "engine-busy") return undefined;
    throw error;
  });
  if (analyst === undefined) return;
  restore.analyst = analyst;
  await using _ = analyst;
  await setTimeouts(analyst, ground.place);
  await analyst.query("SET lock_timeout = '30s'");
  await analyst.query(`ANALYZE ${tables.join(", ")}`, 0);
}

/** Who has switched it off for speed still wants to find a volume that was said to be there. */
const commitsDurably =
  "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'";

/** Whether a commit was done is not known when its answer is lost. */
async function commitPublication(control: Session, { side }: Ground): Promise<void> {
  try {
    await control.query("COMMIT");
  } catch (error) {
    if (isServerError(error) && !/^(?:57P|08)/.test(error.code)) throw error;
    throw new CairnError(
      "publication-uncertain",
      `the answer to the last COMMIT in ${side.location} was lost (${messageOf(error)}): the volume may have been published`,
      {
        unharmed: "if it was published, it is whole: it was proven before",
        next: "look with `cairn doctor` whether the volume is there; restore again if it is not",
        exit: "targetRefused",
        cause: error,
      },
    );
  }
}

async function isOurs(session: Session, ground: Ground, restore: string): Promise<boolean> {
  if ((await inspectGround(session, ground)) !== "unfinished") return false;
  const marker = placeOf(ground.place.schema, ground.prefix, markerTable);
  try {
    const { rows } = await session.query(`SELECT count(*) FROM ${marker} WHERE restore = ${quoteText(restore)}`);
    return rows[0][0] !== "0";
  } catch (error) {
    // A commit that was under way has dropped it, and published the volume.
    if (isServerError(error) && error.code === undefinedTable) return false;
    throw error;
  }
}

serveCalls({ ...handlers });
