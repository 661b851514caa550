import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import type { Stats } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { CairnError, messageOf } from "../../model/errors.ts";
import type { ObjectStore } from "../../model/object-store.ts";
import { nodeFileOperations, openFlags } from "./file-operations.ts";
import type { FileOperations } from "./file-operations.ts";

/** Unfinished files begin with a dot, so that no list shows them. */
const temporaryPrefix = ".tmp-";

/**
 * Objects as files of a local folder. A put writes a temporary file beside the final name, flushes it, links it under that name
 * (which fails when the name is taken), removes the temporary name and flushes the folder.
 */
export class FolderStore implements ObjectStore {
  readonly location: string;
  readonly #files: FileOperations;
  /** Open files of objects, least recently used first: a restore reads one pack a thousand times. */
  readonly #readers = new Map<string, Promise<FileHandle | undefined>>();

  constructor(folder: string, files: FileOperations = nodeFileOperations) {
    this.location = folder;
    this.#files = files;
  }

  async put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    const path = this.#path(name);
    const folder = dirname(path);
    const temporary = join(folder, temporaryPrefix + randomBytes(8).toString("hex"));
    try {
      await this.#makeFolders(folder);
      await this.#writeFile(temporary, content, signal);
      await this.#publish(temporary, path);
      await this.#syncFolder(folder);
    } catch (error) {
      await this.#files.unlink(temporary).catch(() => undefined);
      throw storeError(error, "write", name, this.location);
    }
  }

  async #writeFile(path: string, content: Uint8Array | AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    const file = await this.#files.open(path, openFlags.create, 0o600);
    try {
      if (content instanceof Uint8Array) await this.#files.write(file, content);
      else {
        for await (const chunk of content) {
          signal?.throwIfAborted();
          await this.#files.write(file, chunk);
        }
      }
      signal?.throwIfAborted();
      await this.#files.sync(file);
    } finally {
      await file.close();
    }
  }

  async #publish(temporary: string, path: string): Promise<void> {
    try {
      await this.#files.link(temporary, path);
    } catch (error) {
      if (!isCode(error, "EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK")) throw error;
      // A file system without hard links: the name was chosen at random or by time, so a look before the rename must do.
      if ((await this.#statOrUndefined(path)) !== undefined)
        throw Object.assign(new Error("exists"), { code: "EEXIST" });
      await this.#files.rename(temporary, path);
      return;
    }
    await this.#files.unlink(temporary);
  }

  async #makeFolders(folder: string): Promise<void> {
    if ((await this.#statOrUndefined(folder)) !== undefined) return;
    const parent = dirname(folder);
    await this.#makeFolders(parent);
    try {
      await this.#files.mkdir(folder);
    } catch (error) {
      if (!isCode(error, "EEXIST")) throw error;
    }
    await this.#syncFolder(parent);
  }

  async #syncFolder(folder: string): Promise<void> {
    const handle = await this.#files.open(folder, openFlags.read);
    try {
      await this.#files.sync(handle);
    } finally {
      await handle.close();
    }
  }

  async get(name: string, range?: { offset: number; length: number }): Promise<Uint8Array | undefined> {
    try {
      const file = await this.#reader(name);
      if (file === undefined) return undefined;
      const offset = range?.offset ?? 0;
      const length = range?.length ?? (await file.stat()).size;
      const bytes = new Uint8Array(length);
      let at = 0;
      while (at < length) {
        const { bytesRead } = await file.read(bytes, at, length - at, offset + at);
        if (bytesRead === 0) break;
        at += bytesRead;
      }
      return at === length ? bytes : bytes.subarray(0, at);
    } catch (error) {
      throw storeError(error, "read", name, this.location);
    }
  }

  #reader(name: string): Promise<FileHandle | undefined> {
    const known = this.#readers.get(name);
    if (known !== undefined) {
      this.#readers.delete(name);
      this.#readers.set(name, known);
      return known;
    }
    const opened = this.#files.open(this.#path(name), openFlags.read).catch((error: unknown) => {
      this.#readers.delete(name);
      if (isCode(error, "ENOENT", "ENOTDIR")) return undefined;
      throw error;
    });
    this.#readers.set(name, opened);
    if (this.#readers.size > readersMax) this.#closeOldest();
    return opened;
  }

  #closeOldest(): void {
    const [oldest] = this.#readers;
    this.#readers.delete(oldest[0]);
    // A read that is still under way keeps its descriptor until it ends: close() waits for it.
    void oldest[1].then((file) => file?.close()).catch(() => undefined);
  }

  async size(name: string): Promise<number | undefined> {
    try {
      const facts = await this.#statOrUndefined(this.#path(name));
      return facts?.isFile() === true ? facts.size : undefined;
    } catch (error) {
      throw storeError(error, "look at", name, this.location);
    }
  }

  async list(prefix: string): Promise<string[]> {
    const names: string[] = [];
    try {
      await this.#listInto(prefix, names);
    } catch (error) {
      throw storeError(error, "list", prefix, this.location);
    }
    return names.toSorted();
  }

  async #listInto(prefix: string, names: string[]): Promise<void> {
    let entries;
    try {
      entries = await this.#files.readdir(join(this.location, prefix), { withFileTypes: true });
    } catch (error) {
      if (isCode(error, "ENOENT", "ENOTDIR")) return;
      throw error;
    }
    for (const entry of entries) {
      if (entry.name.startsWith(".")) continue;
      if (entry.isDirectory()) await this.#listInto(`${prefix}${entry.name}/`, names);
      else if (entry.isFile()) names.push(prefix + entry.name);
    }
  }

  async delete(name: string): Promise<void> {
    try {
      const reader = this.#readers.get(name);
      this.#readers.delete(name);
      await (await reader)?.close();
      await this.#files.unlink(this.#path(name));
      await this.#syncFolder(dirname(this.#path(name)));
    } catch (error) {
      if (!isCode(error, "ENOENT")) throw storeError(error, "delete", name, this.location);
    }
  }

  /** Closes the files that reads left open. */
  async close(): Promise<void> {
    const readers = [...this.#readers.values()];
    this.#readers.clear();
    for (const reader of readers) await (await reader)?.close();
  }

  #path(name: string): string {
    // Names come from manifests as well: none may lead out of the folder.
    if (!/^[a-z0-9._-]+(\/[a-z0-9._-]+)*$/.test(name) || /(^|\/)\./.test(name)) {
      throw new CairnError("object-name", `"${name}" is no name of an object`, { exit: "repositoryDamaged" });
    }
    return join(this.location, name);
  }

  async #statOrUndefined(path: string): Promise<Stats | undefined> {
    try {
      return await this.#files.stat(path);
    } catch (error) {
      if (isCode(error, "ENOENT", "ENOTDIR")) return undefined;
      throw error;
    }
  }
}

const readersMax = 64;

function isCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && codes.includes((error as NodeJS.ErrnoException).code ?? "");
}

function storeError(error: unknown, verb: string, name: string, location: string): unknown {
  if (error instanceof CairnError || (error instanceof Error && error.name === "AbortError")) return error;
  if (isCode(error, "EEXIST")) {
    return new CairnError("object-exists", `object ${name} exists already in ${location}`, {
      unharmed: "it was left as it is",
      cause: error,
    });
  }
  const full = isCode(error, "ENOSPC", "EDQUOT");
  return new CairnError(
    full ? "store-full" : "store-failed",
    `cannot ${verb} ${name} in ${location}: ${messageOf(error)}`,
    {
      unharmed: "the snapshots that the repository holds are unchanged",
      next: full
        ? "free space there and run the same command again"
        : "check the folder and its rights, then run the same command again",
      cause: error,
    },
  );
}
