import type { Context } from "../context.ts";
import { withPassword } from "../meta-url.ts";
import { alignColumns, formatBytes, formatCount, plural } from "../output/format.ts";
import { redisChoices } from "../redis-choices.ts";
import type { RedisSourceOptions } from "../redis-choices.ts";
import { openSource } from "../registry.ts";

/** Records that a backup reads a second, and bytes that it stores of each: from docs/benchmarks.md, rounded to the careful side. */
const recordsPerSecond = 600_000;
const storedBytesPerRecord = 15;

/** `doctor META-URL`: reads only. */
export async function doctor(
  context: Context,
  [url]: readonly (string | undefined)[],
  options: RedisSourceOptions,
): Promise<void> {
  const { output, signal, world } = context;
  const source = await openSource(await withPassword(url ?? "", world.env), {
    keepSecrets: false,
    allowBlock: false,
    ...redisChoices(options, world.env),
  });
  const found = await source.describe(signal);
  const records = Object.values(found.estimates).reduce((sum, count) => sum + count, 0);
  const seconds = 0.3 + records / recordsPerSecond;
  const storedBytes = records * storedBytesPerRecord;
  const { consistency } = found;
  const lines = alignColumns([
    ["system", found.system],
    ["engine", `${found.engine} ${found.engineVersion}`],
    ["volume", `${found.volumeName} (${found.volumeId})`],
    ["consistent", `${consistency.level === "snapshot" ? "yes" : "NO"}: ${consistency.method}`],
    ["metadata", `about ${formatCount(records)} records, ${formatBytes(found.estimatedBytes)}`],
    [
      "a backup",
      `about ${plural(Math.ceil(seconds), "second")}; the first one stores about ${formatBytes(storedBytes)}, later ones what changed`,
    ],
    ...Object.entries(found.facts).map(([name, value]) => [name, String(value)]),
  ]);
  const estimates = Object.entries(found.estimates).filter(([, count]) => count > 0);
  lines.push(
    "",
    ...alignColumns(
      estimates.map(([name, count]) => [`  ${name}`, formatCount(count)]),
      [1],
    ),
  );
  lines.push("", found.problems.length === 0 ? "Nothing stands in the way of a backup." : "Problems:");
  for (const { message, next } of found.problems) lines.push(`  ${message}`, `    next: ${next}`);
  await output.text(`${lines.join("\n")}\n`);
  await output.result("doctor", {
    kind: found.kind,
    system: found.system,
    engine: found.engine,
    engineVersion: found.engineVersion,
    volume: found.volumeId,
    volumeName: found.volumeName,
    consistency: { level: consistency.level, method: consistency.method },
    estimates: found.estimates,
    estimatedBytes: found.estimatedBytes,
    estimatedSeconds: Math.ceil(seconds),
    estimatedStoredBytes: storedBytes,
    facts: found.facts,
    problems: found.problems,
  });
}
