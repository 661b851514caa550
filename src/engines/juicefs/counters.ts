import type { Facts } from "../../model/ports.ts";
import type { Row } from "../../model/batch.ts";

/**
 * JuiceFS' counters under their SQL names (docs/format.md, "counter"). Values are "next free" for `nextInode` and `nextChunk`; an engine
 * that stores something else (Redis: one less) converts before.
 */
export interface CanonicalCounters {
  /** Records of table `counter`, sorted by name: always the five below, and every counter that we do not know. */
  readonly rows: Row[];
  /** What a restore uses beside the table, by name, as decimal strings. */
  readonly facts: Facts;
}

/** In the table, absent or not; with the least value that means anything. */
const canonicalLeast: Readonly<Record<string, bigint | undefined>> = {
  nextChunk: 1n,
  nextInode: 2n,
  nextTrash: undefined,
  totalInodes: undefined,
  usedSpace: undefined,
};

/** Session numbers and the clean-up jobs' time stamps: of the moment, not of the metadata. */
export const factCounters = [
  "nextSession",
  "nextCleanupSlices",
  "lastCleanupSessions",
  "lastCleanupFiles",
  "lastCleanupTrash",
  "lastCleanupChangelog",
  "lastChangelog",
] as const;

/** Follow from other tables: the highest ACL id, the highest delegation token. */
const derivedCounters = ["aclMaxId", "krbTokenMaxId"];

export function canonicalCounters(stored: ReadonlyMap<string, bigint>): CanonicalCounters {
  const values = new Map<string, bigint>();
  for (const [name, least] of Object.entries(canonicalLeast)) {
    const value = stored.get(name) ?? 0n;
    values.set(name, least !== undefined && value < least ? least : value);
  }
  const facts: Facts = {};
  for (const [name, value] of stored) {
    if ((factCounters as readonly string[]).includes(name)) facts[name] = value.toString();
    else if (!derivedCounters.includes(name) && !values.has(name)) values.set(name, value);
  }
  const rows = [...values].map(([name, value]): [Buffer, bigint] => [Buffer.from(name), value]);
  return { rows: rows.toSorted((a, b) => Buffer.compare(a[0], b[0])), facts };
}

/** A counter among the facts, or nothing when it is absent or no number. */
export function factCounter(facts: Facts, name: (typeof factCounters)[number]): bigint | undefined {
  const value = facts[name];
  return typeof value === "string" && /^-?[0-9]+$/.test(value) ? BigInt(value) : undefined;
}
