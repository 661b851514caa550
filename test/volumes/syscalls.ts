/** System calls that Node has no function for, done by a Python child that lives as long as its locks are wanted. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Bits of `fallocate(2)`'s mode. */
export const fallocateModes = { keepSize: 0x01, punchHole: 0x02, zeroRange: 0x10 } as const;

/** Bits of `ioctl(FS_IOC_SETFLAGS)` that JuiceFS knows; `secureRemoval` is its "skip the trash". */
export const inodeFlags = { secureRemoval: 0x01, immutable: 0x10, append: 0x20 } as const;

/** Bits of a mode that name the file's type, for {@link Syscalls.mknod}. */
export const fileTypes = {
  fifo: 0o010000,
  characterDevice: 0o020000,
  blockDevice: 0o060000,
  socket: 0o140000,
} as const;

export type LockKind = "flock-shared" | "flock-exclusive" | "record-shared" | "record-exclusive";

/** Each call rejects with the system's message. Symbolic links are never followed. */
export interface Syscalls {
  mknod(path: Buffer, mode: number, major?: number, minor?: number): Promise<void>;
  setXattr(path: Buffer, name: Buffer | string, value: Buffer): Promise<void>;
  removeXattr(path: Buffer, name: Buffer | string): Promise<void>;
  /** Times in nanoseconds since 1970, negative before. */
  setTimes(path: Buffer, atimeNs: bigint, mtimeNs: bigint): Promise<void>;
  fallocate(path: Buffer, mode: number, offset: number, length: number): Promise<void>;
  setFlags(path: Buffer, flags: number): Promise<void>;
  copyRange(from: Buffer, to: Buffer, fromOffset: number, toOffset: number, length: number): Promise<void>;
  /** A further name of a file; unlike Node's, of a symbolic link itself too. */
  link(from: Buffer, to: Buffer): Promise<void>;
  /** Takes a lock and holds it until {@link Syscalls.close}; the range counts for record locks only. */
  lock(path: Buffer, kind: LockKind, start?: number, length?: number): Promise<void>;
  /** Ends the child, which drops its locks. */
  close(): Promise<void>;
}

interface Request {
  call: string;
  paths: string[];
  numbers?: string[];
  kind?: LockKind;
}

export function openSyscalls(): Syscalls {
  const child = spawn("python3", [join(import.meta.dirname, "syscalls.py")], { stdio: ["pipe", "pipe", "inherit"] });
  const waiting: { request: Request; done: () => void; fail: (error: Error) => void }[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    const first = waiting.shift();
    const answer = JSON.parse(line) as { error?: string };
    if (answer.error === undefined) first?.done();
    else first?.fail(new Error(`${first.request.call} failed: ${answer.error}`));
  });
  const ended = new Promise<void>((done) => {
    child.once("close", () => {
      for (const { request, fail } of waiting.splice(0)) fail(new Error(`${request.call}: the Python child has ended`));
      done();
    });
  });

  function call(name: string, paths: readonly Buffer[], numbers: readonly (number | bigint)[] = [], kind?: LockKind) {
    return new Promise<void>((done, fail) => {
      const request: Request = {
        call: name,
        paths: paths.map((path) => path.toString("base64")),
        // As text: JSON numbers would lose nanoseconds.
        numbers: numbers.map(String),
        ...(kind === undefined ? {} : { kind }),
      };
      waiting.push({ request, done, fail });
      child.stdin.write(`${JSON.stringify(request)}\n`);
    });
  }

  return {
    mknod: (path, mode, major = 0, minor = 0) => call("mknod", [path], [mode, major, minor]),
    setXattr: (path, name, value) => call("setxattr", [path, Buffer.from(name), value]),
    removeXattr: (path, name) => call("removexattr", [path, Buffer.from(name)]),
    setTimes: (path, atimeNs, mtimeNs) => call("utime", [path], [atimeNs, mtimeNs]),
    fallocate: (path, mode, offset, length) => call("fallocate", [path], [mode, offset, length]),
    setFlags: (path, flags) => call("setflags", [path], [flags]),
    copyRange: (from, to, fromOffset, toOffset, length) =>
      call("copyrange", [from, to], [fromOffset, toOffset, length]),
    link: (from, to) => call("link", [from, to]),
    lock: (path, kind, start = 0, length = 0) => call("lock", [path], [start, length], kind),
    async close() {
      child.stdin.end();
      await ended;
    },
  };
}
