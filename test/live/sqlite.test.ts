import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { openBench } from "../end-to-end/bench.ts";
import { metaUrlOf } from "../volumes/odd-volume.ts";
import { backUpLive } from "./live-backups.ts";

for (const journal of ["wal", "rollback"] as const) {
  test(`backups beside a writer restore to states in which all holds, ${journal}`, (context) => live(context, journal));
}

async function live(context: TestContext, journal: "wal" | "rollback"): Promise<void> {
  await using bench = await openBench(`live-${journal}`);
  const databasePath = bench.at("live.db");
  const locks: number[] = [];
  let copies = 0;
  const told = await backUpLive(bench, {
    seed: journal === "wal" ? 11 : 12,
    metaUrl: metaUrlOf(databasePath, journal),
    newPlace: async () => `sqlite3://${bench.at(`run-${++copies}.db`)}`,
    sawPosition(position, method) {
      assert.equal(position["method"], journal === "wal" ? "wal-transaction" : "copy-under-lock", method);
      if (journal === "rollback") locks.push(Number(position["lockMs"]));
    },
  });
  context.diagnostic(`${journal}: ${told}`);
  if (locks.length > 0) {
    const megabytes = (statSync(databasePath).size / 1e6).toFixed(1);
    const sorted = locks.toSorted((a, b) => a - b);
    context.diagnostic(
      `locks held: median ${sorted[sorted.length >> 1]} ms, longest ${sorted.at(-1)} ms (${locks.join(", ")}), database of ${megabytes} MB`,
    );
  }
}
