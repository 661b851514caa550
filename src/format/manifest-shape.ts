import type { Manifest } from "./manifest.ts";

type Check = (value: unknown) => boolean;

const text: Check = (value) => typeof value === "string";
const count: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const hex = (digits: number): Check => {
  const pattern = new RegExp(`^[0-9a-f]{${digits}}$`);
  return (value) => typeof value === "string" && pattern.test(value);
};
const isoTime: Check = (value) => typeof value === "string" && !Number.isNaN(Date.parse(value));
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const mapOf =
  (check: Check): Check =>
  (value) =>
    isObject(value) && Object.values(value).every(check);
const shaped =
  (checks: Record<string, Check>): Check =>
  (value) =>
    isObject(value) && wrongField(value, checks) === undefined;

const fact: Check = (value) => ["string", "number", "boolean"].includes(typeof value);
/** A tree of more levels would need more pages than there are atoms to keep them. */
const levels: Check = (value) => count(value) && (value as number) < 32;
const top = shaped({ levels, pages: count, top: text });
const table = shaped({
  name: text,
  records: count,
  hash: hex(64),
  rawBytes: count,
  index: top,
  extremes: mapOf(shaped({ min: text, max: text })),
});
const finding = shaped({ code: text, severity: text, message: text, count, samples: listOf(text) });

const manifestChecks: Record<Exclude<keyof Manifest, "format" | "features">, Check> = {
  id: hex(32),
  kind: text,
  volume: text,
  time: isoTime,
  schemaVersion: count,
  identityVersion: count,
  root: hex(64),
  volumeName: text,
  system: text,
  engine: shaped({ name: text, version: text }),
  tool: shaped({ name: text, version: text }),
  started: isoTime,
  ended: isoTime,
  consistency: shaped({ level: text, method: text, position: mapOf(fact) }),
  tables: listOf(table),
  pathIndex: orNull(top),
  largeValues: orNull(top),
  logicalBytes: count,
  storedBytes: count,
  parent: orNull(hex(32)),
  packs: listOf(hex(32)),
  note: text,
  tags: mapOf(text),
  facts: mapOf(fact),
  findings: listOf(finding),
  omitted: mapOf(count),
  secrets: mapOf(text),
};

/** The first field of a manifest that is missing or of another shape than docs/format.md says, or undefined. */
export function wrongManifestField(manifest: Record<string, unknown>): string | undefined {
  return wrongField(manifest, manifestChecks);
}

function wrongField(value: Record<string, unknown>, checks: Record<string, Check>): string | undefined {
  return Object.keys(checks).find((name) => !checks[name](value[name]));
}
