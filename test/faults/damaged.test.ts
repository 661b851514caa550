import assert from "node:assert/strict";
import { before, test } from "node:test";
import { openRepository } from "../../src/repository/repository.ts";
import { openSnapshot } from "../../src/repository/snapshot.ts";
import type { Snapshot } from "../../src/repository/snapshot.ts";
import { listSnapshots, readManifest } from "../../src/repository/snapshots.ts";
import { juicefs } from "../../src/model/juicefs.ts";
import { MemoryStore } from "../../src/repository/stores/memory.ts";
import { counts } from "../counts.ts";
import { storeWith, succeedsOrNames } from "../support/judge-damage.ts";
import { quietProgress } from "../support/quiet-progress.ts";
import { assertSameRows, backUpRows, readRows, rowsDigest, steppingClock, verify } from "../support/run-backup.ts";
import { changedRows, volumeRows } from "../support/volume-rows.ts";
import type { TableRows } from "../support/volume-rows.ts";
import { seededRandom } from "../volumes/seeded-random.ts";

const whole = new MemoryStore();
const states: TableRows[] = [volumeRows(11, 1300)];
const roots: string[] = [];
const digests: string[] = [];

before(async () => {
  for (let at = 0; at < 3; at += 1) {
    if (at > 0) states.push(changedRows(states[at - 1], at, 0.01));
    const clock = steppingClock(Date.UTC(2026, 10, 1 + at));
    digests.push(rowsDigest(states[at]));
    roots.push((await backUpRows(whole, states[at], {}, { clock })).manifest.root);
  }
});

async function openAt(store: MemoryStore, at: number): Promise<Snapshot> {
  const repository = await openRepository(store);
  const names = await listSnapshots(repository);
  return openSnapshot(repository, await readManifest(repository, names[at]), [juicefs]);
}

/** Reads each snapshot of a damaged repository in both ways that read all of it; gives how many are still whole. */
async function readAll(store: MemoryStore, damaged: string): Promise<number> {
  const names = namesOf(damaged);
  let verified = 0;
  for (const at of states.keys()) {
    const isVerified = await succeedsOrNames(names, async () => {
      assert.equal((await verify(await openAt(store, at))).root, roots[at]);
    });
    const isRead = await succeedsOrNames(names, async () => {
      assert.equal(rowsDigest(await readRows(await openAt(store, at))), digests[at]);
    });
    if (isVerified) assert.ok(isRead, "a snapshot that verifies must be readable");
    verified += isVerified ? 1 : 0;
  }
  return verified;
}

/** What an error must name, when this object is damaged: the pack, the snapshot, or the repository's header. */
function namesOf(damaged: string): RegExp {
  if (damaged === "cairn.json") return /cairn\.json|repository/;
  const last = damaged.slice(damaged.lastIndexOf("/") + 1);
  return new RegExp(damaged.startsWith("packs/") ? last : last.slice(last.indexOf("-") + 1));
}

test("a truncated object is named, or not needed", async () => {
  const random = seededRandom(21);
  for (const [name, bytes] of whole.objects) {
    const lengths = [0, 1, 7, 8, 12, bytes.length - 1, bytes.length - 8, bytes.length - 40, bytes.length >>> 1];
    while (lengths.length < Math.min(counts.damagePoints / 2, bytes.length)) lengths.push(random.below(bytes.length));
    for (const length of lengths) await readAll(storeWith(whole, name, bytes.slice(0, Math.max(0, length))), name);
  }
});

test("a lost object is named", async () => {
  for (const name of whole.objects.keys()) {
    const store = storeWith(whole, name, undefined);
    if (name.startsWith("snapshots/")) continue;
    assert.ok((await readAll(store, name)) < states.length, name);
  }
});

test("a flipped bit is named, or not needed", async () => {
  const random = seededRandom(22);
  for (const [name, bytes] of whole.objects) {
    for (let point = 0; point < counts.damagePoints; point += 1) {
      const damaged = bytes.slice();
      const at =
        point < 16
          ? Math.min(point, bytes.length - 1)
          : point < 32
            ? Math.max(0, bytes.length - point)
            : random.below(bytes.length);
      damaged[at] ^= 1 << random.below(8);
      await readAll(storeWith(whole, name, damaged), name);
    }
  }
});

test("a stretch of zeros, as a torn write leaves, is named, or not needed", async () => {
  const random = seededRandom(23);
  for (const [name, bytes] of whole.objects) {
    for (let point = 0; point < counts.damagePoints / 5; point += 1) {
      const damaged = bytes.slice();
      const from = random.below(bytes.length);
      damaged.fill(0, from, from + 512);
      await readAll(storeWith(whole, name, damaged), name);
    }
  }
});

test("a backup on top of damage stores anew what it needs, and verifies", async () => {
  const random = seededRandom(24);
  const rows = changedRows(states[2], 9, 0.01);
  const { root } = (await backUpRows(new MemoryStore(), rows)).manifest;
  for (const [name, bytes] of whole.objects) {
    if (name === "cairn.json") continue;
    for (let point = 0; point < Math.ceil(counts.damagePoints / 10); point += 1) {
      const damaged = bytes.slice();
      damaged[random.below(bytes.length)] ^= 1 << random.below(8);
      const content = [damaged, bytes.slice(0, random.below(bytes.length)), undefined][point % 3];
      const store = storeWith(whole, name, content);
      const progress = quietProgress();
      const result = await backUpRows(
        store,
        rows,
        { seed: point },
        { progress, clock: steppingClock(Date.UTC(2026, 10, 20)) },
      );
      assert.equal(result.manifest.root, root, name);
      const newest = await openAt(store, (await listSnapshots(await openRepository(store))).length - 1);
      assert.equal(newest.manifest.id, result.manifest.id);
      assert.equal((await verify(newest)).root, root, name);
      assertSameRows(await readRows(newest), rows);
    }
  }
});
