import assert from "node:assert/strict";
import { test } from "node:test";
import type { ObjectStore } from "../../src/model/object-store.ts";
import type { Snapshot } from "../../src/repository/snapshot.ts";
import { MemoryStore } from "../../src/repository/stores/memory.ts";
import { assertSameRows, backUpRows, openSnapshots, readRows, steppingClock, verify } from "../support/run-backup.ts";
import { changedRows, volumeRows } from "../support/volume-rows.ts";

const monday = volumeRows(5, 3000);
const tuesday = changedRows(monday, 6, 0.005);
const wednesday = changedRows(tuesday, 7, 0.005);
const times = [Date.UTC(2026, 10, 2), Date.UTC(2026, 10, 3), Date.UTC(2026, 10, 4)];

function doom(store: ObjectStore, packs: readonly string[], number = 1): Promise<void> {
  return store.put(
    `doomed/20261104t000000.00${number}z-${"0".repeat(32)}`,
    Buffer.from(JSON.stringify({ format: 1, packs })),
  );
}

/** Every pack that a snapshot needs: of its pages, their bases, and its index pages. */
async function packsOf(snapshot: Snapshot): Promise<Set<string>> {
  const packs = new Set<string>();
  const names = [...snapshot.kind.tables.map(({ name }) => name), "path"];
  for (const index of [...names.map((name) => snapshot.index(name)), snapshot.largeIndex]) {
    for await (const { entry } of index.everyEntry()) {
      for (const { pack } of [entry.location, ...entry.chain]) packs.add(pack);
    }
  }
  return packs;
}

async function twoSnapshots(): Promise<{ store: MemoryStore; first: string[]; second: string[] }> {
  const store = new MemoryStore();
  const first = (await backUpRows(store, monday, {}, { clock: steppingClock(times[0]) })).manifest.packs;
  const second = (await backUpRows(store, tuesday, {}, { clock: steppingClock(times[1]) })).manifest.packs;
  const [, newest] = await openSnapshots(store);
  const used = await packsOf(newest);
  assert.ok(
    first.every((pack) => used.has(pack)),
    "the second snapshot rests on the first one's packs",
  );
  return { store, first, second };
}

async function assertFree(store: MemoryStore, doomed: readonly string[]): Promise<void> {
  const newest = (await openSnapshots(store)).at(-1);
  assert.ok(newest !== undefined);
  const used = await packsOf(newest);
  assert.deepEqual(
    doomed.filter((pack) => used.has(pack)),
    [],
    "no doomed pack is used",
  );
  // As after the prune: the doomed packs are gone.
  for (const name of store.objects.keys()) if (doomed.some((pack) => name.endsWith(pack))) store.objects.delete(name);
  const [last] = (await openSnapshots(store)).slice(-1);
  await verify(last);
  assertSameRows(await readRows(last), wednesday);
}

test("packs that are doomed already are not built on", async () => {
  const { store, first } = await twoSnapshots();
  await doom(store, first);
  await backUpRows(store, wednesday, {}, { clock: steppingClock(times[2]) });
  await assertFree(store, first);
});

test("pages that became doomed during the backup are written anew", async () => {
  const { store, first, second } = await twoSnapshots();
  let batches = 0;
  const source = {
    onBatch: async () => {
      batches += 1;
      if (batches === 3) await doom(store, [...first, ...second]);
    },
  };
  await backUpRows(store, wednesday, source, { clock: steppingClock(times[2]) });
  await assertFree(store, [...first, ...second]);
});

/** A store in which a list appears when the n-th read of the lists is over: what a prune may do at any time. */
class DoomingStore extends MemoryStore {
  onListed: (number: number) => Promise<void> = () => Promise.resolve();
  #listed = 0;

  override async list(prefix: string): Promise<string[]> {
    const names = await super.list(prefix);
    if (prefix !== "doomed/") return names;
    this.#listed += 1;
    await this.onListed(this.#listed);
    return names;
  }
}

test("packs that become doomed in the last moment end the backup, and the next one succeeds", async () => {
  const { store, first } = await twoSnapshots();
  const dooming = new DoomingStore();
  for (const [name, bytes] of store.objects) dooming.objects.set(name, bytes);
  // A backup reads the lists when it begins, before it writes the index, and right before the manifest: this comes between the last two.
  dooming.onListed = async (number) => (number === 2 ? doom(dooming, first) : undefined);
  await assert.rejects(backUpRows(dooming, wednesday, {}, { clock: steppingClock(times[2]) }), {
    code: "pruned-meanwhile",
    unharmed: /nothing was published/,
    next: /again/,
  });
  assert.equal((await openSnapshots(dooming)).length, 2);
  await backUpRows(dooming, wednesday, {}, { clock: steppingClock(times[2] + 1000) });
  await assertFree(dooming, first);
});

test("a list of doomed packs that cannot be read ends the backup by name", async () => {
  const { store } = await twoSnapshots();
  for (const text of ["", "{}", '{"format":2,"packs":[]}', '{"format":1}', '{"format":1,"packs":[7]}', "null"]) {
    store.objects.set(`doomed/20261104t000000.001z-${"0".repeat(32)}`, Buffer.from(text));
    await assert.rejects(backUpRows(store, wednesday), { code: "doomed-list-damaged", message: /doomed\/2026/ }, text);
  }
});
