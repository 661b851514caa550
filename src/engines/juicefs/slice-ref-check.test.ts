import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Finding } from "../../model/ports.ts";
import { SliceRefCheck } from "./slice-ref-check.ts";
import type { SliceRefVisitor } from "./slice-ref-differences.ts";
import { findSliceRefDifferences } from "./slice-ref-differences.ts";

interface Slice {
  id: bigint;
  size: number;
  mentions: number;
  stored: number | undefined;
}

const halves = (id: bigint): [number, number] => [Number(id & 0xffffffffn), Number(id >> 32n)];

function scanOf(slices: readonly Slice[]): (visitor: SliceRefVisitor) => void {
  return (visitor) => {
    for (const { id, size, mentions, stored } of slices) {
      for (let mention = 0; mention < mentions; mention++) visitor.mention(...halves(id), size);
      if (stored !== undefined) visitor.stored(...halves(id), size, stored);
    }
  };
}

function checkOf(slices: readonly Slice[]): SliceRefCheck {
  const check = new SliceRefCheck();
  scanOf(slices)({
    mention: (low, high, size) => check.addMention(low, high, size),
    stored: (low, high, size, refs) => check.addStored(low, high, size, refs),
  });
  return check;
}

const slice = fc.record({
  id: fc.oneof(fc.bigInt({ min: 0n, max: 20n }), fc.bigInt({ min: 0n, max: 2n ** 63n })),
  size: fc.integer({ min: 0, max: 2 ** 26 }),
  mentions: fc.integer({ min: 0, max: 4 }),
  stored: fc.option(fc.integer({ min: -1, max: 4 }), { nil: undefined }),
});
const slices = fc.uniqueArray(slice, { selector: ({ id }) => id, maxLength: 200 });

/** The findings, and how often the slices were read for them. */
function searched(slices: readonly Slice[], memoryBytes: number): { findings: Finding[]; passes: number } {
  const scan = scanOf(slices);
  let passes = 0;
  const counted = (visitor: SliceRefVisitor): void => {
    passes++;
    scan(visitor);
  };
  const findings = findSliceRefDifferences(counted, checkOf(slices).unequalBuckets(), memoryBytes);
  return { findings, passes };
}

function manySlices(count: number, more: Partial<Slice>): Slice[] {
  return Array.from({ length: count }, (_, at) => ({
    id: BigInt(at + 1),
    size: 4096,
    mentions: 2,
    stored: 2,
    ...more,
  }));
}

test("sums agree exactly when no slice differs, and one more pass counts those that do", () => {
  fc.assert(
    fc.property(slices, fc.boolean(), (drawn, isHealthy) => {
      const all = isHealthy
        ? drawn.map((one) => ({ ...one, stored: one.mentions > 0 ? one.mentions : undefined }))
        : drawn;
      const bad = all.filter(({ id, mentions, stored }) => id !== 0n && Math.max(stored ?? 0, 0) !== mentions);
      const unclean = all.filter(
        ({ id, mentions, stored }) => id !== 0n && mentions > 0 && stored !== undefined && stored !== mentions,
      );
      const { findings, passes } = searched(all, 1 << 20);
      assert.equal(passes, bad.length === 0 ? 0 : 1);
      const count = (code: string): number => findings.find((finding) => finding.code === code)?.count ?? 0;
      assert.equal(count("slice-ref-differs"), unclean.length);
      assert.equal(
        count("slice-ref-missing"),
        all.filter(({ id, mentions, stored }) => id !== 0n && mentions > 0 && stored === undefined).length,
      );
      assert.equal(
        count("slice-ref-leaked"),
        all.filter(({ id, mentions, stored }) => id !== 0n && mentions === 0 && (stored ?? 0) > 0).length,
      );
    }),
    { numRuns: 300 },
  );
});

test("one slice that differs among very many costs one pass and hardly any memory", () => {
  const all = manySlices(200_000, {});
  all[123_456].stored = 7;
  const { findings, passes } = searched(all, 0);
  assert.equal(passes, 1);
  assert.deepEqual(
    findings.map(({ code, count, samples }) => [code, count, samples]),
    [["slice-ref-differs", 1, ["slice 123457, size 4096: stored 7, 2 mentions"]]],
  );
});

test("what does not fit into memory at once is counted in a few passes, exactly", () => {
  const { findings, passes } = searched(manySlices(3000, { stored: undefined }), 0);
  assert.ok(passes > 1 && passes <= 4, `${passes} passes`);
  assert.equal(findings[0].count, 3000);
  assert.match(findings[0].message, /^3000 slices in use/);
  assert.equal(findings[0].samples.length, 10);
  assert.match(findings[0].samples[0], /^slice \d+, size 4096: 2 mentions$/);
});

test("what does not fit into four passes either is said to be more", () => {
  const { findings, passes } = searched(manySlices(100_000, { stored: 3 }), 100_000);
  assert.equal(passes, 4);
  assert.ok(findings[0].count > 1000 && findings[0].count < 100_000, `${findings[0].count} counted`);
  assert.match(findings[0].message, /^at least \d+ slices have/);
});

test("knows the highest id on either side", () => {
  const check = checkOf([
    { id: 2n ** 40n, size: 1, mentions: 1, stored: 1 },
    { id: 7n, size: 1, mentions: 0, stored: 1 },
  ]);
  assert.equal(check.maxId, 2n ** 40n);
});
