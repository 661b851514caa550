import assert from "node:assert/strict";
import { CairnError } from "../../src/model/errors.ts";
import { MemoryStore } from "../../src/repository/stores/memory.ts";

/** A store with the same objects, one of them replaced (or gone, where `content` is undefined). */
export function storeWith(store: MemoryStore, name: string, content: Uint8Array | undefined): MemoryStore {
  const copy = new MemoryStore();
  for (const [each, bytes] of store.objects) copy.objects.set(each, bytes);
  if (content === undefined) copy.objects.delete(name);
  else copy.objects.set(name, content);
  return copy;
}

/**
 * Runs what reads a damaged repository: it may succeed, or fail with an error that says that the repository is damaged and names what;
 * anything else is a fault of ours. Gives whether it succeeded.
 */
export async function succeedsOrNames(names: RegExp, read: () => Promise<unknown>): Promise<boolean> {
  const began = performance.now();
  try {
    await read();
    return true;
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    assert.ok(error instanceof CairnError, `no CairnError but ${(error as Error).stack}`);
    assert.ok(error.exit === "repositoryDamaged" || error.exit === "notFound", `${error.code}: ${error.message}`);
    assert.match(`${error.message} ${JSON.stringify(error.details)}`, names);
    return false;
  } finally {
    const seconds = (performance.now() - began) / 1000;
    assert.ok(seconds < 20, `it took ${seconds} s`);
  }
}
