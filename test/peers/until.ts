import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import type { ServerProcess } from "./server-process.ts";

const secondsMax = 30;

/** Asks again and again until it is so; throws with the server's log when it is not so in 30 seconds. */
export async function until(what: string, server: ServerProcess, isSo: () => Promise<boolean>): Promise<void> {
  const start = performance.now();
  while (performance.now() - start < secondsMax * 1000) {
    if (await isSo()) return;
    await sleep(20);
  }
  throw new Error(`waited ${secondsMax} s in vain for ${what}; the server logged:\n${server.log()}`);
}
