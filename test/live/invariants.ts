/** What the live writer keeps after every system call, checked in a mounted volume that may be of any moment of its work. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** The folders that the writer works in. */
export const names = {
  pairs: "pairs",
  counters: "counters",
  links: "links",
  rooms: "rooms",
  chain: "chain",
  churn: "churn",
} as const;

export const pairCount = 12;
export const roomCount = 3;
export const treeFiles = 20;
export const linkedBytes = 100_000;
export const chainDigits = 4;

/** Throws where an invariant does not hold in the writer's folder of a mounted volume; gives how many rounds the writer had done. */
export function checkInvariants(mountpoint: string, name: string): number {
  const folder = join(mountpoint, name);
  const at = (...parts: string[]): string => join(folder, ...parts);
  checkPairs(at(names.pairs));
  checkLinks(at(names.links), join(mountpoint, ".trash"));
  checkRooms(at(names.rooms));
  checkChain(at(names.chain));
  return checkCounters(at(names.counters));
}

/** Every file is on one side, none on both. */
function checkPairs(folder: string): void {
  const [left, right] = ["left", "right"].map((side) => readdirSync(join(folder, side)));
  const wanted = Array.from({ length: pairCount }, (_, pair) => `pair-${pair}`);
  assert.deepEqual([...left, ...right].toSorted(), wanted.toSorted());
  for (const [side, files] of [
    ["left", left],
    ["right", right],
  ] as const) {
    for (const name of files)
      assert.equal(readFileSync(join(folder, side, name), "utf8"), `${name.replace("-", " ")}\n`);
  }
  // They are moved in order, so the ones on one side are the first or the last.
  const moved = new Set(wanted.filter((name) => left.includes(name)));
  const changes = wanted.filter((name, at) => at > 0 && moved.has(name) !== moved.has(wanted[at - 1])).length;
  assert.ok(changes <= 1, `pairs on the left: ${left.join(", ")}`);
}

/** Lines in order without a gap; the number in the replaced file is that of the last line, or the one before it. */
function checkCounters(folder: string): number {
  const text = readFileSync(join(folder, "appended"), "utf8");
  const lines = text.split("\n").slice(0, -1);
  lines.forEach((line, at) =>
    assert.equal(line, String(at + 1).padStart(8, "0"), `line ${at + 1} of the appended file`),
  );
  assert.equal(text.length, 9 * lines.length, "no half line at the end");
  const replaced = readFileSync(join(folder, "replaced"), "utf8");
  assert.match(replaced, /^\d+\n$/);
  const behind = lines.length - Number(replaced);
  assert.ok(behind === 0 || behind === 1, `${lines.length} lines, and the replaced file says ${replaced}`);
  return lines.length;
}

/** All names of the file lead to one inode, whose link count is their number, together with those that were removed and are in the trash. */
function checkLinks(folder: string, trash: string): void {
  const stats = readdirSync(folder).map((name) => statSync(join(folder, name)));
  assert.ok(stats.length >= 1 && stats.length <= 6);
  const removed = readdirSync(trash).flatMap((hour) =>
    readdirSync(join(trash, hour)).filter((name) => name.includes(`-${stats[0].ino}-link-`)),
  );
  for (const { ino, nlink, size } of stats) {
    assert.equal(ino, stats[0].ino);
    assert.equal(nlink, stats.length + removed.length);
    assert.equal(size, linkedBytes);
  }
  assert.ok(readFileSync(join(folder, "origin")).equals(Buffer.alloc(linkedBytes, "l")));
}

/** The tree is in one room, whole; a directory's link count is two and one for each directory in it. */
function checkRooms(folder: string): void {
  const rooms = Array.from({ length: roomCount }, (_, room) => join(folder, `room-${room}`));
  const holding = rooms.filter((room) => existsSync(join(room, "tree")));
  assert.equal(holding.length, 1);
  for (const room of rooms) assert.equal(statSync(room).nlink, room === holding[0] ? 3 : 2);
  const branch = join(holding[0], "tree", "branch");
  const leaves = readdirSync(branch);
  assert.equal(leaves.length, treeFiles);
  for (const leaf of leaves) assert.equal(readFileSync(join(branch, leaf), "utf8"), `${leaf.replace("-", " ")}\n`);
}

/** No link without the one before it. A file's name is there before its content, so the last one may be empty. */
function checkChain(folder: string): void {
  const made = readdirSync(folder).toSorted();
  made.forEach((name, at) => {
    assert.equal(name, String(at).padStart(chainDigits, "0"));
    const text = readFileSync(join(folder, name), "utf8");
    assert.ok(
      text === `${at}\n` || (text === "" && at === made.length - 1),
      `link ${at} of the chain holds ${JSON.stringify(text)}`,
    );
  });
}
