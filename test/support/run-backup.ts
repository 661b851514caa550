import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import type { Clock } from "../../src/std/clock.ts";
import { rowAt } from "../../src/model/batch.ts";
import { juicefs } from "../../src/model/juicefs.ts";
import type { ObjectStore } from "../../src/model/object-store.ts";
import type { Progress, Source } from "../../src/model/ports.ts";
import { backup } from "../../src/operations/backup.ts";
import type { BackupResult } from "../../src/operations/backup.ts";
import { verifySnapshot } from "../../src/operations/verify.ts";
import type { VerifyResult } from "../../src/operations/verify.ts";
import { initRepository, openRepository } from "../../src/repository/repository.ts";
import { openSnapshot, readTable } from "../../src/repository/snapshot.ts";
import type { Snapshot } from "../../src/repository/snapshot.ts";
import { listSnapshots, readManifest } from "../../src/repository/snapshots.ts";
import { quietProgress } from "./quiet-progress.ts";
import { rowsSource } from "./rows-source.ts";
import type { RowsSourceOptions } from "./rows-source.ts";
import type { TableRows } from "./volume-rows.ts";

export interface RunOptions {
  clock?: Clock;
  full?: boolean;
  memoryBytes?: number;
  progress?: Progress;
  signal?: AbortSignal;
}

/** A clock that moves on by a second with each look. */
export function steppingClock(startMs = Date.UTC(2026, 10, 21, 9)): Clock {
  let now = startMs;
  return { now: () => (now += 1000) };
}

/** Backs records up into a store, which becomes a repository where it is none. */
export async function backUpRows(
  store: ObjectStore,
  rows: TableRows,
  source: RowsSourceOptions = {},
  options: RunOptions = {},
): Promise<BackupResult> {
  return backUpSource(store, rowsSource(rows, source), options);
}

export async function backUpSource(
  store: ObjectStore,
  source: Source,
  options: RunOptions = {},
): Promise<BackupResult> {
  const isThere = (await store.size("cairn.json")) !== undefined;
  const repository = isThere ? await openRepository(store) : await initRepository(store);
  return backup({
    repository,
    source,
    note: "",
    tags: {},
    keepSecrets: false,
    ...(options.full === undefined ? {} : { full: options.full }),
    memoryBytes: options.memoryBytes ?? 64 << 20,
    temporaryFolder: tmpdir(),
    progress: options.progress ?? quietProgress(),
    signal: options.signal ?? new AbortController().signal,
    clock: options.clock ?? { now: () => Date.now() },
    tool: { name: "cairn", version: "test" },
  });
}

/** All snapshots of a store, oldest first. */
export async function openSnapshots(store: ObjectStore, volume?: string): Promise<Snapshot[]> {
  const repository = await openRepository(store);
  const snapshots: Snapshot[] = [];
  for (const name of await listSnapshots(repository, volume)) {
    snapshots.push(openSnapshot(repository, await readManifest(repository, name), [juicefs]));
  }
  return snapshots;
}

export function verify(snapshot: Snapshot): Promise<VerifyResult> {
  return verifySnapshot({ snapshot, progress: quietProgress(), signal: new AbortController().signal });
}

/** Every record of a snapshot by table name, as a restore reads them. */
export async function readRows(snapshot: Snapshot): Promise<TableRows> {
  const rows: TableRows = {};
  for (const schema of snapshot.kind.tables) {
    rows[schema.name] = [];
    for await (const batch of readTable(snapshot, schema.name)) {
      for (let row = 0; row < batch.count; row += 1) rows[schema.name].push(rowAt(schema, batch, row));
    }
  }
  return rows;
}

/** A hash over all records, in order: what a test compares often. */
export function rowsDigest(rows: TableRows): string {
  const hash = createHash("sha256");
  for (const { name } of juicefs.tables) {
    hash.update(`${name} ${rows[name].length}\n`);
    for (const row of rows[name])
      for (const value of row) hash.update(value instanceof Uint8Array ? value : `${value} `);
  }
  return hash.digest("hex");
}

/** Fails unless both hold the same records; says in which table they differ, and does not print a thousand of them. */
export function assertSameRows(actual: TableRows, expected: TableRows): void {
  for (const { name } of juicefs.tables) {
    assert.equal(actual[name].length, expected[name].length, `records of ${name}`);
    actual[name].forEach((row, at) =>
      assert.deepEqual(plain(row), plain(expected[name][at]), `record ${at} of ${name}`),
    );
  }
}

function plain(row: TableRows[string][number]): unknown[] {
  return row.map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : BigInt(value)));
}
