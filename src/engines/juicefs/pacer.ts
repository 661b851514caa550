import { setTimeout as sleep } from "node:timers/promises";
import type { Pace, PaceReport, Progress } from "../../model/ports.ts";

/** Lets a read pass as fast as its pace allows. */
export interface Pacer extends AsyncDisposable {
  /** Call after each piece that was read, with its bytes; resolves when the next may be read. Throws what the probe threw, or the signal's reason. */
  pass(bytes: number): Promise<void>;
}

export interface PacerOptions {
  pace: Pace | undefined;
  /** A question that costs the engine nothing (`SELECT 1`, `PING`), asked on a connection of its own; undefined where there is none. */
  probe?: () => Promise<unknown>;
  signal: AbortSignal;
  progress: Progress;
}

/** Questions are asked this often, and while paused. */
const probeIntervalMs = 1000;
/** Debt that is slept off at once: shorter sleeps would be rounded up by the timers. */
const smallestSleepMs = 5;
/** The rate that a report shows is that of this long. */
const rateWindowMs = 5000;
const reportIntervalMs = 200;
/** Without a threshold of the user's: far above what a busy server needs for a question without work. */
const pauseAboveMsDefault = 1000;
/** After this long a pause one more piece is read, so that a backup of a server that is always slow ends some day. */
const pauseMaxMs = 30_000;

/**
 * Holds a read to `pace.bytesPerSecond` (a bucket that holds a tenth of a second), and stops it while the probe's answer comes later than
 * `pace.pauseAboveMs` (1,000 unless said, never when infinite), until an answer comes in time again. Reports both as the progress of a phase
 * `source`. With neither pace nor probe nothing waits or is reported.
 */
export function openPacer({ pace, probe, signal, progress }: PacerOptions): Pacer {
  const began = performance.now();
  const bytesPerSecond = pace?.bytesPerSecond;
  const threshold = pace?.pauseAboveMs ?? pauseAboveMsDefault;
  const window: { at: number; bytes: number }[] = [{ at: began, bytes: 0 }];
  // A pause that nobody asked for is not worth an error: where its question fails the read goes on without.
  const isWanted = pace?.pauseAboveMs !== undefined;
  let isAsking = threshold !== Infinity;
  let total = 0;
  let paidUntil = began;
  let probeMs: number | undefined;
  let askedAt = -Infinity;
  let isPaused = false;
  let asking: Promise<void> | undefined;
  let reportedAt = -Infinity;
  let failure: { error: unknown } | undefined;

  async function ask(question: () => Promise<unknown>): Promise<void> {
    askedAt = performance.now();
    await question();
    probeMs = performance.now() - askedAt;
  }

  /** Asks when it is time; the answer is waited for only when it is late. */
  async function respectLatency(question: () => Promise<unknown>): Promise<void> {
    const end = performance.now() + pauseMaxMs;
    while (isAsking && performance.now() < end) {
      if (failure !== undefined) throw failure.error;
      if (asking === undefined && performance.now() - askedAt >= (isPaused ? probeIntervalMs / 4 : probeIntervalMs)) {
        asking = ask(question)
          .catch((error: unknown) => {
            if (isWanted) failure ??= { error };
            else isAsking = false;
          })
          .finally(() => void (asking = undefined));
      }
      const isLate = asking !== undefined && performance.now() - askedAt > threshold;
      const wasLate = probeMs !== undefined && probeMs > threshold;
      if (!isLate && !wasLate) {
        isPaused = false;
        return;
      }
      if (!isPaused) {
        isPaused = true;
        reportAt(performance.now());
        progress.warn("source-slow", `the engine answers later than ${threshold} ms: reading waits until it recovers`);
      }
      await sleep(Math.min(threshold, 50), undefined, { signal });
    }
    if (!isAsking) isPaused = false;
  }

  function reportAt(now: number): void {
    reportedAt = now;
    const seconds = Math.max(0.001, (now - window[0].at) / 1000);
    const rate = (total - window[0].bytes) / seconds;
    const report: PaceReport = { bytesPerSecond: rate, ...(probeMs === undefined ? {} : { probeMs }), isPaused };
    progress.report({ phase: "source", done: total, unit: "bytes", pace: report });
  }

  return {
    async pass(bytes) {
      signal.throwIfAborted();
      total += bytes;
      const now = performance.now();
      const newest = window.at(-1);
      if (newest === undefined || now - newest.at > rateWindowMs / 10) window.push({ at: now, bytes: total });
      while (window.length > 2 && now - window[0].at > rateWindowMs) window.shift();
      if (bytesPerSecond !== undefined) {
        // A tenth of a second may be used up at once after a rest.
        paidUntil = Math.max(paidUntil, now - 100) + (1000 * bytes) / bytesPerSecond;
        if (paidUntil - now > smallestSleepMs) await sleep(paidUntil - now, undefined, { signal });
      }
      if ((pace !== undefined || probe !== undefined) && now - reportedAt > reportIntervalMs) reportAt(now);
      if (probe !== undefined && isAsking) await respectLatency(probe);
    },
    async [Symbol.asyncDispose]() {
      // An open question is not waited for: a server that hangs would hold up the end of the run. Its answer is nobody's any more.
      isAsking = false;
    },
  };
}
