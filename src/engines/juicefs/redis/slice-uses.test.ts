import assert from "node:assert/strict";
import { mkdtempDisposableSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { SliceUses } from "./slice-uses.ts";

const folder = mkdtempDisposableSync(join(tmpdir(), "cairn-slices-"));
process.on("exit", () => folder.remove());

interface Slice {
  id: bigint;
  size: number;
  mentions: number;
  /** The real count, where one is stored. */
  stored: number | undefined;
}

const slice: fc.Arbitrary<Slice> = fc.record({
  id: fc.oneof(
    fc.bigInt({ min: 1n, max: 40n }),
    fc.bigInt({ min: 32_760n, max: 32_775n }),
    fc.bigInt({ min: 1n, max: 2n ** 63n }),
  ),
  size: fc.integer({ min: 0, max: 2 ** 26 }),
  mentions: fc.integer({ min: 0, max: 4 }),
  stored: fc.option(fc.integer({ min: -1, max: 4 }), { nil: undefined }),
});

test("the slices whose count is not the number of mentions are found, in any order", () => {
  fc.assert(
    fc.property(fc.uniqueArray(slice, { selector: ({ id }) => id, maxLength: 100 }), fc.boolean(), (slices, first) => {
      using uses = new SliceUses(folder.path);
      const store = (): void => {
        for (const { id, size, stored } of slices)
          if (stored !== undefined) uses.addStored(...halves(id), size, stored);
      };
      if (first) store();
      for (let round = 0; round < 4; round++) {
        for (const { id, size, mentions } of slices) if (round < mentions) uses.addMention(...halves(id), size);
      }
      if (!first) store();
      const findings = new Map(uses.findings().map(({ code, count }) => [code, count]));
      const differing = slices.filter(({ mentions, stored }) => mentions > 0 && (stored ?? 1) !== mentions);
      const leaked = slices.filter(({ mentions, stored }) => mentions === 0 && (stored ?? 0) > 0);
      assert.equal(findings.get("slice-ref-differs") ?? 0, differing.length);
      assert.equal(findings.get("slice-ref-leaked") ?? 0, leaked.length);
      const seen = slices.filter(({ mentions, stored }) => mentions > 0 || stored !== undefined);
      assert.equal(
        uses.maxId,
        seen.reduce((most, { id }) => (id > most ? id : most), 0n),
      );
    }),
  );
});

test("a million slices far apart do not break the memory's bound", () => {
  using uses = new SliceUses(folder.path);
  const before = process.memoryUsage().arrayBuffers;
  const count = 200_000;
  for (let at = 1; at <= count; at++) uses.addMention((at * 65_536) >>> 0, Math.floor((at * 65_536) / 2 ** 32), 4096);
  assert.ok(process.memoryUsage().arrayBuffers - before < 40 << 20);
  assert.deepEqual(uses.findings(), []);
  uses.addMention(65_536, 0, 4096);
  uses.addMention((count * 65_536) >>> 0, Math.floor((count * 65_536) / 2 ** 32), 4096);
  assert.equal(uses.findings()[0].count, 2);
});

function halves(id: bigint): [number, number] {
  return [Number(id & 0xffffffffn), Number(id >> 32n)];
}
