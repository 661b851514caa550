import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openPacer } from "./pacer.ts";

const progress = { report() {}, warn() {} };
const { signal } = new AbortController();

test("nothing waits and nothing is asked when the user wants it so", async () => {
  let asked = 0;
  await using pacer = openPacer({
    pace: { pauseAboveMs: Infinity },
    probe: async () => void asked++,
    signal,
    progress,
  });
  const began = performance.now();
  for (let piece = 0; piece < 100; piece++) await pacer.pass(1 << 30);
  assert.ok(performance.now() - began < 500);
  assert.equal(asked, 0);
});

test("a rate is held", async () => {
  const rates: number[] = [];
  await using pacer = openPacer({
    pace: { bytesPerSecond: 1_000_000 },
    signal,
    progress: { warn() {}, report: ({ pace }) => void rates.push(pace?.bytesPerSecond ?? 0) },
  });
  const began = performance.now();
  for (let piece = 0; piece < 50; piece++) await pacer.pass(10_000);
  const seconds = (performance.now() - began) / 1000;
  // Half a megabyte, of which a tenth of a second's worth is free; never faster, and timers are late by a little.
  assert.ok(seconds >= 0.38, `took ${seconds} s`);
  assert.ok(rates.length >= 2);
  assert.ok((rates.at(-1) ?? 0) <= 1_600_000, `${rates.at(-1)} bytes a second`);
});

test("reading stops while the engine answers late, and says so once", async () => {
  let delay = 120;
  const warnings: string[] = [];
  const pauses: boolean[] = [];
  await using pacer = openPacer({
    pace: { pauseAboveMs: 30 },
    probe: () => sleep(delay),
    signal,
    progress: {
      report: ({ pace }) => void pauses.push(pace?.isPaused === true),
      warn: (code) => void warnings.push(code),
    },
  });
  const began = performance.now();
  await pacer.pass(1);
  setTimeout(() => void (delay = 1), 300);
  await sleep(40);
  await pacer.pass(1);
  assert.ok(performance.now() - began >= 300);
  assert.deepEqual(warnings, ["source-slow"]);
  assert.ok(pauses.includes(true));
});

test("an abort ends a pause", async () => {
  const controller = new AbortController();
  await using pacer = openPacer({ pace: { bytesPerSecond: 1 }, signal: controller.signal, progress });
  setTimeout(() => controller.abort(new Error("enough")), 30);
  await assert.rejects(pacer.pass(1000), (error: Error) => error.name === "AbortError" || error.message === "enough");
});

test("a probe that fails ends the read", async () => {
  await using pacer = openPacer({
    pace: { pauseAboveMs: 10 },
    probe: () => Promise.reject(new Error("gone")),
    signal,
    progress,
  });
  await pacer.pass(1);
  await sleep(5);
  await assert.rejects(pacer.pass(1), /gone/);
});

test("a probe that nobody asked for may fail", async () => {
  await using pacer = openPacer({ pace: undefined, probe: () => Promise.reject(new Error("gone")), signal, progress });
  await pacer.pass(1);
  await sleep(5);
  await pacer.pass(1);
});
