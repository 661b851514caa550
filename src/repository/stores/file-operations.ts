import { constants } from "node:fs";
import type { Stats } from "node:fs";
import { link, mkdir, open, readdir, rename, stat, unlink } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";

/**
 * The file system calls that `FolderStore` makes, so that a test can kill the process's doings at any one of them.
 * All changes of the folder go through here.
 */
export interface FileOperations {
  open(path: string, flags: number, mode?: number): Promise<FileHandle>;
  write(file: FileHandle, bytes: Uint8Array): Promise<void>;
  sync(file: FileHandle): Promise<void>;
  link(from: string, to: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  mkdir(path: string): Promise<void>;
  readdir: typeof readdir;
  stat(path: string): Promise<Stats>;
}

export const nodeFileOperations: FileOperations = {
  open,
  write: async (file, bytes) => {
    let at = 0;
    while (at < bytes.length) at += (await file.write(bytes, at)).bytesWritten;
  },
  sync: (file) => file.sync(),
  link,
  rename,
  unlink,
  mkdir: (path) => mkdir(path, { mode: 0o700 }),
  readdir,
  stat: (path) => stat(path),
};

export const openFlags = {
  create: constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
  read: constants.O_RDONLY,
};
