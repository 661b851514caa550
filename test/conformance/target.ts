/** What every target must do, whichever engine it fills: run for each by engines.test.ts. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CairnError } from "../../src/model/errors.ts";
import type { Target, TargetOptions, TargetWriter } from "../../src/model/ports.ts";
import { errorsOf, formatFinding } from "../judge/finding.ts";
import { judgeVolume, readVolume } from "../judge/judge-volume.ts";
import { quietProgress } from "../support/quiet-progress.ts";
import { digestOf, takeChecked } from "../support/view-rows.ts";
import { runJuicefs } from "../volumes/juicefs-cli.ts";
import { planOf, sortedBatches, targetRows, volumeId } from "./target-rows.ts";

export interface TargetFixture {
  /** The URL of an empty place. */
  newPlace(): Promise<string>;
  open(url: string): Promise<Target>;
  /** What is in a place by name: tables, keys or files. */
  contents(url: string): Promise<string[]>;
  connections(): Promise<string[]>;
  /** Whether there is anything that a client could open: where there is not, the real client would make it. */
  isThere(url: string): boolean;
  /** Ends a killed restore's hold on a place, which on some engines lasts for some seconds. */
  release(url: string): Promise<void>;
  /** Whether what a killed restore leaves stands in the way of the next one. */
  readonly leavesUnfinished: boolean;
}

const promptMs = 5000;
const expected = digestOf(new Map(Object.entries(targetRows())));

export function testTarget(name: string, openFixture: () => Promise<TargetFixture>): void {
  describe(`a target on ${name}`, () => {
    let fixture: TargetFixture;
    let folder = "";

    before(async () => {
      fixture = await openFixture();
      folder = mkdtempSync(join(tmpdir(), "cairn-target-"));
    });

    after(() => rmSync(folder, { recursive: true, force: true }));

    const optionsWith = (more: Partial<TargetOptions> = {}): TargetOptions => ({
      signal: new AbortController().signal,
      temporaryFolder: folder,
      memoryBytes: 32 << 20,
      progress: quietProgress(),
      ...more,
    });
    const begin = async (url: string, more: Partial<TargetOptions> = {}): Promise<TargetWriter> =>
      (await fixture.open(url)).begin(planOf(), optionsWith(more));
    const writeAll = async (writer: TargetWriter): Promise<void> => {
      for (const batch of sortedBatches()) await writer.write(batch);
    };
    const restoreAll = async (url: string, more: Partial<TargetOptions> = {}): Promise<void> => {
      await using writer = await begin(url, more);
      await writeAll(writer);
      await writer.finish();
      {
        await using view = await writer.readBack();
        assert.equal(digestOf(await takeChecked(view)), expected, "what is read back is what was written");
      }
      await writer.publish();
    };
    /** No client takes it for a volume, and nothing of ours is at work there any more. */
    const assertNoVolume = async (url: string): Promise<void> => {
      if (fixture.isThere(url)) await assert.rejects(runJuicefs(["status", url]), /not formatted/i);
      await assertLeft();
    };
    const assertLeft = async (): Promise<void> => {
      let left: string[] = [];
      for (const deadline = performance.now() + promptMs; performance.now() < deadline; await sleep(50)) {
        left = [...(await fixture.connections()), ...readdirSync(folder)];
        if (left.length === 0) return;
      }
      assert.deepEqual(left, []);
    };

    it("holds every odd value, and its volume is one for the real client", async () => {
      const url = await fixture.newPlace();
      await restoreAll(url);
      await assertLeft();
      const { setting } = await readVolume(url);
      const fields = JSON.parse(setting ?? "") as Record<string, unknown>;
      assert.equal(fields["UUID"], volumeId);
      assert.deepEqual(
        [fields["Name"], fields["BlockSize"], fields["TrashDays"], fields["DirStats"], fields["Bucket"]],
        ["conform", 4096, 1, true, "/var/empty/"],
      );
      const { stdout } = await runJuicefs(["status", url]);
      assert.match(stdout, new RegExp(volumeId));
      // Two names that no engine but ours wrote: findings about the made-up tree are not the target's.
      const storage = errorsOf(await judgeVolume(url)).filter(({ code }) =>
        /^(schema|sequence|storage|integrity|attr|key|record|counter|parents|slice-ref)/.test(code),
      );
      assert.deepEqual(storage.map(formatFinding), []);
    });

    it("refuses a place that holds a volume, and leaves it as it is", async () => {
      const url = await fixture.newPlace();
      await restoreAll(url);
      const held = await fixture.contents(url);
      await assert.rejects(begin(url), { code: "target-not-empty", exit: "targetRefused" });
      assert.deepEqual(await fixture.contents(url), held);
      await assertLeft();
      await runJuicefs(["status", url]);
    });

    it("is published only after the proof was possible", async () => {
      const url = await fixture.newPlace();
      {
        await using writer = await begin(url);
        await writeAll(writer);
        await assert.rejects(writer.publish(), "records are written, and not finished");
      }
      await assertNoVolume(url);
    });

    for (const [moment, until] of [
      ["at once", async () => undefined],
      [
        "in the middle of the records",
        async (writer: TargetWriter) => {
          let left = 5;
          for (const batch of sortedBatches()) {
            if (left-- === 0) break;
            await writer.write(batch);
          }
        },
      ],
      ["after the records", writeAll],
      [
        "before it was published",
        async (writer: TargetWriter) => {
          await writeAll(writer);
          await writer.finish();
          await using view = await writer.readBack();
          await takeChecked(view);
        },
      ],
    ] as [string, (writer: TargetWriter) => Promise<unknown>][]) {
      it(`closed ${moment}, it leaves no volume, and the place can be used again`, async () => {
        const url = await fixture.newPlace();
        const writer = await begin(url);
        await until(writer);
        if (fixture.isThere(url))
          await assert.rejects(runJuicefs(["status", url]), "no volume while it is being filled");
        await writer[Symbol.asyncDispose]();
        await assertNoVolume(url);
        await restoreAll(url);
        await runJuicefs(["status", url]);
      });
    }

    it("ends promptly when the signal is raised, leaves no volume, and the place can be used again", async () => {
      const url = await fixture.newPlace();
      const stop = new AbortController();
      let since = 0;
      const run = async (): Promise<void> => {
        await using writer = await begin(url, { signal: stop.signal });
        let written = 0;
        for (const batch of sortedBatches()) {
          await writer.write(batch);
          written += 1;
          if (written === 4) {
            since = performance.now();
            stop.abort(new Error("the test ends it"));
          }
        }
        await writer.finish();
      };
      await assert.rejects(run(), /abort|the test ends it|interrupted/i);
      assert.ok(performance.now() - since < promptMs);
      await assertNoVolume(url);
      await restoreAll(url);
    });

    for (const batches of ["0", "6", "all"]) {
      it(`killed after ${batches} batches, it leaves no volume, and what is there can be wiped`, async () => {
        const url = await fixture.newPlace();
        await killedRestore(url, batches);
        await assertNoVolume(url);
        if (fixture.leavesUnfinished) {
          // Once the time is waited for.
          if (batches === "0") await untilReleased(() => begin(url));
          else await fixture.release(url);
          const contents = await fixture.contents(url);
          await assert.rejects(begin(url), (error: Error & { code: string; next?: string }) => {
            assert.equal(error.code, "target-unfinished", error.message);
            assert.match(error.next ?? "", /--discard-unfinished/);
            return true;
          });
          assert.deepEqual(await fixture.contents(url), contents, "a refusal changes nothing");
        }
        await restoreAll(url, { discardUnfinished: true });
        await runJuicefs(["status", url]);
      });
    }

    it("wipes nothing but what a restore left", async () => {
      const url = await fixture.newPlace();
      await restoreAll(url);
      await assert.rejects(begin(url, { discardUnfinished: true }), { code: "target-not-empty" });
      await runJuicefs(["status", url]);
    });
  });
}

/** A server may hold a target for a killed restore some seconds more, in case that it lives. */
async function untilReleased(begin: () => Promise<TargetWriter>): Promise<void> {
  for (const deadline = performance.now() + 60_000; performance.now() < deadline; await sleep(500)) {
    const code = await begin().then(
      () => "begun",
      (error: unknown) => (error instanceof CairnError ? error.code : ""),
    );
    if (code !== "target-in-use") return;
  }
  throw new Error("the target stayed in use for a minute after its restore was killed");
}

/** A process that restores, and is killed when it has written so much. */
async function killedRestore(url: string, batches: string): Promise<void> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "restore-worker.ts"), url, batches], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let messages = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (messages += text));
  const ended = once(child, "close");
  const ready = once(child.stdout, "data");
  await Promise.race([
    ready,
    ended.then(() => Promise.reject(new Error(`the restore ended before it was killed: ${messages}`))),
  ]);
  child.kill("SIGKILL");
  await ended;
}
