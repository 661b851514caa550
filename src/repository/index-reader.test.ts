import assert from "node:assert/strict";
import { before, test } from "node:test";
import { batchFromRows } from "../model/batch.ts";
import type { Kind, TableSchema } from "../model/schema.ts";
import type { IndexEntry } from "../format/index-page.ts";
import { encodeKey } from "../format/key.ts";
import { encodePage } from "../format/page.ts";
import type { RawPage } from "../format/pager.ts";
import { steppingClock } from "../../test/support/run-backup.ts";
import { seededRandom } from "../../test/volumes/seeded-random.ts";
import { initRepository } from "./repository.ts";
import type { Repository } from "./repository.ts";
import { openSnapshot } from "./snapshot.ts";
import type { Snapshot } from "./snapshot.ts";
import { SnapshotWriter } from "./snapshot-writer.ts";
import { MemoryStore } from "./stores/memory.ts";

/*
 * A tree of several levels needs tens of thousands of pages. These have one record each, and go straight to the writer: what the index
 * does with them is what it does with pages of thousands of records.
 */
const schema: TableSchema = {
  name: "name",
  keyCount: 2,
  columns: [
    { name: "parent", type: "u64", encoding: "delta" },
    { name: "name", type: "bytes", encoding: "front" },
    { name: "size", type: "u32", encoding: "plain" },
  ],
};
const kind: Kind = { name: "tiny", schemaVersion: 1, tables: [schema] };
const pageCount = 18_000;

function pageOf(parent: number, name: string, size: number): RawPage {
  const batch = batchFromRows(schema, 0, [[parent, Buffer.from(name), size]]);
  const { raw, sections } = encodePage(schema, batch, 0, 1);
  return { table: 0, firstKey: encodeKey(schema, batch, 0), count: 1, tail: parent, raw, sections };
}

async function write(
  repository: Repository,
  pages: readonly RawPage[],
  parent: Snapshot | undefined,
): Promise<{ snapshot: Snapshot; written: number }> {
  const writer = await SnapshotWriter.open(repository, kind, "volume", parent, steppingClock());
  for (const page of pages) await writer.add(0, await writer.prepare({ ...page, raw: page.raw.slice() }));
  const pagesWritten = writer.counts.written + writer.counts.patched;
  const { manifest } = await writer.publish(
    {
      identityVersion: 1,
      time: "2026-11-21T09:00:00.000Z",
      volumeName: "volume",
      system: "test",
      engine: { name: "test", version: "1" },
      tool: { name: "cairn", version: "test" },
      started: "2026-11-21T09:00:00.000Z",
      ended: "2026-11-21T09:00:00.000Z",
      consistency: { level: "snapshot", method: "test", position: {} },
      note: "",
      tags: {},
      facts: {},
      findings: [],
      omitted: {},
      secrets: {},
    },
    [],
    Date.UTC(2026, 10, 21),
  );
  const written = writer.counts.written + writer.counts.patched - pagesWritten;
  return { snapshot: openSnapshot(repository, manifest, [kind]), written };
}

const pages: RawPage[] = [];
let repository: Repository;
let snapshot: Snapshot;

before(async () => {
  for (let at = 0; at < pageCount; at += 1) {
    pages.push(pageOf(Math.floor(at / 7) * 3, `name-${String(at % 7).padStart(12, "0")}`, at));
  }
  repository = await initRepository(new MemoryStore());
  ({ snapshot } = await write(repository, pages, undefined));
});

test("the tree has more than one level", () => {
  assert.ok(snapshot.manifest.tables[0].index.levels >= 2, `${snapshot.manifest.tables[0].index.levels} levels`);
  assert.equal(snapshot.manifest.tables[0].index.pages, pageCount);
});

test("find gives what a linear search gives, at every level", async () => {
  const random = seededRandom(31);
  const index = snapshot.index("name");
  const byLevel: IndexEntry[][] = [];
  for await (const { entry, level } of index.everyEntry()) (byLevel[level] ??= []).push(entry);
  const probes: Uint8Array[] = [new Uint8Array(0), new Uint8Array(8), new Uint8Array(20).fill(255)];
  for (let at = 0; at < 400; at += 1) {
    const key = random.pick(pages).firstKey.slice();
    probes.push(key, key.subarray(0, random.below(key.length)), Buffer.concat([key, Buffer.of(0)]));
    const off = key.slice();
    off[random.below(off.length)] = random.below(256);
    probes.push(off);
  }
  for (const [level, entries] of byLevel.entries()) {
    for (const key of probes) {
      const expected = entries.findLast((entry) => Buffer.compare(entry.firstKey, key) <= 0);
      const found = await index.find(key, level);
      assert.equal(found?.id, expected?.id);
    }
  }
});

test("entries begin with the page that may hold a key, and give all that follow", async () => {
  const random = seededRandom(32);
  const index = snapshot.index("name");
  const collect = async (key?: Uint8Array, most = Infinity): Promise<string[]> => {
    const ids: string[] = [];
    for await (const entry of index.entries(key)) if (ids.push(entry.id) >= most) break;
    return ids;
  };
  const all = await collect();
  assert.equal(all.length, pageCount);
  for (let at = 0; at < 60; at += 1) {
    const place = random.below(pageCount);
    assert.deepEqual(await collect(pages[place].firstKey, 900), all.slice(place, place + 900));
  }
  assert.deepEqual(await collect(new Uint8Array(0), 5), all.slice(0, 5));
});

test("a small change writes few index pages anew", async () => {
  const changed = pages.with(5000, pageOf(2142, "name-000000000002", 1)).toSpliced(9000, 1);
  const { written } = await write(repository, changed, snapshot);
  assert.ok(written <= 8, `${written} index pages`);
  const same = await write(repository, pages, snapshot);
  assert.equal(same.written, 0);
  assert.equal(same.snapshot.manifest.root, snapshot.manifest.root);
});
