import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import type { Stats } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { CairnError, messageOf } from "../../model/errors.ts";
import type { ObjectStore } from "../../model/object-store.ts";
import { nodeFileOperations, openFlags } from "./file-operations.ts";
import type { FileOperations } from "./file-operations.ts";
import { checkObjectName, checkObjectPrefix } from "./object-name.ts";

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
  readonly #readers = new Map<string, Reader>();

  constructor(folder: string, files: FileOperations = nodeFileOperations) {
    this.location = folder;
    this.#files = files;
  }

  async put(name: string, content: Uint8Array | AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    const path = this.#path(name);
    const folder = dirname(path);
    const temporary = join(folder, temporaryPrefix + randomBytes(8).toString("hex"));
    let isVisible = false;
    try {
      await this.#makeFolders(folder);
      await this.#writeFile(temporary, content, signal);
      await this.#publish(temporary, path);
      isVisible = true;
      await this.#syncFolder(folder);
    } catch (error) {
      await this.#files.unlink(temporary).catch(() => undefined);
      // What was not flushed under its name must not stay there: the caller is told that it was not written.
      if (isVisible) await this.#files.unlink(path).catch(() => undefined);
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
    // The object is there: a temporary name that stays is no reason to deny it.
    await this.#files.unlink(temporary).catch(() => undefined);
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
    const reader = this.#reader(name);
    reader.reads += 1;
    try {
      const file = await reader.file;
      return file === undefined ? undefined : await readRange(file, range);
    } catch (error) {
      if (isCode(error, "EISDIR")) return undefined;
      throw storeError(error, "read", name, this.location);
    } finally {
      reader.reads -= 1;
      if (reader.reads === 0 && this.#readers.get(name) !== reader) await closeReader(reader);
    }
  }

  #reader(name: string): Reader {
    const path = this.#path(name);
    const known = this.#readers.get(name);
    if (known !== undefined) {
      this.#readers.delete(name);
      this.#readers.set(name, known);
      return known;
    }
    const reader: Reader = { reads: 0, file: Promise.resolve(undefined) };
    reader.file = this.#files.open(path, openFlags.read).catch((error: unknown) => {
      if (this.#readers.get(name) === reader) this.#readers.delete(name);
      if (isCode(error, "ENOENT", "ENOTDIR")) return undefined;
      throw error;
    });
    this.#readers.set(name, reader);
    if (this.#readers.size > readersMax) this.#closeOldest();
    return reader;
  }

  #closeOldest(): void {
    const [[name, oldest]] = this.#readers;
    this.#readers.delete(name);
    // One that is being read from is closed by the last of those reads.
    if (oldest.reads === 0) void closeReader(oldest);
  }

  async size(name: string): Promise<number | undefined> {
    try {
      const facts = await this.#statOrUndefined(this.#path(name));
      return facts?.isFile() === true ? facts.size : undefined;
    } catch (error) {
      throw storeError(error, "look at", name, this.location);
    }
  }

  async list(prefix: string, limit = Number.POSITIVE_INFINITY): Promise<string[]> {
    checkObjectPrefix(prefix);
    const names: string[] = [];
    try {
      await this.#listInto(prefix, names, limit);
    } catch (error) {
      throw storeError(error, "list", prefix, this.location);
    }
    return names.toSorted();
  }

  async #listInto(prefix: string, names: string[], limit: number): Promise<void> {
    let entries;
    try {
      entries = await this.#files.readdir(join(this.location, prefix), { withFileTypes: true });
    } catch (error) {
      if (isCode(error, "ENOENT", "ENOTDIR")) return;
      throw error;
    }
    for (const entry of entries) {
      if (entry.name.startsWith(".")) continue;
      if (names.length >= limit) return;
      if (entry.isDirectory()) await this.#listInto(`${prefix}${entry.name}/`, names, limit);
      else if (entry.isFile()) names.push(prefix + entry.name);
    }
  }

  async delete(name: string): Promise<void> {
    try {
      const reader = this.#readers.get(name);
      this.#readers.delete(name);
      if (reader?.reads === 0) await closeReader(reader);
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
    for (const reader of readers) if (reader.reads === 0) await closeReader(reader);
  }

  #path(name: string): string {
    checkObjectName(name);
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

/** A file kept open for reading, and how many reads are under way. */
interface Reader {
  file: Promise<FileHandle | undefined>;
  reads: number;
}

async function closeReader(reader: Reader): Promise<void> {
  // A failed open was reported to those who read; a failed close of a file that was only read loses nothing.
  await reader.file.then((file) => file?.close()).catch(() => undefined);
}

async function readRange(file: FileHandle, range: { offset: number; length: number } | undefined): Promise<Uint8Array> {
  const offset = range?.offset ?? 0;
  let length = range?.length;
  // What a damaged index asks for must not be allocated before it is known to be there.
  if (length === undefined || length > unaskedBytesMax) {
    length = Math.min(length ?? Number.MAX_SAFE_INTEGER, Math.max(0, (await file.stat()).size - offset));
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  while (at < length) {
    const { bytesRead } = await file.read(bytes, at, length - at, offset + at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return at === length ? bytes : bytes.subarray(0, at);
}

const readersMax = 64;
/** A longer range is first compared with the object's size. */
const unaskedBytesMax = 16 << 20;

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
