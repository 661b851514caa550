import { CairnError } from "../model/errors.ts";

const factors: Readonly<Record<string, number>> = {
  "": 1,
  K: 1024,
  M: 1024 ** 2,
  G: 1024 ** 3,
  T: 1024 ** 4,
  P: 1024 ** 5,
};

/** `256M`, `4KiB`, `12` as bytes (units are powers of 1,024); undefined when it is no size. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([KMGTP]?)(?:i?B)?$/i.exec(text.trim());
  if (match === null) return undefined;
  const bytes = Math.round(Number(match[1]) * factors[match[2].toUpperCase()]);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** A size that an option gave; throws `usage` naming the option. */
export function sizeOption(option: string, text: string, least = 0): number {
  const bytes = parseSize(text);
  if (bytes === undefined || bytes < least) {
    const bound = least === 0 ? "" : `, at least ${least >= 1024 ** 2 ? `${least / 1024 ** 2}M` : least}`;
    throw new CairnError("usage", `${option} ${text} is not a size`, {
      exit: "wrongUse",
      next: `give bytes, or a number with K, M, G or T: 256M${bound}`,
    });
  }
  return bytes;
}
