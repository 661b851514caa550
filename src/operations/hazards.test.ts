import assert from "node:assert/strict";
import { test } from "node:test";
import type { Row } from "../model/batch.ts";
import { fileType, trashInode } from "../model/juicefs.ts";
import type { Finding } from "../model/ports.ts";
import {
  chunkSlice,
  counterRows,
  edgeRow,
  makeSyntheticSnapshot,
  nodeRow,
  settingRows,
} from "../../test/support/synthetic-snapshot.ts";
import { restoreHazards } from "./hazards.ts";
import type { WantedChanges } from "./changes/plan-changes.ts";

const root = nodeRow(1n, { type: fileType.directory, nlink: 2, length: 4096n });
const healthy: Record<string, Row[]> = {
  node: [root, nodeRow(2n)],
  edge: [edgeRow(1n, "a", 2n)],
  chunk: [[2n, 0, chunkSlice(7n, 5)]],
  counter: counterRows({ nextInode: 100, nextChunk: 8, nextTrash: 0 }),
  setting: settingRows({ TrashDays: 0 }),
};

async function codes(
  tables: Record<string, Row[]>,
  wanted: Partial<WantedChanges> = {},
  findings: Finding[] = [],
): Promise<string[]> {
  const snapshot = await makeSyntheticSnapshot({ tables: { ...healthy, ...tables }, findings });
  const hazards = await restoreHazards(snapshot, { repair: [], ...wanted });
  return hazards.map((one) => `${one.severity} ${one.code}`);
}

test("a healthy snapshot has no hazards", async () => {
  assert.deepEqual(await codes({}), []);
});

test("low counters are named with their repair, and not when it is asked for", async () => {
  const tables = {
    deleted_file: [[100n, 1n, 0n] as Row],
    slice_ref: [[8n, 1, 0n] as Row],
    node: [
      root,
      nodeRow(trashInode, { type: fileType.directory }),
      nodeRow(trashInode + 1n, { type: fileType.directory }),
    ],
  };
  const all = ["warning next-inode-too-low", "warning next-chunk-too-low", "warning next-trash-too-low"];
  assert.deepEqual(await codes(tables), all);
  assert.deepEqual(await codes(tables, { repair: ["usage"] }), all);
  assert.deepEqual(await codes(tables, { repair: ["counters"] }), []);
  assert.deepEqual(await codes(tables, { advanceIds: 5 }), []);
  const snapshot = await makeSyntheticSnapshot({ tables: { ...healthy, ...tables } });
  const [first] = await restoreHazards(snapshot, { repair: [] });
  assert.equal(
    first.message,
    "the next inode is 100, but a deleted file still uses 100: new files would share its data and lose it; --repair=counters corrects it",
  );
});

test("what the backup found comes before what is computed, the most severe first", async () => {
  const findings: Finding[] = [
    { code: "usage-lags", severity: "info", message: "lags", count: 1, samples: ["usedSpace"] },
    { code: "next-inode-too-low", severity: "warning", message: "as the source says it", count: 1, samples: [] },
    { code: "slice-ref-differs", severity: "error", message: "counts differ", count: 3, samples: [] },
  ];
  const tables = { deleted_file: [[100n, 1n, 0n] as Row] };
  assert.deepEqual(await codes(tables, {}, findings), [
    "error slice-ref-differs",
    "warning next-inode-too-low",
    "info usage-lags",
  ]);
  assert.deepEqual(await codes(tables, { repair: ["usage", "counters"] }, findings), ["error slice-ref-differs"]);
});

test("a trash that is on and missing is named", async () => {
  const setting = settingRows({ TrashDays: 7 });
  assert.deepEqual(await codes({ setting }), ["warning trash-missing"]);
  const node = [root, nodeRow(2n), nodeRow(trashInode, { type: fileType.directory })];
  assert.deepEqual(await codes({ setting, node }), []);
});
