import assert from "node:assert/strict";
import { test } from "node:test";
import { chainMax } from "../../src/format/limits.ts";
import { MemoryStore } from "../../src/repository/stores/memory.ts";
import { assertSameRows, backUpRows, openSnapshots, readRows, verify } from "../support/run-backup.ts";
import { changedRows, volumeRows } from "../support/volume-rows.ts";

test("a page that changes in every backup rests on one whole page past the end of its chain, and reads back each time", async () => {
  const store = new MemoryStore();
  const states = [volumeRows(7, 3000)];
  const stored: number[] = [];
  for (let at = 0; at < chainMax + 4; at += 1) {
    if (at > 0) states.push(changedRows(states[at - 1], 7 + at, 0.004));
    stored.push((await backUpRows(store, states[at])).manifest.storedBytes);
  }
  const longest: number[] = [];
  for (const [at, snapshot] of (await openSnapshots(store)).entries()) {
    const entries = await Array.fromAsync(snapshot.index("node").entries());
    longest.push(Math.max(...entries.map(({ chain }) => chain.length)));
    await verify(snapshot);
    assertSameRows(await readRows(snapshot), states[at]);
  }
  assert.equal(longest[chainMax], chainMax);
  assert.ok(longest[chainMax + 1] < chainMax, `chains of ${longest.join(", ")}`);
  assert.ok(stored[chainMax + 1] < stored[0] / 2, `stored ${stored.join(", ")}`);
});
