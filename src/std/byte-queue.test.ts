import assert from "node:assert/strict";
import { test } from "node:test";
import { ByteQueue } from "./byte-queue.ts";

test("a queue hands over its chunks in order, and holds the producer back at its limit", async () => {
  const queue = new ByteQueue(10);
  let pushed = 0;
  const producing = (async () => {
    for (let at = 0; at < 20; at += 1) {
      await queue.push(new Uint8Array(6).fill(at));
      pushed += 1;
    }
    queue.end();
  })();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(pushed, 2);
  const seen: number[] = [];
  for await (const chunk of queue) seen.push(chunk[0]);
  await producing;
  assert.deepEqual(seen, [...Array(20).keys()]);
});

test("a failure ends both sides", async () => {
  const queue = new ByteQueue(1);
  await queue.push(new Uint8Array(5));
  const waiting = queue.push(new Uint8Array(5));
  queue.fail(new Error("the disk is gone"));
  await assert.rejects(waiting, /the disk is gone/);
  await assert.rejects(queue[Symbol.asyncIterator]().next(), /the disk is gone/);
});
