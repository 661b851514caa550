import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { PayloadForm } from "./payload-framing.ts";
import { openPayloadFraming, payloadFormOf } from "./payload-framing.ts";

// Its first character occurs once: no beginning of it is also its end, as with random marks in practice.
const mark = "a2345678901234567890123456789012345678bf";

/** The payload that comes out of the bytes cut at the positions, and whether its end was found. */
function frame(form: PayloadForm, bytes: Buffer, cuts: readonly number[]): { payload: Buffer; complete: boolean } {
  const out: Buffer[] = [];
  const framing = openPayloadFraming(form, (part) => out.push(Buffer.from(part)));
  const ends = [...cuts.filter((cut) => cut < bytes.length), bytes.length].toSorted((a, b) => a - b);
  let at = 0;
  for (const end of ends) {
    if (framing.push(bytes.subarray(at, end))) return { payload: Buffer.concat(out), complete: true };
    at = end;
  }
  return { payload: Buffer.concat(out), complete: false };
}

test("both forms of the announcement are known, and nothing else", () => {
  assert.deepEqual(payloadFormOf("12"), { form: "length", bytes: 12 });
  assert.deepEqual(payloadFormOf(`EOF:${mark}`), { form: "mark", mark: Buffer.from(mark) });
  for (const bad of ["", "-1", "EOF:", `EOF:${mark}0`, "1e3"]) assert.equal(payloadFormOf(bad), undefined);
});

test("the mark is found wherever reads are cut, and what follows it is dropped", () => {
  // Beginnings of the mark inside the payload, right before the mark too.
  const part = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.nat(39).map((length) => Buffer.from(mark.slice(0, length))),
  );
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 6 }),
      fc.uint8Array({ maxLength: 50 }),
      fc.array(fc.nat(400)),
      (parts, after, cuts) => {
        const payload = Buffer.concat(parts);
        const bytes = Buffer.concat([payload, Buffer.from(mark), after]);
        const form = { form: "mark", mark: Buffer.from(mark) } as const;
        assert.deepEqual(frame(form, bytes, cuts), { payload, complete: true });
        assert.equal(frame(form, bytes.subarray(0, payload.length + 39), cuts).complete, false);
      },
    ),
  );
});

test("a counted payload ends after its length", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 100, minLength: 1 }),
      fc.uint8Array(),
      fc.array(fc.nat(120)),
      (payload, after, cuts) => {
        const bytes = Buffer.concat([payload, after]);
        const form = { form: "length", bytes: payload.length } as const;
        assert.deepEqual(frame(form, bytes, cuts), { payload: Buffer.from(payload), complete: true });
        assert.equal(frame(form, bytes.subarray(0, payload.length - 1), cuts).complete, false);
      },
    ),
  );
});
