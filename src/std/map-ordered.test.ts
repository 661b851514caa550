import assert from "node:assert/strict";
import { test } from "node:test";
import { mapOrdered } from "./map-ordered.ts";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test("results come in the order of the items, with no more under way than allowed", async () => {
  let running = 0;
  let most = 0;
  const work = async (item: number): Promise<number> => {
    running += 1;
    most = Math.max(most, running);
    await pause((item * 7) % 5);
    running -= 1;
    return item * 2;
  };
  const results: number[] = [];
  for await (const result of mapOrdered(Array(30).keys(), 4, work)) results.push(result);
  assert.deepEqual(
    results,
    Array.from({ length: 30 }, (_, item) => item * 2),
  );
  assert.equal(most, 4);
});

test("an error is thrown in its turn, after what runs has ended", async () => {
  let ended = 0;
  const work = async (item: number): Promise<number> => {
    await pause(5);
    ended += 1;
    if (item === 1) throw new Error("item 1");
    return item;
  };
  const results: number[] = [];
  await assert.rejects(async () => {
    for await (const result of mapOrdered([0, 1, 2, 3, 4, 5], 3, work)) results.push(result);
  }, /item 1/);
  assert.deepEqual(results, [0]);
  assert.ok(ended >= 3);
  const atThrow = ended;
  await pause(20);
  assert.equal(ended, atThrow);
});
