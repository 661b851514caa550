import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Row } from "../../model/batch.ts";
import { batchFromRows } from "../../model/batch.ts";
import { juicefs } from "../../model/juicefs.ts";
import { tableNamed } from "../../model/schema.ts";
import { compareKeys } from "../../format/key.ts";
import { randomVolume, repairedNaively } from "../../../test/support/random-volume.ts";
import { makeSyntheticSnapshot, tableRows } from "../../../test/support/synthetic-snapshot.ts";
import { changedRows, planInTest } from "./testing.ts";

const tables = ["node", "dir_stat", "quota", "counter"];
const budgets = [1, 4 << 20, 256 << 20];

function sorted(table: string, rows: readonly Row[]): Row[] {
  const schema = tableNamed(juicefs, table);
  const keyed = rows.map((row) => ({ row, batch: batchFromRows(schema, 0, [row]) }));
  return keyed.toSorted((a, b) => compareKeys(schema, a.batch, 0, b.batch, 0)).map(({ row }) => row);
}

/** Rows of one form: bytes as hex, so that buffers and arrays are equal. */
function plain(rows: readonly Row[]): unknown[] {
  return rows.map((row) =>
    row.map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value)),
  );
}

async function checkRepaired(volume: Record<string, Row[]>, memoryBytes: number): Promise<void> {
  const snapshot = await makeSyntheticSnapshot({ tables: volume });
  const changes = await planInTest(snapshot, { repair: ["usage", "nlink"] }, memoryBytes);
  const expected = repairedNaively(volume);
  for (const table of tables) {
    const rows = await changedRows(snapshot, table, changes);
    assert.deepEqual(plain(rows), plain(sorted(table, expected[table])), table);
    const before = plain(sorted(table, volume[table]));
    const own = changes.filter((change) => change.table === table);
    const differ = before.length !== rows.length || plain(rows).some((row, at) => !same(row, before[at]));
    assert.equal(own.length, differ ? 1 : 0, `${table} has a change only where something was wrong`);
    for (const change of own) assert.ok(change.changedRecords() > 0);
  }
}

function same(a: unknown, b: unknown): boolean {
  return (a as unknown[]).every((value, index) => value === (b as unknown[])[index]);
}

test("repaired usage and link counts equal a plain computation, with any budget", async () => {
  const volumes = fc.record({ seed: fc.nat(), directories: fc.nat(40), files: fc.nat(200) });
  await fc.assert(
    fc.asyncProperty(volumes, fc.constantFrom(...budgets), async (options, memoryBytes) => {
      await checkRepaired(randomVolume(options), memoryBytes);
    }),
    { numRuns: 60 },
  );
});

test("many pages and many runs give the same repair", async () => {
  for (const memoryBytes of [1, 256 << 20]) {
    await checkRepaired(randomVolume({ seed: 7, directories: 9000, files: 14_000 }), memoryBytes);
  }
});

test("a volume without a fault needs no repair", async () => {
  const tablesOfIt = randomVolume({ seed: 3, directories: 50, files: 500, right: true });
  const snapshot = await makeSyntheticSnapshot({ tables: tablesOfIt });
  assert.deepEqual(await planInTest(snapshot, { repair: ["counters", "usage", "nlink"] }), []);
});

test("repairs name what they correct", async () => {
  const volume = randomVolume({ seed: 3, directories: 3, files: 5, right: true });
  const node = volume["node"].find((row) => row[0] === 1n) ?? [];
  const wrong = [...node];
  wrong[12] = 77;
  volume["node"][volume["node"].indexOf(node)] = wrong;
  volume["dir_stat"] = volume["dir_stat"].filter((row) => row[0] !== 1n);
  volume["dir_stat"].push([12_345_678_901n, 1n, 4096n, 1n]);
  const snapshot = await makeSyntheticSnapshot({ tables: volume });
  const changes = await planInTest(snapshot, { repair: ["usage", "nlink"] });
  assert.deepEqual(
    changes.map(({ name, table, description }) => ({ name, table, description })),
    [
      {
        name: "repair-usage",
        table: "dir_stat",
        description: "directory statistics: 1 added, 1 removed (directory 1 added, 12345678901 removed)",
      },
      {
        name: "repair-nlink",
        table: "node",
        description: `link counts of 1 directory (inode 1: 77 becomes ${String(node[12])})`,
      },
    ],
  );
  assert.equal((await tableRows(snapshot, "node")).length, volume["node"].length);
});

test("loops of directories end", async () => {
  const volume = randomVolume({ seed: 11, directories: 0, files: 4, right: true });
  volume["node"].push([50n, ...(volume["node"][0] ?? []).slice(1)], [51n, ...(volume["node"][0] ?? []).slice(1)]);
  volume["edge"].push([50n, Buffer.from("a"), 51n, 2], [51n, Buffer.from("b"), 50n, 2]);
  volume["quota"].push([0, 50n, -1n, -1n, 0n, 0n], [0, 51n, -1n, -1n, 0n, 0n]);
  const snapshot = await makeSyntheticSnapshot({ tables: volume });
  const changes = await planInTest(snapshot, { repair: ["usage"] });
  assert.ok(changes.some(({ table }) => table === "quota"));
});
