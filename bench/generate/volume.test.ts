import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { styles, openNamer, directoryName } from "./names.ts";
import { openRandom } from "./random.ts";
import { planTree } from "./tree.ts";
import { writeVolume } from "./volume.ts";

const options = { files: 5_000, seed: 3, name: "bench", bucket: "/var/lib/cairn-bench/" };

test("the same options give the same dump, another seed another one, and the shares are as promised", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "cairn-bench-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const hash = (name: string, seed: number) => {
    const summary = writeVolume(join(folder, name), { ...options, seed });
    return {
      summary,
      hash: createHash("sha256")
        .update(readFileSync(join(folder, name)))
        .digest("hex"),
    };
  };
  const first = hash("a", 3);
  assert.equal(hash("b", 3).hash, first.hash);
  assert.notEqual(hash("c", 4).hash, first.hash);
  const { records, symlinks, multiSliceFiles, largestDirectory, directories } = first.summary;
  // Besides the files there are the directories, the root among them, and the trash.
  assert.equal(records["node"], options.files + directories + 1);
  assert.ok(symlinks > 25 && symlinks < 100);
  assert.ok(multiSliceFiles > 250 && multiSliceFiles < 450);
  assert.ok(largestDirectory >= 250);
});

test("a tree holds all files, no deeper than 12, and every parent is older than its children", () => {
  const tree = planTree(20_000, 5);
  assert.equal(
    tree.files.reduce((sum, files) => sum + files, 0),
    20_000,
  );
  for (let directory = 1; directory < tree.count; directory++) {
    assert.ok(tree.parent[directory] < directory);
    assert.ok(tree.depth[directory] <= 12);
  }
});

test("no two entries of a directory have the same name", () => {
  for (const style of styles) {
    for (let seed = 0; seed < 20; seed++) {
      const next = openNamer(style, 1_700_000_000, 3_000, openRandom(seed, "names"));
      const names = Array.from({ length: 3_000 }, next);
      for (let rank = 0; rank < 600; rank++) {
        names.push(directoryName(style, seed, rank));
      }
      assert.equal(new Set(names).size, names.length, style);
      assert.ok(names.every((name) => Buffer.byteLength(name) <= 255));
    }
  }
});
