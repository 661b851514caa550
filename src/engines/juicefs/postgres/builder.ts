import type { Batch } from "../../../model/batch.ts";
import { integersOf, unsignedAt } from "../../../model/batch.ts";
import { CairnError } from "../../../model/errors.ts";
import { juicefsTable } from "../../../model/juicefs.ts";
import type { Facts } from "../../../model/ports.ts";
import type { Session } from "../../../protocols/postgres/session.ts";
import { quoteText } from "../../../protocols/postgres/sql-text.ts";
import type { JuicefsLine } from "../lines.ts";
import { restoredSession } from "../restored-session.ts";
import { SliceSet } from "../slice-set.ts";
import type { CanonicalTable } from "../sql/canonical-tables.ts";
import {
  chunkTable,
  delayedSliceTable,
  dirQuotaTable,
  edgeTable,
  nodeTable,
  ownerQuotaTable,
  plainTables,
  sliceRefTable,
} from "../sql/canonical-tables.ts";
import { counterRows, takeCounters } from "../sql/restored-rows.ts";
import { splitQuotas } from "../sql/split-quotas.ts";
import type { SqlTable } from "../sql/tables.ts";
import { tablesOfLine } from "../sql/tables.ts";
import { visitSlices } from "../volume-checks.ts";
import type { Place } from "./catalogue.ts";
import type { Server } from "./connect.ts";
import { createTableSql, indexSql, placeOf } from "./schema.ts";
import { openExceptionIds } from "./slice-ref-merge.ts";
import type { TableLoader } from "./table-loader.ts";
import { openTableLoader } from "./table-loader.ts";

export interface BuilderOptions {
  readonly line: JuicefsLine;
  readonly prefix: string;
  readonly facts: Facts;
  readonly temporaryFolder: string;
  readonly memoryBytes: number;
  /** Seconds since 1970: restored sessions are made to have ended before. */
  readonly now: number;
}

/** Fills the tables of a volume, everything but the setting. Runs in a thread of its own. */
export interface Builder extends AsyncDisposable {
  write(batch: Batch): Promise<void>;
  /** Reference counts, counters, sessions, empty tables; waits for all indexes. `progress` gets finished and all indexes. */
  finish(progress: (done: number, total: number) => void): Promise<void>;
  /** Gives the restore up: whatever is under way fails with this error. */
  fail(error: unknown): void;
}

/** One is filled while indexes of others are built: a large table each, and one for what follows. */
const connectionsMax = 3;
/** `chunk_ref` is open until the end. */
const connectionsMin = 2;

const tableOf = new Map<number, CanonicalTable>(
  [nodeTable, edgeTable, chunkTable, sliceRefTable, delayedSliceTable, ...plainTables].map((table) => [
    table.canonicalTable,
    table,
  ]),
);

export function openBuilder(control: Session, server: Server, place: Place, options: BuilderOptions): Builder {
  const { prefix, line } = options;
  const { schema, versionNumber } = place;
  const tables = tablesOfLine(line);
  const slices = new SliceSet(options.temporaryFolder, options.memoryBytes / 4);
  const exceptions = openExceptionIds(options.temporaryFolder);
  const addMention = (idLow: number, idHigh: number, size: number): void => slices.add(idLow, idHigh, size);
  const counters = new Map<string, bigint>();
  const sessionIds = new Set<bigint>();
  // The marker came with it.
  const created = new Set(["setting"]);
  const connections: Session[] = [];
  const idle: Session[] = [];
  const building = new Set<Promise<void>>();
  let failure: { error: unknown } | undefined;
  let current: { name: string; loader: TableLoader; session: Session } | undefined;
  let connectionLimit = connectionsMax;
  let indexesDone = 0;
  let onIndex: (() => void) | undefined;

  function throwFailure(): void {
    if (failure !== undefined) throw failure.error;
  }

  /** A server that has no third connection is filled with two. */
  async function openAnother(): Promise<Session | undefined> {
    if (connections.length >= connectionLimit) return undefined;
    try {
      const opened = await server.connect();
      connections.push(opened);
      return opened;
    } catch (error) {
      if (!(error instanceof CairnError) || error.code !== "engine-busy" || connections.length < connectionsMin)
        throw error;
      connectionLimit = connections.length;
      return undefined;
    }
  }

  async function takeSession(): Promise<Session> {
    for (;;) {
      throwFailure();
      const session = idle.pop();
      if (session !== undefined) return session;
      const opened = await openAnother();
      if (opened !== undefined) return opened;
      // One may have become idle meanwhile; else one is building, for two are never held.
      if (idle.length > 0) continue;
      throwFailure();
      if (building.size === 0) throw new Error("all connections of the restore are held");
      await Promise.race(building);
    }
  }

  /** The table that is being filled; another one's indexes are built meanwhile. */
  async function loaderOf(name: string): Promise<TableLoader> {
    throwFailure();
    if (current?.name === name) return current.loader;
    endCurrent();
    const table = tables.find((candidate) => candidate.name === name);
    if (table === undefined) throw noSuchTable(line, name);
    const session = await takeSession();
    const loader = await openTableLoader(session, { schema, prefix, versionNumber, table });
    created.add(name);
    current = { name, loader, session };
    return loader;
  }

  function endCurrent(): void {
    if (current === undefined) return;
    const { loader, session } = current;
    current = undefined;
    const built: Promise<void> = loader
      .finish(() => {
        indexesDone++;
        onIndex?.();
      })
      .then(
        () => void idle.push(session),
        (error: unknown) => void (failure ??= { error }),
      )
      .finally(() => building.delete(built));
    building.add(built);
  }

  async function put(canonical: CanonicalTable, batch: Batch): Promise<void> {
    const loader = await loaderOf(canonical.table);
    await loader.add(canonical, batch);
  }

  async function write(batch: Batch): Promise<void> {
    if (batch.count === 0) return;
    switch (batch.table) {
      case juicefsTable.counter:
        takeCounters(batch, counters);
        return;
      case juicefsTable.quota: {
        const { dirs, owners } = splitQuotas(batch);
        if (dirs !== undefined) await put(dirQuotaTable, dirs);
        if (owners !== undefined) await put(ownerQuotaTable, owners);
        return;
      }
      case juicefsTable.chunk:
      case juicefsTable.delayedSlice:
        visitSlices(batch, { addMention });
        break;
      case juicefsTable.sliceRef:
        exceptions.add(batch);
        break;
      case juicefsTable.sustained:
        for (let row = 0; row < batch.count; row++) sessionIds.add(unsignedAt(integersOf(batch, 0), row));
        break;
      default:
        break;
    }
    const canonical = tableOf.get(batch.table);
    if (canonical === undefined) throw new RangeError(`table ${batch.table} cannot be written here`);
    // Reference counts are completed in the end, so their table waits while others come between.
    if (canonical === sliceRefTable) {
      await putSliceRefs(batch);
      return;
    }
    await put(canonical, batch);
  }

  let sliceRefs: { loader: TableLoader; session: Session } | undefined;

  async function putSliceRefs(batch: Batch): Promise<void> {
    if (sliceRefs === undefined) {
      endCurrent();
      const table = tables.find((candidate) => candidate.name === sliceRefTable.table) as SqlTable;
      const session = await takeSession();
      sliceRefs = { session, loader: await openTableLoader(session, { schema, prefix, versionNumber, table }) };
      created.add(table.name);
    }
    await sliceRefs.loader.add(sliceRefTable, batch);
  }

  async function finish(progress: (done: number, total: number) => void): Promise<void> {
    endCurrent();
    const total = tables
      .filter(({ name }) => (created.has(name) && name !== "setting") || name === sliceRefTable.table)
      .reduce((sum, table) => sum + indexSql(schema, prefix, table).length, 0);
    onIndex = () => progress(indexesDone, total);
    onIndex();
    for (const batch of exceptions.others(slices)) await putSliceRefs(batch);
    if (sliceRefs !== undefined) {
      current = { name: sliceRefTable.table, ...sliceRefs };
      endCurrent();
    }
    // Empty tables and small rows meanwhile.
    await control.query(smallTablesSql().join("; "), 0);
    await Promise.all(building);
    throwFailure();
    if (created.has("acl")) await control.query(aclSequenceSql(schema, prefix));
    await Promise.all(connections.splice(0).map((session) => session[Symbol.asyncDispose]()));
    idle.length = 0;
  }

  function smallTablesSql(): string[] {
    const statements = ["BEGIN"];
    for (const table of tables) {
      if (created.has(table.name)) continue;
      statements.push(createTableSql(schema, prefix, table), ...indexSql(schema, prefix, table));
      created.add(table.name);
    }
    for (const [name, value] of counterRows(counters, options.facts, sessionIds)) {
      statements.push(
        `INSERT INTO ${placeOf(schema, prefix, "counter")} (name, value) VALUES (${quoteText(name)}, ${value})`,
      );
    }
    const { expire, info } = restoredSession(options.now);
    const hex = Buffer.from(info).toString("hex");
    for (const sid of sessionIds) {
      statements.push(
        `INSERT INTO ${placeOf(schema, prefix, "session2")} (sid, expire, info) VALUES (${sid}, ${expire}, decode('${hex}', 'hex'))`,
      );
    }
    return [...statements, "COMMIT"];
  }

  function giveUp(reason: Error): void {
    for (const session of connections) session.destroy(reason);
  }

  return {
    write,
    finish,
    fail(error) {
      failure ??= { error };
      giveUp(error instanceof Error ? error : new Error(String(error)));
    },
    async [Symbol.asyncDispose]() {
      slices[Symbol.dispose]();
      exceptions[Symbol.dispose]();
      giveUp(new Error("the restore was given up"));
      await Promise.all(connections.map((session) => session[Symbol.asyncDispose]()));
    },
  };
}

function noSuchTable(line: JuicefsLine, name: string): CairnError {
  return new CairnError("does-not-fit", `JuiceFS ${line} has no table for ${name} records`, {
    unharmed: "nothing that a client takes for a volume was written",
    next: "restore for a newer line of JuiceFS",
    exit: "targetRefused",
  });
}

/** ACLs bring their own numbers. */
function aclSequenceSql(schema: string, prefix: string): string {
  const place = placeOf(schema, prefix, "acl");
  return `SELECT setval(pg_get_serial_sequence(${quoteText(place)}, 'id'), (SELECT max(id) FROM ${place}))`;
}
