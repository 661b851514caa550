import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Extent } from "./data-extents.ts";

/** What Node cannot read of a path itself: extended attributes (names and values in hex) and, of a regular file, a hash of its contents. */
export interface EntryDetails {
  readonly xattrs: Readonly<Record<string, string>>;
  readonly hash: string | null;
  readonly error?: string;
}

export interface EntryReader extends AsyncDisposable {
  /** Reads one path. With `contents` it must be a regular file and is read: `whole` but for its holes, or where the extents say. */
  readonly read: (path: Buffer, contents: "none" | "whole" | readonly Extent[]) => Promise<EntryDetails>;
}

/** Starts the helper in Python (on any Debian): Node has no call for extended attributes and holes. */
export function openEntryReader(): EntryReader {
  const script = join(import.meta.dirname, "read_entries.py");
  const child = spawn("python3", [script], { stdio: ["pipe", "pipe", "inherit"] });
  const waiting: { resolve: (details: EntryDetails) => void; reject: (error: Error) => void }[] = [];
  const ended = new Promise<void>((resolve) => {
    child.once("error", (error) => {
      fail(error);
      resolve();
    });
    child.once("close", (code) => {
      fail(new Error(`the reader of extended attributes ended with code ${code}`));
      resolve();
    });
  });
  const fail = (error: Error): void => {
    for (const { reject } of waiting.splice(0)) {
      reject(error);
    }
  };
  child.stdin.on("error", fail);
  createInterface({ input: child.stdout }).on("line", (line) => {
    waiting.shift()?.resolve(toDetails(JSON.parse(line)));
  });
  const nul = Buffer.from([0]);
  return {
    read: (path, contents) =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        child.stdin.write(Buffer.concat([Buffer.from(kindOf(contents)), nul, path, nul]));
      }),
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await ended;
    },
  };
}

function kindOf(contents: "none" | "whole" | readonly Extent[]): string {
  if (contents === "none") {
    return "o";
  }
  return contents === "whole" ? "f" : `f ${contents.map(([start, end]) => `${start}-${end}`).join(",")}`;
}

function toDetails(answer: unknown): EntryDetails {
  if (typeof answer !== "object" || answer === null || !("xattrs" in answer) || !("hash" in answer)) {
    throw new Error(`the reader of extended attributes answered ${JSON.stringify(answer)}`);
  }
  const { xattrs, hash } = answer;
  return {
    xattrs: Object.fromEntries(Object.entries(xattrs ?? {}).map(([name, value]) => [name, String(value)])),
    hash: typeof hash === "string" ? hash : null,
    ...("error" in answer ? { error: String(answer.error) } : {}),
  };
}
