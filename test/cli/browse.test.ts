import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { bytesAt, bytesOf, integersOf } from "../../src/model/batch.ts";
import type { Row } from "../../src/model/batch.ts";
import { fileType, nodeColumn } from "../../src/model/juicefs.ts";
import { Browser } from "../../src/operations/browse/browser.ts";
import { diskUsage } from "../../src/operations/browse/disk-usage.ts";
import { findFiles } from "../../src/operations/browse/find-files.ts";
import type { FindOptions } from "../../src/operations/browse/find-files.ts";
import { compileGlob } from "../../src/operations/browse/glob.ts";
import { listDirectory } from "../../src/operations/browse/list-directory.ts";
import { InodeNamer } from "../../src/operations/browse/name-inodes.ts";
import { ncduExport } from "../../src/operations/browse/ncdu.ts";
import { PathNames } from "../../src/operations/browse/path-names.ts";
import { resolvePath } from "../../src/operations/browse/resolve-path.ts";
import { statPath } from "../../src/operations/browse/stat-path.ts";
import { MemoryStore } from "../../src/repository/stores/memory.ts";
import { quietProgress } from "../support/quiet-progress.ts";
import { backUpRows, openSnapshots } from "../support/run-backup.ts";
import { treeVolume } from "./tree-volume.ts";
import type { ModelEntry, TreeVolume } from "./tree-volume.ts";

const signal = new AbortController().signal;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

async function browserOf(volume: TreeVolume): Promise<Browser> {
  const store = new MemoryStore();
  await backUpRows(store, volume.rows);
  const [snapshot] = await openSnapshots(store);
  return new Browser(snapshot);
}

const volume = treeVolume(7, 12_000);
const browser = await browserOf(volume);
const isBelow = (path: Uint8Array, start: string): boolean => start === "/" || hex(path).startsWith(`${start}/`);
const visible = volume.entries.filter(({ path }) => !isBelow(path, "/.trash"));
const deepest = volume.entries
  .filter(({ type }) => type === fileType.directory)
  .toSorted((a, b) => b.path.filter((one) => one === 0x2f).length - a.path.filter((one) => one === 0x2f).length)[0];
/** A directory near the root that holds a good part of the tree, one that holds little, and the trash. */
const starts = ["/", "/directory 0", hex(deepest.path), "/.trash", "/.trash/2026-11-21-09"];

test("every path resolves to what the plain model says, and no other does", async () => {
  for (const { path, inode, type } of volume.entries.filter((_, at) => at % 7 === 0)) {
    const place = await resolvePath(browser, path);
    assert.deepEqual([place.inode, place.type, hex(place.path)], [inode, type, hex(path)]);
  }
});

test("paths of arbitrary small trees resolve", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 40 }), async (seed, files) => {
      const small = treeVolume(seed, files);
      const smallBrowser = await browserOf(small);
      for (const { path, inode } of small.entries) {
        const doubled = Buffer.from(hex(path).replaceAll("/", "//"), "latin1");
        assert.equal((await resolvePath(smallBrowser, doubled)).inode, inode);
        await assert.rejects(resolvePath(smallBrowser, Buffer.concat([path, Buffer.from("x")])), {
          code: "path-not-found",
        });
      }
    }),
    { numRuns: 15 },
  );
});

test("paths fail by the part that is wrong", async () => {
  const file = volume.entries.find(({ type }) => type === fileType.regular) as ModelEntry;
  const link = volume.entries.find(({ type }) => type === fileType.symlink) as ModelEntry;
  const below = (path: Buffer): Buffer => Buffer.concat([path, Buffer.from("/x")]);
  await assert.rejects(resolvePath(browser, below(file.path)), { code: "not-a-directory", exit: "notFound" });
  await assert.rejects(resolvePath(browser, Buffer.concat([file.path, Buffer.from("/")])), { code: "not-a-directory" });
  await assert.rejects(resolvePath(browser, below(link.path)), /symbolic link to \.\.\/target/);
  await assert.rejects(resolvePath(browser, Buffer.from("/directory 0/..")), { code: "path-not-found" });
  assert.equal((await resolvePath(browser, Buffer.from("//"))).inode, 1n);
});

test("ls lists what is there, sorted by bytes, with attributes and targets", async () => {
  for (const start of starts) {
    const place = await resolvePath(browser, Buffer.from(start, "latin1"));
    const expected = volume.entries
      .filter(
        ({ path }) =>
          isBelow(path, start) &&
          !hex(path)
            .slice(start.length === 1 ? 1 : start.length + 1)
            .includes("/"),
      )
      .filter(({ path }) => start !== "/" || !hex(path).startsWith("/.trash"))
      .toSorted((a, b) => Buffer.compare(a.path, b.path));
    const listed: string[] = [];
    for await (const { edges, nodes, targets } of listDirectory(browser, place.inode, true)) {
      for (let row = 0; row < edges.count; row += 1) {
        const entry = expected[listed.length];
        const node = volume.nodes.get(entry.inode) as Row;
        listed.push(hex(bytesAt(bytesOf(edges, 1), row)));
        assert.equal(nodes?.found[row], 1);
        assert.equal(nodes.columns.get(nodeColumn.mode)?.[row], node[nodeColumn.mode]);
        const lengths = nodes.columns.get(nodeColumn.length) as Uint32Array;
        assert.equal(BigInt(lengths[2 * row]) + (BigInt(lengths[2 * row + 1]) << 32n), node[nodeColumn.length]);
        assert.equal(targets.has(row), integersOf(edges, 3)[row] === fileType.symlink);
      }
    }
    assert.deepEqual(
      listed,
      expected.map(({ path }) => hex(path).slice(hex(path).lastIndexOf("/") + 1)),
      start,
    );
  }
});

test("stat gathers everything of a hard-linked file", async () => {
  const [inode, links] = [...Map.groupBy(visible, (entry) => entry.inode)].filter(([, names]) => names.length > 2)[0];
  const facts = await statPath(browser, links[1].path);
  assert.equal(facts.place.inode, inode);
  assert.deepEqual(facts.paths.map(hex).toSorted(), links.map(({ path }) => hex(path)).toSorted());
  assert.equal(facts.node["nlink"], links.length);
  assert.equal(facts.content?.chunks, 1);
});

test("few and many inodes get the same names", async () => {
  const inodes = [...new Set(volume.entries.map(({ inode }) => inode))];
  const halves = new Uint32Array(inodes.flatMap((inode) => [Number(inode & 0xffffffffn), Number(inode >> 32n)]));
  const names = new PathNames(browser);
  const many = await new InodeNamer(browser, signal).paths(halves);
  for (const [at, inode] of inodes.entries()) {
    const all = volume.entries.filter((entry) => entry.inode === inode).map(({ path }) => hex(path));
    assert.ok(all.includes(hex(many[at] as Uint8Array)), all[0]);
    if (at % 17 === 0) assert.deepEqual((await names.paths(inode)).map(hex).toSorted(), all.toSorted());
  }
});

interface Case {
  what: string;
  options: Partial<FindOptions>;
  fits: (entry: ModelEntry, node: Row) => boolean;
}

const cases: Case[] = [
  { what: "all", options: {}, fits: () => true },
  { what: "name", options: { name: compileGlob("*.log") }, fits: ({ path }) => hex(path).endsWith(".log") },
  {
    what: "type",
    options: { types: new Set([fileType.symlink, fileType.directory]) },
    fits: ({ type }) => type === fileType.symlink || type === fileType.directory,
  },
  {
    what: "size",
    options: {
      conditions: {
        sizes: [
          { sign: "+", bytes: 4096 },
          { sign: "-", bytes: 2 ** 31 },
        ],
      },
    },
    fits: (_, node) => (node[nodeColumn.length] as bigint) > 4096n && (node[nodeColumn.length] as bigint) < 2n ** 31n,
  },
  {
    what: "time and owner and name",
    options: { conditions: { newer: 1_740_000_000_000, uid: 1001, gid: 2 }, name: compileGlob("file*") },
    fits: ({ path }, node) =>
      (node[nodeColumn.mtime] as bigint) >= 1_740_000_000n &&
      node[nodeColumn.uid] === 1001 &&
      node[nodeColumn.gid] === 2 &&
      hex(path)
        .slice(hex(path).lastIndexOf("/") + 1)
        .startsWith("file"),
  },
  { what: "nothing", options: { conditions: { uid: 5 } }, fits: () => false },
];

for (const { what, options, fits } of cases) {
  test(`find by ${what}`, async () => {
    for (const start of starts) {
      const place = await resolvePath(browser, Buffer.from(start, "latin1"));
      const found: string[] = [];
      const search = { conditions: {}, progress: quietProgress(), signal, ...options };
      for await (const { path } of findFiles(browser, place, search)) found.push(hex(path));
      const expected = (start.startsWith("/.trash") ? volume.entries : visible)
        .filter((entry) => isBelow(entry.path, start) && fits(entry, volume.nodes.get(entry.inode) as Row))
        .map(({ path }) => hex(path));
      assert.deepEqual(found.toSorted(), expected.toSorted(), start);
    }
  });
}

/** Sums of a directory the plain way, each inode once. */
function modelUsage(start: string): { bytes: number; space: number; inodes: number } {
  const inodes = new Set(
    (start.startsWith("/.trash") ? volume.entries : visible)
      .filter(({ path }) => isBelow(path, start))
      .map(({ inode }) => inode),
  );
  const sums = { bytes: 0, space: 4096, inodes: 1 };
  for (const inode of inodes) {
    const node = volume.nodes.get(inode) as Row;
    const length = node[1] === fileType.regular ? Number(node[nodeColumn.length]) : 0;
    sums.bytes += length;
    sums.space += Math.max(1, Math.ceil(length / 4096)) * 4096;
    sums.inodes += 1;
  }
  return sums;
}

test("du sums up what the plain model sums up, hard links once", async () => {
  for (const start of starts) {
    const place = await resolvePath(browser, Buffer.from(start, "latin1"));
    const tree = await diskUsage(browser, place, { progress: quietProgress(), signal });
    assert.deepEqual(tree.usage(0), modelUsage(start), start);
    const count = (start.startsWith("/.trash") ? volume.entries : visible).filter(
      ({ path, type }) => type === fileType.directory && isBelow(path, start),
    ).length;
    assert.equal(tree.positions.length, count + 1);
  }
});

test("du of a file is the file", async () => {
  const file = visible.find(
    ({ inode }) => (volume.nodes.get(inode)?.[nodeColumn.length] as bigint) > 4097n,
  ) as ModelEntry;
  const place = await resolvePath(browser, file.path);
  const { usage } = await diskUsage(browser, place, { progress: quietProgress(), signal });
  const bytes = Number(volume.nodes.get(file.inode)?.[nodeColumn.length]);
  assert.deepEqual(usage(0), { bytes, space: Math.ceil(bytes / 4096) * 4096, inodes: 1 });
});

test("the ncdu export is JSON that holds every name", async () => {
  const place = await resolvePath(browser, Buffer.from("/"));
  const parts: Uint8Array[] = [];
  const program = { name: "cairn", version: "1" };
  for await (const part of ncduExport(browser, place, { signal, timestamp: 5, program })) parts.push(part);
  type Item = { name: string; dsize: number; hlnkc?: boolean };
  type Tree = (Item | Tree)[];
  const [major, minor, , tree] = JSON.parse(Buffer.concat(parts).toString("latin1")) as [number, number, object, Tree];
  assert.deepEqual([major, minor], [1, 2]);
  const names: string[] = [];
  const visit = ([directory, ...items]: Tree, above: string): void => {
    const path = above === "" ? "" : `${above}/${(directory as Item).name}`.replace(/^\/\//, "/");
    if (path !== "") names.push(path);
    for (const item of items) {
      if (Array.isArray(item)) visit(item, path === "" ? "/" : path);
      else names.push(`${path === "" ? "" : path}/${item.name}`);
    }
  };
  visit(tree, "");
  assert.deepEqual(names.toSorted(), visible.map(({ path }) => hex(path)).toSorted());
});
