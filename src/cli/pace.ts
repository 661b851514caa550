import { CairnError } from "../model/errors.ts";
import type { Pace } from "../model/ports.ts";
import { sizeOption } from "./sizes.ts";

/** Options of commands that read a live engine. */
export interface PaceOptions {
  readRate?: string;
  pauseAbove?: string;
}

/** The pace that the options ask for; undefined when they ask for none. Throws `usage`. */
export function paceGiven({ readRate, pauseAbove }: PaceOptions): Pace | undefined {
  if (readRate === undefined && pauseAbove === undefined) return undefined;
  return {
    ...(readRate === undefined ? {} : { bytesPerSecond: sizeOption("--read-rate", readRate, 1024) }),
    ...(pauseAbove === undefined ? {} : { pauseAboveMs: milliseconds(pauseAbove) }),
  };
}

function milliseconds(text: string): number {
  if (text === "off") return Infinity;
  const value = /^[0-9]+$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= 60_000) return value;
  throw new CairnError("usage", `--pause-above ${text} is no number of milliseconds`, {
    exit: "wrongUse",
    next: "give a whole number from 1 to 60000, or off",
  });
}
