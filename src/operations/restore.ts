import { createHash } from "node:crypto";
import type { Batch } from "../model/batch.ts";
import { joinPieces } from "../model/batch-pieces.ts";
import { CairnError } from "../model/errors.ts";
import type { Progress, SourceView, Target } from "../model/ports.ts";
import type { TableSchema } from "../model/schema.ts";
import { Pager } from "../format/pager.ts";
import type { RawPage } from "../format/pager.ts";
import { computeRoot, TableHasher } from "../format/root.ts";
import type { TableIdentity } from "../format/root.ts";
import { openPageLine } from "../pipeline/open-page-line.ts";
import { readTable } from "../repository/snapshot.ts";
import type { Snapshot } from "../repository/snapshot.ts";
import { feed } from "./backup.ts";
import { PageDifferences } from "./name-differences.ts";
import type { PageMark } from "./name-differences.ts";
import type { RestoreChange } from "./restore-change.ts";
import { sorterMemory, sourceMemory } from "./memory.ts";

export interface RestoreOptions {
  snapshot: Snapshot;
  target: Target;
  /** Named changes that the user asked for; empty for a restore of exactly what the snapshot holds. */
  changes: readonly RestoreChange[];
  /** Secrets by setting field. */
  secrets: Record<string, string>;
  /** Id of the volume that may be replaced. */
  replace?: string;
  /** Remove what an unfinished restore left in the target. */
  discardUnfinished?: boolean;
  /** Called once the target has agreed to be filled and before anything is written: the time to keep what is there. */
  agreed?: () => Promise<void>;
  memoryBytes: number;
  temporaryFolder: string;
  progress: Progress;
  signal: AbortSignal;
}

export interface RestoreResult {
  /** The snapshot's. */
  root: string;
  /** Of what was restored and read back: the snapshot's, unless changes were asked for. */
  restoredRoot: string;
  changes: { name: string; description: string; records: number }[];
  records: Record<string, number>;
  seconds: { write: number; prove: number; publish: number };
}

/**
 * Restores a snapshot into a target and proves it before the door opens: the target is filled without what a client needs to open it,
 * read back whole, and only when the root of what was read is the expected one is it published.
 */
export async function restore(options: RestoreOptions): Promise<RestoreResult> {
  const { snapshot, target, changes, progress } = options;
  const { manifest, kind } = snapshot;
  const began = performance.now();
  using held = new DisposableStack();
  for (const change of changes) held.defer(() => change[Symbol.dispose]?.());
  const plan = {
    kind,
    volumeId: manifest.volume,
    volumeName: manifest.volumeName,
    facts: manifest.facts,
    counts: Object.fromEntries(manifest.tables.map((table) => [table.name, table.records])),
    extremes: Object.fromEntries(
      manifest.tables.flatMap((table) =>
        Object.entries(table.extremes).map(([column, { max }]) => [`${table.name}.${column}`, max]),
      ),
    ),
    secrets: { ...manifest.secrets, ...options.secrets },
    ...(options.replace === undefined ? {} : { replace: options.replace }),
    read: (table: string) => readTable(snapshot, table),
  };
  const { signal, temporaryFolder } = options;
  await using writer = await target.begin(plan, {
    signal,
    temporaryFolder,
    memoryBytes: sourceMemory(options.memoryBytes),
    progress,
    discardUnfinished: options.discardUnfinished === true,
  });
  await options.agreed?.();
  const total = manifest.tables.reduce((sum, table) => sum + table.records, 0);
  const expected: TableIdentity[] = [];
  const changedPages = new Map<number, readonly PageMark[]>();
  const records: Record<string, number> = {};
  let done = 0;
  for (const [table, schema] of kind.tables.entries()) {
    const stored = manifest.tables.find((one) => one.name === schema.name);
    const own = changes.filter((change) => change.table === schema.name);
    let batches: AsyncIterable<Batch> = readTable(snapshot, schema.name);
    for (const change of own) batches = change.apply(batches);
    const changed = own.length === 0 ? undefined : new TableIdentifier(schema, table);
    for await (const batch of batches) {
      signal.throwIfAborted();
      changed?.push(batch);
      done += batch.count;
      records[schema.name] = (records[schema.name] ?? 0) + batch.count;
      await writer.write(batch);
      progress.report({ phase: "write", done, total, unit: "records" });
    }
    if (changed !== undefined) {
      expected.push(changed.finish());
      changedPages.set(table, changed.pages);
    } else if (stored !== undefined) expected.push({ name: schema.name, records: stored.records, hash: stored.hash });
    if (changed === undefined && (stored?.records ?? 0) !== (records[schema.name] ?? 0)) {
      throw new CairnError(
        "snapshot-damaged",
        `snapshot ${manifest.id} holds another number of ${schema.name} records than it says`,
        {
          exit: "repositoryDamaged",
          unharmed: "the target was not published",
        },
      );
    }
  }
  progress.report({ phase: "index", done: 0, unit: "records" });
  await writer.finish();
  const written = performance.now();
  const expectedRoot = computeRoot(kind, expected);
  if (changes.length === 0 && expectedRoot !== manifest.root) {
    throw new CairnError(
      "snapshot-damaged",
      `snapshot ${manifest.id} names the root ${manifest.root}, and its tables give ${expectedRoot}`,
      {
        exit: "repositoryDamaged",
        unharmed: "the target was not published",
      },
    );
  }
  {
    await using view = await writer.readBack();
    await prove(options, view, expectedRoot, { tables: expected, changedPages, records: total });
  }
  const proven = performance.now();
  signal.throwIfAborted();
  await writer.publish();
  return {
    root: manifest.root,
    restoredRoot: expectedRoot,
    changes: changes.map((change) => ({
      name: change.name,
      description: change.description,
      records: change.changedRecords(),
    })),
    records,
    seconds: {
      write: (written - began) / 1000,
      prove: (proven - written) / 1000,
      publish: (performance.now() - proven) / 1000,
    },
  };
}

/** Pages a changed table's records as they pass, for its expected hash. */
class TableIdentifier {
  readonly #hasher = new TableHasher();
  readonly #schema: TableSchema;
  readonly #table: number;
  readonly #pager: Pager;
  readonly pages: PageMark[] = [];

  constructor(schema: TableSchema, table: number) {
    this.#schema = schema;
    this.#table = table;
    this.#pager = new Pager(schema, table, {
      page: (page) => this.pages.push({ firstKey: page.firstKey, id: addPage(this.#hasher, page) }),
      large: () => undefined,
    });
  }

  /** Takes a copy: a target owns the batches that it is given, and moves them to its thread before the pager is done with them. */
  push(batch: Batch): void {
    this.#pager.push(joinPieces(this.#schema, this.#table, [{ batch, from: 0, to: batch.count }]));
  }

  finish(): TableIdentity {
    this.#pager.finish();
    return { name: this.#schema.name, records: this.#hasher.records, hash: this.#hasher.finish() };
  }
}

function addPage(hasher: TableHasher, page: RawPage): string {
  const hash = createHash("sha256").update(page.raw).digest();
  hasher.add(page.firstKey, hash, page.count);
  return hash.toString("hex");
}

interface Expected {
  tables: readonly TableIdentity[];
  /** The pages of tables that are not the snapshot's, by position. */
  changedPages: ReadonlyMap<number, readonly PageMark[]>;
  records: number;
}

async function prove(
  options: RestoreOptions,
  view: SourceView,
  expectedRoot: string,
  expected: Expected,
): Promise<void> {
  const { snapshot, progress, memoryBytes, temporaryFolder } = options;
  const { kind } = snapshot;
  const inner = new AbortController();
  const signal = AbortSignal.any([options.signal, inner.signal]);
  const { sortedTables } = view;
  const lineOptions = {
    kind,
    sortedTables,
    memoryBytes: sorterMemory(memoryBytes),
    temporaryFolder,
    pathIndex: false,
    frames: false,
  };
  await using line = openPageLine(lineOptions, signal);
  const feeding = feed(view, line, (done) =>
    progress.report({ phase: "prove", done, total: expected.records, unit: "records" }),
  );
  feeding.catch((error: unknown) => inner.abort(error));
  const hashers = kind.tables.map(() => new TableHasher());
  const differences = new PageDifferences(snapshot, expected.changedPages);
  try {
    for await (const event of line.events()) {
      if (event.type !== "page") continue;
      await differences.see(event.page, addPage(hashers[event.page.table], event.page));
    }
    await feeding;
  } catch (error) {
    // A key with a wrong value stands in the wrong place, which shows before there is a root to compare.
    if (!(error instanceof CairnError) || !keyErrors.includes(error.code)) throw error;
    throw proofFailed(options, error.message, { expectedRoot }, error);
  }
  await view.summary();
  const identities = kind.tables.map(({ name }, table) => ({
    name,
    records: hashers[table].records,
    hash: hashers[table].finish(),
  }));
  const root = computeRoot(kind, identities);
  if (root === expectedRoot) return;
  const wrong = identities.filter((one) => {
    const other = expected.tables.find((candidate) => candidate.name === one.name);
    return one.records !== (other?.records ?? 0) || (one.records > 0 && one.hash !== other?.hash);
  });
  const names = await differences.names(wrong.map(({ name }) => kind.tables.findIndex((table) => table.name === name)));
  const where = wrong.map(({ name }) => name).join(", ");
  const difference = `it differs in ${where}${names.length === 0 ? "" : `: ${names.join("; ")}`}`;
  throw proofFailed(options, `root ${root} instead of ${expectedRoot}; ${difference}`, { root, expectedRoot });
}

/** What the line says of records that cannot be a table's. */
const keyErrors = ["record-order", "duplicate-record"];

function proofFailed(
  { target }: RestoreOptions,
  difference: string,
  details: Record<string, string>,
  cause?: unknown,
): CairnError {
  return new CairnError(
    "proof-failed",
    `what was read back from ${target.location} is not what the snapshot holds: ${difference}`,
    {
      exit: "proofFailed",
      unharmed: "the target was not published, and the snapshot is unchanged",
      next: "restore again onto other storage; if it fails the same way, please report it with this message",
      details,
      cause,
    },
  );
}
