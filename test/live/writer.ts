/**
 * Works on a mounted volume until it is told to stop, and keeps invariants that hold after every single system call (invariants.ts checks
 * them in any consistent state of the volume). A child process: `writer.ts FOLDER`, and the message "stop" ends it. Every call that fails ends it
 * with the error on stderr and exit status 1.
 */
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  rmdirSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { chainDigits, linkedBytes, names, pairCount, roomCount, treeFiles } from "./invariants.ts";

/** What a writer says when it was stopped. */
export interface WriterReport {
  rounds: number;
  /** The longest that one round of calls took. */
  slowestMs: number;
}

const [folder] = process.argv.slice(2);
const at = (...parts: string[]): string => join(folder, ...parts);

function prepare(): void {
  for (const name of Object.values(names)) mkdirSync(at(name));
  for (const side of ["left", "right"]) mkdirSync(at(names.pairs, side));
  for (let pair = 0; pair < pairCount; pair += 1)
    writeFileSync(at(names.pairs, "left", `pair-${pair}`), `pair ${pair}\n`);
  writeFileSync(at(names.counters, "appended"), "");
  replace(0);
  writeFileSync(at(names.links, "origin"), Buffer.alloc(linkedBytes, "l"));
  for (let room = 0; room < roomCount; room += 1) mkdirSync(at(names.rooms, `room-${room}`));
  mkdirSync(at(names.rooms, "room-0", "tree", "branch"), { recursive: true });
  for (let file = 0; file < treeFiles; file += 1)
    writeFileSync(at(names.rooms, "room-0", "tree", "branch", `leaf-${file}`), `leaf ${file}\n`);
}

/** Each pair's file goes to the other side: it is on exactly one of the two, always. */
function movePairs(round: number): void {
  const [from, to] = round % 2 === 0 ? ["left", "right"] : ["right", "left"];
  for (let pair = 0; pair < pairCount; pair += 1) {
    renameSync(at(names.pairs, from, `pair-${pair}`), at(names.pairs, to, `pair-${pair}`));
  }
}

/** One more line at the end of a file, and the new number in a file that is replaced by a rename. */
function count(round: number): void {
  appendFileSync(at(names.counters, "appended"), `${String(round).padStart(8, "0")}\n`);
  replace(round);
}

/** Written and flushed under another name first, so the name always leads to a whole number. */
function replace(round: number): void {
  const fresh = at(names.counters, "replaced.new");
  const file = openSync(fresh, "w");
  writeSync(file, `${round}\n`);
  fsyncSync(file);
  closeSync(file);
  renameSync(fresh, at(names.counters, "replaced"));
}

/** More names of one file, then none but the first. */
function link(round: number): void {
  const name = at(names.links, `link-${round % 5}`);
  if (round % 10 < 5) linkSync(at(names.links, "origin"), name);
  else unlinkSync(name);
}

/** A tree goes from room to room as a whole. */
function moveTree(round: number): void {
  renameSync(
    at(names.rooms, `room-${round % roomCount}`, "tree"),
    at(names.rooms, `room-${(round + 1) % roomCount}`, "tree"),
  );
}

/** The next link of a chain is made when the one before it is there; every so often the chain is taken away from its end. */
function chain(made: number[]): void {
  if (made.length < 40) {
    const next = (made.at(-1) ?? -1) + 1;
    writeFileSync(at(names.chain, String(next).padStart(chainDigits, "0")), `${next}\n`);
    made.push(next);
    return;
  }
  for (let link = made.pop(); link !== undefined; link = made.pop())
    unlinkSync(at(names.chain, String(link).padStart(chainDigits, "0")));
}

/** Makes and removes files and folders: most go to the trash. */
function churn(round: number): void {
  const tree = at(names.churn, `folder-${round % 7}`);
  mkdirSync(join(tree, "deep", "deeper"), { recursive: true });
  for (let file = 0; file < 5; file += 1)
    writeFileSync(join(tree, "deep", `file-${file}`), Buffer.alloc(1000 * (file + 1), round & 255));
  copyFileSync(join(tree, "deep", "file-0"), join(tree, "deep", "deeper", "copy"));
  writeFileSync(join(tree, "deep", "file-1"), "shorter now\n");
  const held = openSync(join(tree, "deep", "file-2"), "r+");
  unlinkSync(join(tree, "deep", "file-2"));
  writeSync(held, "written while deleted");
  closeSync(held);
  if (round % 2 === 0) rmSync(tree, { recursive: true });
  else {
    rmSync(join(tree, "deep"), { recursive: true });
    rmdirSync(tree);
  }
}

let isStopped = false;
process.on("message", () => (isStopped = true));
// Without its parent it has no one to work for.
process.on("disconnect", () => (isStopped = true));

prepare();
process.send?.("ready");
const made: number[] = [];
let slowestMs = 0;
let round = 0;
for (; !isStopped; round += 1) {
  const began = performance.now();
  movePairs(round);
  count(round + 1);
  link(round);
  moveTree(round);
  chain(made);
  if (round % 4 === 0) churn(round / 4);
  slowestMs = Math.max(slowestMs, performance.now() - began);
  // Not as fast as it can: what it makes in a test of minutes must be read back through FUSE again and again.
  await sleep(10);
}
statSync(at(names.pairs));
process.send?.({ rounds: round, slowestMs } satisfies WriterReport);
process.disconnect?.();
