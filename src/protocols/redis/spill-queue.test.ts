import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { CairnError } from "../../model/errors.ts";
import { blockBytes, openSpillQueue, requireSpace } from "./spill-queue.ts";

const folder = mkdtempSync(join(tmpdir(), "cairn-spill-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

test("bytes come out as they went in, whatever lies in the file", () => {
  fc.assert(
    fc.property(
      // Positive: bytes to write; negative: reads.
      fc.array(fc.oneof(fc.integer({ min: 1, max: 3 * blockBytes }), fc.integer({ min: -6, max: -1 })), {
        maxLength: 40,
      }),
      (steps) => {
        using queue = openSpillQueue({ folder, memoryBytes: 2 * blockBytes });
        let written = 0;
        let read = 0;
        const take = (): boolean => {
          const piece = queue.read();
          if (piece === undefined) return false;
          assert.ok(piece.length > 0 && piece.length <= blockBytes);
          for (let at = 0; at < piece.length; at += 97) assert.equal(piece[at], byteAt(read + at));
          read += piece.length;
          return true;
        };
        for (const step of steps) {
          if (step > 0) {
            queue.write(Uint8Array.from({ length: step }, (_, at) => byteAt(written + at)));
            written += step;
          } else for (let count = step; count < 0; count++) take();
          assert.equal(queue.pendingBytes, written - read);
        }
        while (take());
        assert.equal(read, written);
      },
    ),
    { numRuns: 30 },
  );
});

function byteAt(position: number): number {
  return (position * 31 + (position >> 8)) & 0xff;
}

test("the file has no name, and memory is bounded", () => {
  using queue = openSpillQueue({ folder, memoryBytes: 4 * blockBytes });
  for (let count = 0; count < 40; count++) queue.write(new Uint8Array(blockBytes));
  assert.deepEqual(readdirSync(folder), []);
  assert.equal(queue.spilledBytes, 36 * blockBytes);
  assert.equal(queue.pendingBytes, 40 * blockBytes);
});

test("a folder without room is refused with the need", () => {
  requireSpace(folder, 1);
  assert.throws(
    () => requireSpace(folder, 1e18),
    (error) => error instanceof CairnError && error.code === "no-space" && error.message.includes(folder),
  );
});
