import { CairnError } from "../../model/errors.ts";
import type { ObjectStore } from "../../model/object-store.ts";
import { checkObjectName, checkObjectPrefix } from "./object-name.ts";

/** Objects in memory: for tests, and for what need not outlive the process. */
export class MemoryStore implements ObjectStore {
  readonly location = "memory";
  readonly objects = new Map<string, Uint8Array>();

  async put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    checkObjectName(name);
    const chunks: Uint8Array[] = [];
    if (content instanceof Uint8Array) chunks.push(content);
    else {
      for await (const chunk of content) {
        signal?.throwIfAborted();
        // No `slice`: of a Buffer that is a view, and the chunk is valid only until the next one.
        chunks.push(new Uint8Array(chunk));
      }
    }
    signal?.throwIfAborted();
    if (this.objects.has(name)) throw new CairnError("object-exists", `object ${name} exists already in memory`);
    this.objects.set(name, new Uint8Array(Buffer.concat(chunks)));
  }

  async get(name: string, range?: { offset: number; length: number }): Promise<Uint8Array | undefined> {
    checkObjectName(name);
    const object = this.objects.get(name);
    const offset = range?.offset ?? 0;
    return object?.slice(offset, offset + (range?.length ?? object.length));
  }

  async size(name: string): Promise<number | undefined> {
    checkObjectName(name);
    return this.objects.get(name)?.length;
  }

  async list(prefix: string, limit = Number.POSITIVE_INFINITY): Promise<string[]> {
    checkObjectPrefix(prefix);
    const names = [...this.objects.keys()].filter((name) => name.startsWith(prefix)).toSorted();
    return names.slice(0, limit);
  }

  async delete(name: string): Promise<void> {
    checkObjectName(name);
    this.objects.delete(name);
  }
}
