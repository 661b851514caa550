import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { counts } from "../../test/counts.ts";
import { decodeManifest, encodeManifest } from "./manifest.ts";
import type { Manifest } from "./manifest.ts";

const digits = (count: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: count / 2, maxLength: count / 2 }).map((bytes) => Buffer.from(bytes).toString("hex"));
const text = fc.string({ unit: "binary", maxLength: 20 });
const count = fc.nat(Number.MAX_SAFE_INTEGER);
const time = fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) }).map((date) => date.toISOString());
const fact = fc.oneof(text, count, fc.boolean());
const top = fc.record({ levels: fc.nat(5), pages: count, top: text });
const facts = fc.dictionary(text, fact);

const manifest: fc.Arbitrary<Manifest> = fc.record({
  format: fc.constant(1),
  features: fc.constant([]),
  id: digits(32),
  kind: text,
  volume: text,
  time,
  schemaVersion: fc.nat(9),
  identityVersion: fc.nat(9),
  root: digits(64),
  volumeName: text,
  system: text,
  engine: fc.record({ name: text, version: text }),
  tool: fc.record({ name: text, version: text }),
  started: time,
  ended: time,
  consistency: fc.record({ level: fc.constantFrom("snapshot", "none"), method: text, position: facts }),
  tables: fc.array(
    fc.record({
      name: text,
      records: count,
      hash: digits(64),
      rawBytes: count,
      index: top,
      extremes: fc.dictionary(text, fc.record({ min: text, max: text })),
    }),
  ),
  pathIndex: fc.option(top),
  largeValues: fc.option(top),
  logicalBytes: count,
  storedBytes: count,
  parent: fc.option(digits(32)),
  packs: fc.array(digits(32)),
  note: text,
  tags: fc.dictionary(text, text),
  facts,
  findings: fc.array(
    fc.record({
      code: text,
      severity: fc.constantFrom("info", "warning", "error"),
      message: text,
      count,
      samples: fc.array(text),
    }),
  ),
  omitted: fc.dictionary(text, count),
  secrets: fc.dictionary(text, text),
});

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test("a manifest comes back from its bytes", () => {
  fc.assert(
    fc.property(manifest, (one) => {
      assert.deepEqual(plain(decodeManifest(encodeManifest(one), one.id)), plain(one));
    }),
    { numRuns: counts.propertyRuns },
  );
});

test("no flipped bit of a manifest goes unseen", () => {
  fc.assert(
    fc.property(manifest, fc.nat(), fc.nat(7), (one, place, bit) => {
      const bytes = encodeManifest(one).slice();
      bytes[place % bytes.length] ^= 1 << bit;
      assert.throws(() => decodeManifest(bytes, one.id), { name: "CairnError", exit: "repositoryDamaged" });
    }),
    { numRuns: counts.propertyRuns },
  );
});
