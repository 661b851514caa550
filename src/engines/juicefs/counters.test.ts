import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalCounters, factCounter } from "./counters.ts";

const named = (stored: [string, bigint][]): Record<string, bigint> =>
  Object.fromEntries(canonicalCounters(new Map(stored)).rows.map(([name, value]) => [String(name), value as bigint]));

test("five records always, with what a volume without counters means", () => {
  assert.deepEqual(named([]), { nextChunk: 1n, nextInode: 2n, nextTrash: 0n, totalInodes: 0n, usedSpace: 0n });
  assert.deepEqual(
    named([
      ["nextInode", 0n],
      ["nextChunk", -3n],
      ["usedSpace", -4096n],
    ]),
    {
      nextChunk: 1n,
      nextInode: 2n,
      nextTrash: 0n,
      totalInodes: 0n,
      usedSpace: -4096n,
    },
  );
});

test("sessions and time stamps are facts, ids follow from their tables, unknown counters are records", () => {
  const { rows, facts } = canonicalCounters(
    new Map([
      ["nextSession", 7n],
      ["lastCleanupFiles", 1795254433n],
      ["aclMaxId", 9n],
      ["krbTokenMaxId", 9n],
      ["brandNew", -1n],
    ]),
  );
  assert.deepEqual(facts, { nextSession: "7", lastCleanupFiles: "1795254433" });
  assert.deepEqual(
    rows.map(([name]) => String(name)),
    ["brandNew", "nextChunk", "nextInode", "nextTrash", "totalInodes", "usedSpace"],
  );
  assert.equal(factCounter(facts, "nextSession"), 7n);
  assert.equal(factCounter({ nextSession: "x" }, "nextSession"), undefined);
});
