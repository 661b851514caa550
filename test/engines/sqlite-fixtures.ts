/** Real volumes in SQLite that need no time to make: the two states that the quick start ships. */
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { zstdDecompressSync } from "node:zlib";
import type { PeerName } from "../peers/peers.ts";
import { peerPath } from "../peers/peers.ts";

const execFileAsync = promisify(execFile);

/** Puts a copy of a state into a folder; its path. */
export function quickstartVolume(folder: string, state: "monday" | "tuesday" = "monday"): string {
  const path = join(folder, `${state}.db`);
  const packed = join(import.meta.dirname, "../../quickstart", `${state}.db.zst`);
  writeFileSync(path, zstdDecompressSync(readFileSync(packed)));
  return path;
}

/** A volume that the code of an older line made; its path. Its client ended as a crash would unless said. */
export async function olderVolume(
  folder: string,
  line: "1.2" | "1.3",
  end: "crashed" | "closed" = "crashed",
): Promise<string> {
  const path = join(folder, `line-${line}.db`);
  const peer: PeerName = `juicefs-meta-${line}`;
  await execFileAsync(peerPath(peer), [
    "make",
    "-files",
    "200",
    "-end",
    end,
    `sqlite3://${path}`,
    join(folder, `bucket-${line}`),
    `line${line.replace(".", "")}`,
  ]);
  return path;
}
