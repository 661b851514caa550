import { CairnError } from "../../model/errors.ts";
import type { ObjectStore } from "../../model/object-store.ts";

/** Objects in memory: for tests, and for what need not outlive the process. */
export class MemoryStore implements ObjectStore {
  readonly location = "memory";
  readonly objects = new Map<string, Uint8Array>();

  async put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    const chunks: Uint8Array[] = [];
    if (content instanceof Uint8Array) chunks.push(content);
    else for await (const chunk of content) chunks.push(chunk.slice());
    if (this.objects.has(name)) throw new CairnError("object-exists", `object ${name} exists already in memory`);
    this.objects.set(name, new Uint8Array(Buffer.concat(chunks)));
  }

  get(name: string, range?: { offset: number; length: number }): Promise<Uint8Array | undefined> {
    const object = this.objects.get(name);
    const offset = range?.offset ?? 0;
    return Promise.resolve(object?.slice(offset, offset + (range?.length ?? object.length)));
  }

  size(name: string): Promise<number | undefined> {
    return Promise.resolve(this.objects.get(name)?.length);
  }

  list(prefix: string): Promise<string[]> {
    return Promise.resolve([...this.objects.keys()].filter((name) => name.startsWith(prefix)).toSorted());
  }

  delete(name: string): Promise<void> {
    this.objects.delete(name);
    return Promise.resolve();
  }
}
