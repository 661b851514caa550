const unitsMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** `90s`, `15m`, `2h`, `3d`, `1w` in milliseconds; undefined when it is none of these. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,9})([smhdw])$/.exec(text);
  return match === null ? undefined : Number(match[1]) * unitsMs[match[2]];
}

export const timePattern = String.raw`\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d)?)?`;

/**
 * A point in time as milliseconds since 1970: `2026-11-20T10:00`, with seconds and fractions if wanted, in local time unless it ends
 * with `Z` or an offset. A date alone stands for the whole day: its last millisecond in local time. Undefined when it is no time.
 */
export function parseTime(text: string): number | undefined {
  if (!new RegExp(`^${timePattern}$`).test(text)) return undefined;
  const time = Date.parse(text.includes("T") ? text : `${text}T23:59:59.999`);
  if (Number.isNaN(time)) return undefined;
  // Date.parse takes 31 February for 3 March.
  const day = Number(text.slice(8, 10));
  const last = new Date(Date.UTC(Number(text.slice(0, 4)), Number(text.slice(5, 7)), 0)).getUTCDate();
  return day <= last ? time : undefined;
}
