import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
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

test("sums agree exactly when no slice differs, and the second pass counts the same", () => {
  fc.assert(
    fc.property(slices, fc.boolean(), fc.integer({ min: 1, max: 4 }), (drawn, isHealthy, partitions) => {
      const all = isHealthy
        ? drawn.map((one) => ({ ...one, stored: one.mentions > 0 ? one.mentions : undefined }))
        : drawn;
      const bad = all.filter(({ id, mentions, stored }) => id !== 0n && Math.max(stored ?? 0, 0) !== mentions);
      assert.equal(checkOf(all).agrees, bad.length === 0);
      const unclean = all.filter(
        ({ id, mentions, stored }) => id !== 0n && mentions > 0 && stored !== undefined && stored !== mentions,
      );
      const findings = findSliceRefDifferences(scanOf(all), all.length, Math.ceil((all.length * 40) / partitions) || 1);
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

test("names at most ten slices, whatever their number", () => {
  const missing = Array.from({ length: 5000 }, (_, at): Slice => ({
    id: BigInt(at + 1),
    size: 4096,
    mentions: 2,
    stored: undefined,
  }));
  const [finding] = findSliceRefDifferences(scanOf(missing), missing.length, 20_000);
  assert.equal(finding.count, 5000);
  assert.equal(finding.samples.length, 10);
  assert.match(finding.samples[0], /^slice \d+, size 4096: 2 mentions$/);
});

test("knows the highest id on either side", () => {
  const check = checkOf([
    { id: 2n ** 40n, size: 1, mentions: 1, stored: 1 },
    { id: 7n, size: 1, mentions: 0, stored: 1 },
  ]);
  assert.equal(check.maxId, 2n ** 40n);
});
