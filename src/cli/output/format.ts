/** Numbers and times as people read them; everything in English, whatever the locale: output is also read by scripts. */

const binaryUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** `1.2 MiB`; whole below 1,024 bytes. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1023.95 && unit < binaryUnits.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${value} B` : `${value < 99.95 ? value.toFixed(1) : value.toFixed(0)} ${binaryUnits[unit]}`;
}

/** `1,234,567`. */
export function formatCount(count: number | bigint): string {
  return String(count).replaceAll(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/** `1 file`, `2 files`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** `0.42 s`, `12.3 s`, `4 min 05 s`, `2 h 03 min`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(2)} s`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

/** Local time to the second, with its offset: `2026-11-20 10:00:00+01:00`. */
export function formatTime(milliseconds: number): string {
  const date = new Date(milliseconds);
  const offset = -date.getTimezoneOffset();
  const sign = offset < 0 ? "-" : "+";
  const zone = offset === 0 ? "Z" : `${sign}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  const day = `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}${zone}`;
}

/** Seconds since 1970 and nanoseconds as `2026-11-20 10:00:00.123456789`, local time; fractions only where there are any. */
export function formatNanotime(seconds: bigint, nanoseconds: number): string {
  // Beyond what a Date can hold (year 275760): the number itself.
  if (seconds > 8_640_000_000_000n || seconds < -8_640_000_000_000n) return `${seconds} s`;
  const text = formatTime(Number(seconds) * 1000);
  if (nanoseconds === 0) return text;
  const dot = `.${String(nanoseconds).padStart(9, "0").replace(/0+$/, "")}`;
  return text.replace(/(:\d\d:\d\d)/, `$1${dot}`);
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}

/** Rows as aligned columns, two spaces between; columns whose place is in `right` are aligned to the right. */
export function alignColumns(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, index) => {
      widths[index] = Math.max(widths[index] ?? 0, cell.length);
    });
  }
  return rows.map((row) =>
    row
      .map((cell, index) => (right.includes(index) ? cell.padStart(widths[index]) : cell.padEnd(widths[index])))
      .join("  ")
      .trimEnd(),
  );
}
