/**
 * `make.ts pages` writes test/golden/pages.json; `make.ts repository` writes test/golden/v1/. Both are what a released Cairn wrote, kept so
 * that every later one is tested with it: they are made once for each version of the format and refuse to be written over.
 */
import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { FolderStore } from "../../src/repository/stores/folder.ts";
import { backUpRows, openSnapshots, steppingClock } from "../support/run-backup.ts";
import { sliceRecord, volumeRows } from "../support/volume-rows.ts";
import type { TableRows } from "../support/volume-rows.ts";
import { pageVector, patchVector, plainRow, rootVector } from "./vectors.ts";
import type { PlainRow, Vectors } from "./vectors.ts";

const text = (value: string): string => Buffer.from(value).toString("hex");
const slice = (...values: Parameters<typeof sliceRecord>): string =>
  Buffer.from(sliceRecord(...values)).toString("hex");

const setting: PlainRow[] = [
  [text("BlockSize"), "1", text("4096")],
  [text("Name"), "0", text("pebble")],
];
const counters: PlainRow[] = [
  [text("nextChunk"), "8"],
  [text("nextInode"), "1025"],
  [text("nextTrash"), "0"],
  [text("totalInodes"), "3"],
  [text("usedSpace"), "-4096"],
];
const root: PlainRow = [
  "1",
  "2",
  "0",
  "511",
  "0",
  "0",
  "1763719200",
  "5",
  "1763719200",
  "5",
  "1763719199",
  "999999999",
  "2",
  "4096",
  "0",
  "1",
  "0",
  "0",
  "0",
];
const file: PlainRow = [
  "2",
  "1",
  "0",
  "420",
  "1000",
  "1000",
  "-1",
  "0",
  "1763719201",
  "250",
  "1763719201",
  "250",
  "1",
  "18446744073709551615",
  "0",
  "1",
  "3",
  "0",
  "0",
];
const trash: PlainRow = [
  "9223372032828243968",
  "2",
  "0",
  "365",
  "0",
  "0",
  "1763719200",
  "5",
  "1763719200",
  "5",
  "1763719200",
  "5",
  "2",
  "4096",
  "0",
  "1",
  "0",
  "0",
  "0",
];
const edges: PlainRow[] = [
  ["1", text("00"), "6", "1"],
  ["1", text("blob-0123456789abcdef0123.bin"), "3", "1"],
  ["1", text("blob-0123456789abffff4567890123456789cd"), "4", "1"],
  ["1", text("caf") + "e9", "5", "1"],
  ["9223372032828243968", text("2026-11-21-09"), "9223372032828243969", "2"],
];

const vectors: Vectors = {
  identityVersion: 1,
  pages: [
    pageVector("front-coded names, a plain u32, bytes", "setting", setting),
    pageVector("i64: zigzag, one plane of four", "counter", counters),
    pageVector("every kind of number column; columns of zeros are left out", "node", [root, file, trash]),
    pageVector("one record: constants are planes", "node", [root]),
    pageVector("names: shared prefixes, hex digits packed from 16 on, bytes that are no UTF-8", "edge", edges),
    pageVector("slices field by field", "chunk", [
      ["2", "0", slice(0, 5n, 4_194_304, 0, 4_194_304)],
      ["2", "1", slice(0, 6n, 4_194_304, 0, 4_194_304) + slice(100, 7n, 512, 12, 500)],
      ["3", "0", ""],
    ]),
    pageVector("a chunk that is no whole number of slices: the column as bytes", "chunk", [
      ["2", "0", slice(0, 5n, 100, 0, 100)],
      ["2", "1", "0102030405"],
    ]),
    pageVector("an empty value beside others", "xattr", [
      ["2", text("user.a"), ""],
      ["2", text("user.b"), "00ff"],
    ]),
    pageVector("a path record without and one with the tail of its page", "path", [
      ["2", "1", "0"],
      ["3", "1", "3000000000"],
    ]),
    pageVector("an index page: a page stored whole, and one that rests on another frame", "index", [
      ["0000000000000001", "11".repeat(32), "5000", "4096", "7", "22".repeat(16), "8", "900", ""],
      [
        "0000000000000fff",
        "33".repeat(32),
        "5100",
        "4100",
        "9",
        "44".repeat(16),
        "908",
        "80",
        `${"22".repeat(16)}0800000084030000`,
      ],
    ]),
  ],
  patches: [
    patchVector("nothing changed", "counter", counters, counters),
    patchVector("one record gone, one new, one changed", "counter", counters, [
      counters[0],
      [text("nextInode"), "2049"],
      [text("nextQuota"), "7"],
      counters[3],
      counters[4],
    ]),
    patchVector(
      "some of the changed records change in a column, all in another; a column becomes default",
      "node",
      [root, file, trash],
      [
        root.with(6, "1763719300").with(12, "3"),
        file.with(16, "0").with(6, "1763719300").with(8, "1763719300"),
        trash.with(6, "1763719300"),
      ],
    ),
  ],
  roots: [
    rootVector("an empty volume", {}),
    rootVector("three small tables", { setting, counter: counters, node: [root, file, trash], edge: edges }),
  ],
};

/** A small volume with all tables, and a value of 300,000 bytes that compresses well. */
function goldenStates(): TableRows[] {
  const monday = volumeRows(1, 40);
  const chunks = monday["chunk"];
  const large = new Uint8Array(300_000).map((_, at) => (at % 24 < 20 ? 0 : at >>> 12));
  chunks[chunks.length - 1] = (chunks.at(-1) ?? []).with(2, large);
  const tuesday: TableRows = {
    ...monday,
    node: monday["node"].map((row, at) => (at === 7 ? row.with(6, 1_790_000_000n) : row)),
  };
  tuesday["edge"] = monday["edge"].filter((_, at) => at !== 20);
  return [monday, tuesday];
}

async function makeRepository(folder: string): Promise<void> {
  const states = goldenStates();
  const store = new FolderStore(join(folder, "repository"));
  for (const [day, rows] of states.entries()) {
    await backUpRows(store, rows, { seed: day }, { clock: steppingClock(Date.UTC(2026, 10, 16 + day, 9)) });
  }
  const snapshots = (await openSnapshots(store)).map(({ manifest }, day) => ({
    id: manifest.id,
    root: manifest.root,
    tables: Object.fromEntries(manifest.tables.map(({ name, records, hash }) => [name, { records, hash }])),
    records: Object.fromEntries(Object.entries(states[day]).map(([name, rows]) => [name, rows.map(golden)])),
  }));
  await writeFile(join(folder, "expected.json"), `${JSON.stringify({ snapshots }, undefined, 1)}\n`);
  await store.close();
}

/** A record on one line; a value that is too long for a text file by its length and first bytes. */
function golden(row: TableRows[string][number]): string {
  return plainRow(row)
    .map((value) => (value.length > 1000 ? `${value.length / 2} bytes ${value.slice(0, 40)}` : value))
    .join(" ");
}

if (import.meta.main) {
  const what = process.argv[2];
  const target = join(import.meta.dirname, what === "pages" ? "pages.json" : "v1");
  if (existsSync(target))
    throw new Error(`${target} exists: what a version wrote stays as it is; remove it before its release only`);
  if (what === "pages") await writeFile(target, `${JSON.stringify(vectors, undefined, 1)}\n`);
  else if (what === "repository") {
    await mkdir(target);
    await makeRepository(target).catch(async (error: unknown) => {
      await rm(target, { recursive: true });
      throw error;
    });
  } else throw new Error("say `pages` or `repository`");
}
