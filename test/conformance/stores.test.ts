import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeFileOperations } from "../../src/repository/stores/file-operations.ts";
import type { FileOperations } from "../../src/repository/stores/file-operations.ts";
import { FolderStore } from "../../src/repository/stores/folder.ts";
import { MemoryStore } from "../../src/repository/stores/memory.ts";
import { testObjectStore } from "./object-store.ts";
import type { OpenedStore } from "./object-store.ts";

async function openFolder(files?: FileOperations): Promise<OpenedStore & { folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), "cairn-store-"));
  const opened: FolderStore[] = [];
  const open = (): FolderStore => {
    const store = new FolderStore(folder, files);
    opened.push(store);
    return store;
  };
  return {
    folder,
    store: open(),
    reopen: open,
    close: async () => {
      for (const store of opened) await store.close();
      await rm(folder, { recursive: true });
    },
  };
}

/** A file system that knows no hard links, such as FAT or some network file systems. */
const withoutLinks: FileOperations = {
  ...nodeFileOperations,
  link: () => Promise.reject(Object.assign(new Error("operation not supported"), { code: "EOPNOTSUPP" })),
};

testObjectStore("memory", () => {
  const store = new MemoryStore();
  return Promise.resolve({ store, reopen: () => store, close: () => Promise.resolve() });
});

testObjectStore("folder", () => openFolder());

test("a folder without hard links still keeps what is there", async () => {
  const { store, close } = await openFolder(withoutLinks);
  await store.put("a/one", Buffer.from("first"));
  await assert.rejects(store.put("a/one", Buffer.from("second")), { code: "object-exists" });
  assert.equal(Buffer.from((await store.get("a/one")) ?? []).toString(), "first");
  assert.deepEqual(await store.list(""), ["a/one"]);
  await close();
});

test("unfinished files of a killed put are not listed, and finished puts leave none", async () => {
  const { store, folder, close } = await openFolder();
  await store.put("a/one", Buffer.from("x"));
  await assert.rejects(store.put("a/one", Buffer.from("y")));
  assert.deepEqual(await readdir(join(folder, "a")), ["one"]);
  await writeFile(join(folder, "a", ".tmp-0011223344556677"), "half");
  assert.deepEqual(await store.list("a/"), ["a/one"]);
  await close();
});

test("more objects are read at once than files are kept open", async () => {
  const { store, close } = await openFolder();
  const names = Array.from({ length: 300 }, (_, at) => `many/${at}`);
  for (const name of names) await store.put(name, Buffer.from(name));
  for (let round = 0; round < 3; round += 1) {
    const read = await Promise.all(names.map(async (name) => Buffer.from((await store.get(name)) ?? []).toString()));
    assert.deepEqual(read, names);
  }
  await close();
});
