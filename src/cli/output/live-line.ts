import type { Clock } from "../../std/clock.ts";
import type { ProgressEvent } from "../../model/ports.ts";
import type { OutputStream } from "../world.ts";
import { formatBytes, formatCount, formatSeconds } from "./format.ts";

const terminalEveryMs = 100;
const plainEveryMs = 15_000;
const staleMs = 1500;

interface Phase {
  startedAt: number;
  startedDone: number;
  seenAt: number;
  event: ProgressEvent;
}

/**
 * Shows how far a running command is. On a terminal: one line, rewritten at most ten times a second. Elsewhere: a plain line every
 * 15 seconds, so that a log of a long run shows life and one of a short run stays empty.
 */
export class LiveLine {
  readonly #stream: OutputStream;
  readonly #clock: Clock;
  readonly #phases = new Map<string, Phase>();
  #drawnAt: number;
  #isDrawn = false;

  constructor(stream: OutputStream, clock: Clock) {
    this.#stream = stream;
    this.#clock = clock;
    this.#drawnAt = stream.isTTY === true ? 0 : clock.now();
  }

  report(event: ProgressEvent): void {
    const now = this.#clock.now();
    const phase = this.#phases.get(event.phase);
    if (phase === undefined || event.done < phase.event.done) {
      this.#phases.set(event.phase, { startedAt: now, startedDone: event.done, seenAt: now, event });
    } else {
      phase.event = event;
      phase.seenAt = now;
    }
    const isTerminal = this.#stream.isTTY === true;
    if (now - this.#drawnAt < (isTerminal ? terminalEveryMs : plainEveryMs)) return;
    this.#drawnAt = now;
    const text = this.#describe(now);
    if (isTerminal) {
      this.#stream.write(`\r\u001B[K${text.slice(0, (this.#stream.columns || 80) - 1)}`);
      this.#isDrawn = true;
    } else this.#stream.write(`${text}\n`);
  }

  /** Takes the line away, so that something else can be written; the next report draws it again. */
  clear(): void {
    if (!this.#isDrawn) return;
    this.#stream.write("\r\u001B[K");
    this.#isDrawn = false;
    this.#drawnAt = 0;
  }

  #describe(now: number): string {
    const running = [...this.#phases.values()].filter(
      ({ event, seenAt }) => now - seenAt < staleMs && (event.total === undefined || event.done < event.total),
    );
    const shown = running.length > 0 ? running : [...this.#phases.values()].slice(-1);
    return shown
      .slice(-2)
      .map((phase) => describePhase(phase, now))
      .join(" · ");
  }
}

function describePhase({ startedAt, startedDone, event }: Phase, now: number): string {
  const { phase, done, total, unit } = event;
  const seconds = (now - startedAt) / 1000;
  const rate = event.pace?.bytesPerSecond ?? (seconds < 0.3 ? undefined : (done - startedDone) / seconds);
  const amount = (count: number): string => (unit === "bytes" ? formatBytes(count) : formatCount(Math.round(count)));
  const parts = [phase];
  if (total !== undefined && total > 0) parts.push(`${Math.min(100, Math.floor((done / total) * 100))}%`);
  parts.push(unit === "bytes" ? amount(done) : `${amount(done)} ${unit}`);
  if (rate !== undefined && rate > 0) {
    parts.push(`${amount(rate)}/s`);
    if (total !== undefined && total > done) parts.push(`${formatSeconds((total - done) / rate)} left`);
  }
  if (event.pace?.probeMs !== undefined) parts.push(`answers in ${Math.round(event.pace.probeMs)} ms`);
  if (event.pace?.isPaused === true) parts.push("paused");
  return parts.join("  ");
}
