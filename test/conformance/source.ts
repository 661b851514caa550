/** What every source must do, whichever engine it reads: run for each by engines.test.ts. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { releaseBatch } from "../../src/model/batch.ts";
import { messageOf } from "../../src/model/errors.ts";
import type { Source, SourceOptions, SourceView } from "../../src/model/ports.ts";
import { quietProgress } from "../support/quiet-progress.ts";
import { digestOf, takeChecked } from "../support/view-rows.ts";

export interface SourceFixture {
  /** A source of the same volume each time; opened anew. */
  open(): Promise<Source>;
  /** The volume's name and UUID, and how many records of a kind it has. */
  readonly volume: { name: string; id: string; nodes: number; edges: number };
  /** Texts that nobody may find in what a source tells: passwords and the like. */
  readonly secrets: readonly string[];
  /** Changes the volume, as a client beside the source does. */
  change(): Promise<void>;
  /** Keeps the volume open as a mounted client does: an engine in a file tells by it that it is alive. */
  openClient(): Disposable;
  /** Connections and open files of the source under test; empty when it left none. */
  connections(): Promise<string[]>;
}

/** So long may an end take that a signal asked for. */
const promptMs = 5000;

export function testSource(name: string, openFixture: () => Promise<SourceFixture>): void {
  describe(`a source of ${name}`, () => {
    let fixture: SourceFixture;
    let folder = "";

    before(async () => {
      fixture = await openFixture();
      folder = mkdtempSync(join(tmpdir(), "cairn-source-"));
    });

    after(() => rmSync(folder, { recursive: true, force: true }));

    const optionsWith = (signal?: AbortSignal): SourceOptions => ({
      signal: signal ?? new AbortController().signal,
      temporaryFolder: folder,
      memoryBytes: 32 << 20,
      progress: quietProgress(),
    });
    const assertNothingLeft = async (): Promise<void> => {
      let left: string[] = [];
      // A server takes a moment to see that a connection was closed.
      for (const deadline = performance.now() + promptMs; performance.now() < deadline; await sleep(50)) {
        left = [...(await fixture.connections()), ...readdirSync(folder)];
        if (left.length === 0) return;
      }
      assert.deepEqual(left, []);
    };
    const digest = async (): Promise<string> => {
      await using view = await (await fixture.open()).open(optionsWith());
      return digestOf(await takeChecked(view));
    };

    it("describes the volume without reading it, and tells no secrets", async () => {
      const began = performance.now();
      const description = await (await fixture.open()).describe(new AbortController().signal);
      assert.ok(performance.now() - began < promptMs);
      assert.equal(description.kind, "juicefs");
      assert.equal(description.volumeName, fixture.volume.name);
      assert.equal(description.volumeId, fixture.volume.id);
      assert.equal(description.consistency.level, "snapshot");
      assert.deepEqual(description.problems, []);
      for (const text of [description.engine, description.engineVersion, description.consistency.method]) {
        assert.notEqual(text, "");
      }
      for (const secret of fixture.secrets) assert.ok(!JSON.stringify(description).includes(secret));
      await assertNothingLeft();
    });

    it("gives every record once, in batches that are what the schema says, and knows itself at the end", async () => {
      await using view = await (await fixture.open()).open(optionsWith());
      assert.equal(view.volumeName, fixture.volume.name);
      assert.equal(view.volumeId, fixture.volume.id);
      const tables = await takeChecked(view);
      assert.equal(tables.get("node")?.length, fixture.volume.nodes);
      assert.equal(tables.get("edge")?.length, fixture.volume.edges);
      const summary = await view.summary();
      assert.equal(summary.consistency.level, "snapshot");
      assert.notDeepEqual(summary.position, {});
      assert.deepEqual(summary.secrets, {});
      for (const secret of fixture.secrets) assert.ok(!JSON.stringify(summary).includes(secret));
      for (const { samples, count } of summary.findings) assert.ok(samples.length <= 10 && count > 0);
    });

    it("leaves nothing behind when it is done, and gives the same again", async () => {
      const first = await digest();
      await assertNothingLeft();
      assert.equal(await digest(), first);
      await assertNothingLeft();
    });

    it("gives nothing new when it is read twice", async () => {
      await using view = await (await fixture.open()).open(optionsWith());
      const first = digestOf(await takeChecked(view));
      const nothing = digestOf(new Map(view.kind.tables.map(({ name: table }) => [table, []])));
      const second = await takeChecked(view).then(digestOf, () => first);
      assert.ok(second === first || second === nothing, "an error, nothing, or the same");
    });

    it("shows two readers at the same time the same", async () => {
      await using left = await (await fixture.open()).open(optionsWith());
      await using right = await (await fixture.open()).open(optionsWith());
      const [a, b] = await Promise.all([takeChecked(left), takeChecked(right)]);
      assert.equal(digestOf(a), digestOf(b));
    });

    it("shows one state while a client changes the volume", async () => {
      const old = await digest();
      {
        using held = new DisposableStack();
        held.use(fixture.openClient());
        await using view = await (await fixture.open()).open(optionsWith());
        await fixture.change();
        assert.equal(digestOf(await takeChecked(view)), old, "the state of the opening");
      }
      assert.notEqual(await digest(), old, "the change is there for the next");
      await assertNothingLeft();
    });

    it("ends when it is closed unread, or half read", async () => {
      await (await (await fixture.open()).open(optionsWith()))[Symbol.asyncDispose]();
      await assertNothingLeft();
      const view = await (await fixture.open()).open(optionsWith());
      for await (const batch of view.batches()) {
        releaseBatch(batch);
        break;
      }
      await view[Symbol.asyncDispose]();
      await assertNothingLeft();
    });

    for (const [moment, batches] of [
      ["before it is opened", -1],
      ["when it was opened", 0],
      ["after its first batch", 1],
      ["after a few batches", 5],
    ] as const) {
      it(`ends promptly when the signal is raised ${moment}`, async () => {
        const stop = new AbortController();
        const raised = new Error("the test ends it");
        if (batches < 0) stop.abort(raised);
        let since = performance.now();
        const run = async (): Promise<void> => {
          await using view = await (await fixture.open()).open(optionsWith(stop.signal));
          since = performance.now();
          if (batches === 0) stop.abort(raised);
          await takeUntil(view, batches, () => {
            since = performance.now();
            stop.abort(raised);
          });
          // Few batches may be all there are: then nothing is left to end.
          if (batches < 2) throw new Error("it was read to its end in spite of the signal");
        };
        const ended = await run().then(
          () => undefined,
          (error: unknown) => messageOf(error),
        );
        assert.ok(performance.now() - since < promptMs, "it did not hang");
        if (ended !== undefined) assert.match(ended, /abort|the test ends it|interrupted/i);
        await assertNothingLeft();
      });
    }

    it("refuses to describe when the signal was raised, and leaves nothing", async () => {
      await assert.rejects(async () => (await fixture.open()).describe(AbortSignal.abort()));
      await assertNothingLeft();
    });
  });
}

/** Takes batches, calls at the given number, and goes on as far as it goes. */
async function takeUntil(view: SourceView, number: number, call: () => void): Promise<void> {
  let taken = 0;
  for await (const batch of view.batches()) {
    releaseBatch(batch);
    taken += 1;
    if (taken === number) call();
  }
}
