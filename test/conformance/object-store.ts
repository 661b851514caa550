import assert from "node:assert/strict";
import { test } from "node:test";
import type { ObjectStore } from "../../src/model/object-store.ts";

/** An empty store for one test; `close` removes it. */
export interface OpenedStore {
  store: ObjectStore;
  /** Opens the same objects again, as another process would. */
  reopen: () => ObjectStore;
  close: () => Promise<void>;
}

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

async function* chunks(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    await new Promise((resolve) => setImmediate(resolve));
    yield bytes(part);
  }
}

/** Tests that every object store must pass (src/model/object-store.ts says what it promises). */
export function testObjectStore(name: string, open: () => Promise<OpenedStore>): void {
  const inStore = (what: string, run: (opened: OpenedStore) => Promise<void>): void => {
    test(`${name}: ${what}`, async () => {
      const opened = await open();
      try {
        await run(opened);
      } finally {
        await opened.close();
      }
    });
  };
  testReading(inStore);
  testWriting(inStore);
  testNames(inStore);
}

type InStore = (what: string, run: (opened: OpenedStore) => Promise<void>) => void;

function testReading(inStore: InStore): void {
  inStore("gives back what was put, to another opener too", async ({ store, reopen }) => {
    await store.put("a/b/c", bytes("hello"));
    await store.put("a/streamed", chunks("one ", "two ", "", "three"));
    await store.put("empty", new Uint8Array(0));
    for (const reader of [store, reopen()]) {
      assert.deepEqual(Buffer.from((await reader.get("a/b/c")) ?? []).toString(), "hello");
      assert.deepEqual(Buffer.from((await reader.get("a/streamed")) ?? []).toString(), "one two three");
      assert.equal((await reader.get("empty"))?.length, 0);
      assert.equal(await reader.size("a/b/c"), 5);
      assert.equal(await reader.size("empty"), 0);
    }
  });

  inStore("does not keep the chunks of a stream", async ({ store }) => {
    async function* reused(): AsyncGenerator<Uint8Array> {
      const chunk = new Uint8Array(4);
      for (const text of ["one ", "two ", "end."]) {
        chunk.set(bytes(text));
        yield chunk;
        chunk.fill(0);
      }
      chunk.buffer.transfer(0);
    }
    await store.put("reused", reused());
    assert.equal(Buffer.from((await store.get("reused")) ?? []).toString(), "one two end.");
  });

  inStore("reads ranges, and gives less at the end of an object", async ({ store }) => {
    await store.put("digits", bytes("0123456789"));
    const read = async (offset: number, length: number): Promise<string | undefined> => {
      const range = await store.get("digits", { offset, length });
      return range === undefined ? undefined : Buffer.from(range).toString();
    };
    assert.equal(await read(0, 3), "012");
    assert.equal(await read(7, 3), "789");
    assert.equal(await read(8, 100), "89");
    assert.equal(await read(10, 5), "");
    assert.equal(await read(4_000_000_000, 5), "");
    assert.equal(await read(3, 0), "");
    // A damaged index may ask for anything: no memory for it.
    assert.equal(await read(5, 2 ** 40), "56789");
  });

  inStore("gives a range that the caller may change", async ({ store }) => {
    await store.put("fixed", bytes("fixed"));
    (await store.get("fixed"))?.fill(0);
    assert.equal(Buffer.from((await store.get("fixed")) ?? []).toString(), "fixed");
  });

  inStore("says undefined of an object that is not there, and of a folder", async ({ store }) => {
    await store.put("folder/object", bytes("x"));
    for (const missing of ["nothing", "folder", "folder/other", "folder/object/below"]) {
      assert.equal(await store.get(missing), undefined, missing);
      assert.equal(await store.get(missing, { offset: 0, length: 1 }), undefined, missing);
      assert.equal(await store.size(missing), undefined, missing);
    }
    await store.put("nothing", bytes("now it is"));
    assert.equal((await store.get("nothing"))?.length, 9);
  });

  inStore("lists names below a prefix, sorted", async ({ store }) => {
    for (const name of ["b/2", "b/10", "b/1/x", "b-c", "a", "bb/1"]) await store.put(name, bytes(name));
    assert.deepEqual(await store.list(""), ["a", "b-c", "b/1/x", "b/10", "b/2", "bb/1"]);
    assert.deepEqual(await store.list("b/"), ["b/1/x", "b/10", "b/2"]);
    assert.deepEqual(await store.list("b/1/"), ["b/1/x"]);
    assert.deepEqual(await store.list("none/"), []);
  });
}

function testWriting(inStore: InStore): void {
  inStore("keeps an object that is there, and says that it exists", async ({ store }) => {
    await store.put("once", bytes("first"));
    await assert.rejects(store.put("once", bytes("second")), { code: "object-exists" });
    await assert.rejects(store.put("once", chunks("third")), { code: "object-exists" });
    assert.equal(Buffer.from((await store.get("once")) ?? []).toString(), "first");
    assert.deepEqual(await store.list(""), ["once"]);
  });

  inStore("lets exactly one of several puts of one name win", async ({ store, reopen }) => {
    for (let round = 0; round < 10; round += 1) {
      const name = `race/${round}`;
      const writers = [store, reopen(), store, reopen()];
      const puts = await Promise.allSettled(
        writers.map((writer, at) =>
          writer.put(name, at % 2 === 0 ? bytes(`writer ${at}`) : chunks("writer", ` ${at}`)),
        ),
      );
      const winners = puts.flatMap((put, at) => (put.status === "fulfilled" ? [at] : []));
      assert.equal(winners.length, 1);
      for (const put of puts) {
        if (put.status === "rejected") assert.equal((put.reason as { code: string }).code, "object-exists");
      }
      assert.equal(Buffer.from((await store.get(name)) ?? []).toString(), `writer ${winners[0]}`);
    }
  });

  inStore("shows nothing of a put under way, and keeps nothing of one that failed", async ({ store, reopen }) => {
    let go: () => void = () => undefined;
    const waiting = new Promise<void>((resolve) => (go = resolve));
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield bytes("some bytes");
      await waiting;
      throw new Error("the source broke");
    }
    const put = store.put("parts/object", failing());
    put.catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(await reopen().get("parts/object"), undefined);
    assert.deepEqual(await store.list(""), []);
    go();
    await assert.rejects(put, /the source broke/);
    assert.equal(await store.get("parts/object"), undefined);
    assert.deepEqual(await store.list(""), []);
    await store.put("parts/object", bytes("whole"));
    assert.equal(await store.size("parts/object"), 5);
  });

  inStore("ends a put when its signal is raised, and keeps nothing", async ({ store }) => {
    const stop = new AbortController();
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (let at = 0; ; at += 1) {
        if (at === 3) stop.abort();
        await new Promise((resolve) => setImmediate(resolve));
        yield bytes("more");
      }
    }
    await assert.rejects(store.put("stopped", endless(), stop.signal), { name: "AbortError" });
    assert.deepEqual(await store.list(""), []);
  });

  inStore("removes an object, and does not mind one that is not there", async ({ store, reopen }) => {
    await store.put("folder/gone", bytes("old"));
    assert.equal((await store.get("folder/gone"))?.length, 3);
    await store.delete("folder/gone");
    await store.delete("folder/gone");
    await store.delete("no/such/folder/object");
    for (const reader of [store, reopen()]) assert.equal(await reader.get("folder/gone"), undefined);
    await store.put("folder/gone", bytes("new one"));
    for (const reader of [store, reopen()]) {
      assert.equal(Buffer.from((await reader.get("folder/gone")) ?? []).toString(), "new one");
    }
  });
}

function testNames(inStore: InStore): void {
  inStore("refuses names that lead out of it or that it could not list", async ({ store }) => {
    const names = [
      "../out",
      "a/../../out",
      "/etc/passwd",
      "a//b",
      "a/",
      "",
      ".",
      "..",
      "a/./b",
      ".hidden",
      "a/.tmp-1",
      "A",
      "a b",
      "ä",
      "a\0b",
      "a\\b",
    ];
    for (const name of names) {
      await assert.rejects(store.put(name, bytes("x")), { code: "object-name" }, `put ${name}`);
      await assert.rejects(store.get(name), { code: "object-name" }, `get ${name}`);
      await assert.rejects(store.size(name), { code: "object-name" }, `size ${name}`);
      await assert.rejects(store.delete(name), { code: "object-name" }, `delete ${name}`);
    }
    for (const prefix of ["../", "a/../", "/", "a", "./"]) {
      await assert.rejects(store.list(prefix), { code: "object-name" }, `list ${prefix}`);
    }
    assert.deepEqual(await store.list(""), []);
  });
}
