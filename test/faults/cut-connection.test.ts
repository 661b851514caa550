/**
 * Connections to servers that end, are reset or fall silent at random bytes of backups and restores: the exit code and the message
 * are right, the repository is whole, and a target is either no volume at all for the real JuiceFS or the whole one.
 */
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { after, before, test } from "node:test";
import type { TestContext } from "node:test";
import { counts } from "../counts.ts";
import { startCutProxy } from "../peers/cut-proxy.ts";
import type { CutPlan } from "../peers/cut-proxy.ts";
import { seededRandom } from "../volumes/seeded-random.ts";
import type { SeededRandom } from "../volumes/seeded-random.ts";
import { outcomeOf, assertDone, assertFailed, countVerified, isVolume, openCutBench } from "./cut-bench.ts";
import type { CutBench } from "./cut-bench.ts";
import { cutEngineNames, startCutEngine } from "./cut-engines.ts";

const exitOfSource = 3;
const exitOfTarget = 4;
const lost = ["connection-lost", "engine-unreachable"];

let bench: CutBench;
before(async () => {
  bench = await openCutBench();
});
after(() => bench[Symbol.dispose]());

for (const name of cutEngineNames) {
  test(`${name}: a backup whose connection is cut leaves a whole repository, and says so`, async (context) => {
    const random = newRandom(context);
    await using engine = await startCutEngine(name);
    const place = await engine.newPlace();
    assertDone(await bench.run("restore", bench.snapshot, place.url()));
    await using proxy = await startCutProxy({ port: engine.server.port });
    const repository = await bench.newRepository();
    assertDone(await bench.run("backup", place.url(proxy.port), repository));
    const traffic = { up: proxy.upBytes, down: proxy.downBytes };
    let snapshots = 1;
    let cut = 0;
    for (let round = 0; round < counts.cutRuns; round += 1) {
      const plan = randomCut(random, traffic, 0.8);
      proxy.plan(plan);
      const run = await bench.run("backup", place.url(proxy.port), repository, "--full");
      context.diagnostic(`${describePlan(plan)}: ${outcomeOf(run)}`);
      if (run.code === 0) {
        // The last bytes say good-bye to a server of which everything is known already.
        assert.equal(run.last["root"], bench.root);
        snapshots += 1;
      } else {
        assertFailed(run, exitOfSource, lost, place);
        cut += 1;
      }
      assert.equal(await countVerified(repository), snapshots);
    }
    assert.ok(cut >= counts.cutRuns / 2, `${cut} of ${counts.cutRuns} backups were cut`);
    proxy.plan(undefined);
    const run = await bench.run("backup", place.url(proxy.port), repository);
    assertDone(run);
    assert.equal(run.last["root"], bench.root);
  });

  test(`${name}: a restore whose connection is cut leaves no volume or the whole one, and says so`, async (context) => {
    const random = newRandom(context);
    await using engine = await startCutEngine(name);
    await using proxy = await startCutProxy({ port: engine.server.port });
    const first = await engine.newPlace();
    assertDone(await bench.run("restore", bench.snapshot, first.url(proxy.port)));
    const traffic = { up: proxy.upBytes, down: proxy.downBytes };
    let cut = 0;
    for (let round = 0; round < counts.cutRuns; round += 1) {
      const place = await engine.newPlace();
      const plan = randomCut(random, traffic, 0.3);
      proxy.plan(plan);
      const run = await bench.run("restore", bench.snapshot, place.url(proxy.port));
      context.diagnostic(`${describePlan(plan)}: ${outcomeOf(run)}`);
      if (run.code !== 0) {
        assertFailed(run, exitOfTarget, lost, place);
        cut += 1;
      }
      const isThere = await isVolume(place);
      if (run.code === 0) assert.ok(isThere);
      // The cut may have fallen between the publishing and the server's answer to it.
      if (isThere) await assertWhole(place.url());
      else {
        await engine.expireLocks();
        assertDone(await bench.run("restore", bench.snapshot, place.url(), "--discard-unfinished"));
      }
    }
    assert.ok(cut >= counts.cutRuns / 2, `${cut} of ${counts.cutRuns} restores were cut`);
  });
}

async function assertWhole(url: string): Promise<void> {
  const run = await bench.run("backup", url, await bench.newRepository());
  assertDone(run);
  assert.equal(run.last["root"], bench.root);
}

function newRandom(context: TestContext): SeededRandom {
  const seed = randomInt(2 ** 32);
  context.diagnostic(`seed ${seed}`);
  return seededRandom(seed);
}

/** A cut at any byte that an undisturbed run passes; `down` is the share of cuts in what the server sends. */
function randomCut(random: SeededRandom, traffic: Record<"up" | "down", number>, down: number): CutPlan {
  const direction = random.below(100) < down * 100 ? "down" : "up";
  return { direction, afterBytes: random.below(traffic[direction]), fault: random.pick(["end", "reset"]) };
}

function describePlan({ fault, direction, afterBytes }: CutPlan): string {
  return `${fault} after ${afterBytes} bytes ${direction}`;
}
