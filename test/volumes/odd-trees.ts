import {
  chownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { pathOf, type OddBench } from "./odd-bench.ts";

/** A very deep chain, a very full directory, and one with many subdirectories. */
export function makeOddTrees(bench: OddBench): void {
  const { random } = bench;
  const full = bench.size === "full";
  let deep = pathOf(bench.mountpoint, "deep");
  mkdirSync(deep);
  for (let level = 1; level <= (full ? 200 : 40); level += 1) {
    writeFileSync(pathOf(deep, `file at ${level}`), "");
    deep = pathOf(deep, `level ${level}`);
    mkdirSync(deep);
  }
  const wide = pathOf(bench.mountpoint, "wide");
  mkdirSync(wide);
  for (let index = 0; index < (full ? 10_000 : 300); index += 1) {
    writeFileSync(pathOf(wide, `entry-${index}`), random.below(20) === 0 ? random.bytes(random.below(2000)) : "");
  }
  const branches = pathOf(bench.mountpoint, "branches");
  mkdirSync(branches);
  for (let index = 0; index < (full ? 1000 : 60); index += 1) {
    mkdirSync(pathOf(branches, `branch-${index}`));
    if (index % 10 === 0) writeFileSync(pathOf(branches, `branch-${index}`, "leaf"), "leaf\n");
  }
}

/** A tree like a project's, some of whose files are later cloned, renamed, changed and removed. Names the top folder. */
export function makeProject(bench: OddBench, name: string, folders: number): void {
  const { random } = bench;
  const top = pathOf(bench.mountpoint, name);
  mkdirSync(top);
  for (let folder = 0; folder < folders; folder += 1) {
    const path = pathOf(top, `part-${folder}`);
    mkdirSync(path);
    for (let index = 0; index < 12; index += 1) {
      const file = pathOf(
        path,
        `${random.pick(["notes", "data", "image", "report"])}-${index}.${random.pick(["txt", "bin", "md"])}`,
      );
      writeFileSync(file, random.bytes(random.below(6000)));
      if (index % 5 === 0) chownSync(file, 1000 + (index % 3), 100);
    }
    symlinkSync(`../part-${(folder + 1) % folders}`, pathOf(path, "next"));
    mkdirSync(pathOf(path, "empty"));
  }
}

/**
 * Removes and replaces in {@link makeProject}'s tree, so that the trash fills: files, a tree, an overwritten target, one of
 * two hard links and then both, a non-UTF-8 and a very long name.
 */
export function fillTrash(bench: OddBench, name: string): void {
  const { random } = bench;
  const top = pathOf(bench.mountpoint, name);
  const part = (index: number) => pathOf(top, `part-${index}`);
  for (const entry of readdirSync(part(0), { withFileTypes: true })) {
    if (entry.isFile() && random.below(2) === 0) unlinkSync(pathOf(part(0), entry.name));
  }
  rmSync(part(1).toString(), { recursive: true });
  writeFileSync(pathOf(part(2), "draft"), "the new text\n");
  writeFileSync(pathOf(part(2), "final"), "the old text\n");
  renameSync(pathOf(part(2), "draft"), pathOf(part(2), "final"));
  writeFileSync(pathOf(part(2), "twice"), "two names\n");
  linkSync(pathOf(part(2), "twice"), pathOf(part(3), "twice"));
  unlinkSync(pathOf(part(2), "twice"));
  writeFileSync(pathOf(part(2), "both"), "two names, both removed\n");
  linkSync(pathOf(part(2), "both"), pathOf(part(3), "both"));
  unlinkSync(pathOf(part(2), "both"));
  unlinkSync(pathOf(part(3), "both"));
  for (const odd of [Buffer.from([0xff, 0xfe]), Buffer.alloc(255, 0xe9), Buffer.alloc(255, "z")]) {
    writeFileSync(pathOf(part(2), odd), "soon in the trash\n");
    unlinkSync(pathOf(part(2), odd));
  }
  rmdirSync(pathOf(part(2), "empty"));
  renameSync(pathOf(part(3)), pathOf(top, Buffer.from("moved ü")));
}
