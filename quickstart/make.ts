/**
 * Makes the quick start's volume: `monday.db.zst` and `tuesday.db.zst` are two states of one JuiceFS volume with SQLite
 * metadata, made by the real client through a FUSE mount and captured while it was mounted. Run as root after
 * `npm run setup`: `tools/with-node quickstart/make.ts`. The blocks of the files are not kept: the quick start is about
 * metadata.
 */
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { constants, zstdCompressSync } from "node:zlib";
import { mountVolume, runJuicefs } from "../test/volumes/juicefs-cli.ts";
import {
  makeFlags,
  makeOddAcls,
  makeOddAttributes,
  makeOddXattrs,
  makeSpecialFiles,
} from "../test/volumes/odd-attributes.ts";
import { pathOf, type OddBench } from "../test/volumes/odd-bench.ts";
import { makeOddData, writeEach } from "../test/volumes/odd-data.ts";
import { makeOddLinks, makeOddNames } from "../test/volumes/odd-names.ts";
import { fillTrash, makeOddTrees, makeProject } from "../test/volumes/odd-trees.ts";
import { copyDatabase, metaUrlOf } from "../test/volumes/odd-volume.ts";
import { seededRandom } from "../test/volumes/seeded-random.ts";
import { inodeFlags, openSyscalls } from "../test/volumes/syscalls.ts";

/** Stands in the volume's setting and session records, so it is the same wherever this runs. */
const folder = "/tmp/cairn-quickstart-volume";
const mountpoint = join(folder, "mnt");
const metaUrl = metaUrlOf(join(folder, "meta.db"));

/** The client records its host's name and addresses: it gets a host name of its own and a network without addresses. */
const launcher = [
  "unshare",
  "--uts",
  "--net",
  "sh",
  "-c",
  'echo storage-1 > /proc/sys/kernel/hostname && exec "$@"',
  "sh",
];

const people = ["ana", "ben", "chiara", "dmitri"] as const;
const secondsOfMonday = Date.UTC(2026, 10, 16) / 1000;

const at = (...parts: string[]) => join(mountpoint, ...parts);
const random = seededRandom(20_261_116);
const bench: OddBench = { mountpoint, size: "small", random, syscalls: openSyscalls() };

async function main(): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  await runJuicefs([
    "format",
    "--storage=file",
    `--bucket=${folder}/bucket/`,
    "--enable-acl",
    "--trash-days=7",
    metaUrl,
    "quickstart",
  ]);
  await runJuicefs(["config", metaUrl, "--yes", "--user-group-quota"]);
  await runJuicefs(["config", metaUrl, "--yes", "--tier=1", "--storage-class=STANDARD_IA"]);
  const mounted = await mountVolume(metaUrl, mountpoint, { workFolder: folder, noBackgroundJobs: true, launcher });
  try {
    const open = await monday();
    await capture("monday");
    await tuesday();
    await capture("tuesday");
    closeSync(open);
  } finally {
    await bench.syscalls.close();
    await mounted.unmount();
  }
  rmSync(folder, { recursive: true });
}

/** Fills the volume; gives the descriptor of a deleted file that must stay open while the states are captured. */
async function monday(): Promise<number> {
  makeHomes();
  makeProject(bench, "projects", 12);
  await makeDatasets();
  mkdirSync(at("odd corners"));
  const corner: OddBench = { ...bench, mountpoint: at("odd corners") };
  makeOddNames(corner);
  await makeOddLinks(corner);
  await makeOddAttributes(corner);
  await makeOddXattrs(corner);
  makeOddAcls(corner);
  await makeSpecialFiles(corner);
  await makeOddData(corner);
  makeOddTrees(corner);

  await runJuicefs(["quota", "set", metaUrl, "--path=/home/ana", "--capacity=50", "--inodes=100000"]);
  await runJuicefs(["quota", "set", metaUrl, "--path=/datasets", "--capacity=500"]);
  await runJuicefs(["quota", "set", metaUrl, "--uid=1001", "--inodes=20000"]);
  await runJuicefs(["quota", "set", metaUrl, "--gid=100", "--capacity=200"]);
  await runJuicefs(["clone", "--preserve", at("projects"), at("projects before the release")]);
  await runJuicefs(["clone", at("datasets/labels.csv"), at("datasets/labels-v1.csv")]);
  await rewriteAndCompact("datasets/index.bin");
  await runJuicefs(["tier", "set", metaUrl, "--tier=1", "/projects before the release/part-7", "-r"]);
  fillTrash(bench, "projects");
  await makeFlags(corner);
  return await openAndDelete();
}

/** About a twentieth of the volume changes: what people do in a day, and one of each kind of change that `diff` names. */
async function tuesday(): Promise<void> {
  for (const person of people) {
    const documents = at("home", person, "documents");
    const names = readdirSync(documents);
    for (const name of names.slice(0, 8)) appendFileSync(join(documents, name), "a line written on Tuesday\n");
    for (const name of names.slice(8, 11)) unlinkSync(join(documents, name));
    for (const name of names.slice(11, 14)) renameSync(join(documents, name), join(documents, `final ${name}`));
    for (let index = 0; index < 10; index += 1)
      writeFileSync(join(documents, `tuesday ${index}.md`), random.bytes(500));
  }
  renameSync(at("home/ben/pictures/summer"), at("home/ana/pictures/summer from Ben"));
  rmSync(at("home/dmitri/downloads"), { recursive: true });
  chmodSync(at("home/chiara/documents"), 0o700);
  chownSync(at("datasets/labels.csv"), 1002, 100);
  linkSync(at("datasets/labels.csv"), at("home/dmitri/labels.csv"));
  truncateSync(at("odd corners/data/grown"), 12_345);
  await bench.syscalls.setXattr(pathOf(at("datasets")), "user.reviewed", Buffer.from("2026-11-17"));
  execFileSync("setfacl", ["-m", "u:1003:rwx", at("odd corners/acl/inherits")]);
  for (let index = 0; index < 60; index += 1) {
    writeFileSync(at("datasets/images", `image-${String(1500 + index).padStart(5, "0")}.jpg`), random.bytes(300));
  }
  await runJuicefs(["quota", "set", metaUrl, "--path=/datasets", "--capacity=600"]);
  await runJuicefs(["clone", at("home/ana/documents"), at("home/ben/documents of Ana")]);
  await rewriteAndCompact("datasets/index.bin");
}

function makeHomes(): void {
  mkdirSync(at("home"));
  const topics = ["budget", "minutes", "offer", "invoice", "plan", "letter", "summary", "Übersicht", "résumé", "要約"];
  for (const [index, person] of people.entries()) {
    const home = at("home", person);
    mkdirSync(home, { mode: 0o750 });
    fillFolder(
      join(home, "documents"),
      40,
      () => `${random.pick(topics)} ${2020 + random.below(7)}-${random.below(99)}.md`,
    );
    mkdirSync(join(home, "pictures"));
    fillFolder(join(home, "pictures/summer"), 60, (number) => `IMG_${2000 + number}.jpg`);
    fillFolder(join(home, "pictures/winter"), 40, (number) => `IMG_${7000 + number}.jpg`);
    fillFolder(join(home, "downloads"), 25, (number) => `${random.below(2 ** 32).toString(16)}-${number}.tar.gz`);
    fillFolder(join(home, ".config"), 10, (number) => `settings-${number}.toml`);
    symlinkSync("documents", join(home, "Dokumente"));
    execFileSync("chown", ["-hR", `${1000 + index}:100`, home]);
  }
}

async function makeDatasets(): Promise<void> {
  mkdirSync(at("datasets"));
  fillFolder(at("datasets/images"), 1500, (number) => `image-${String(number).padStart(5, "0")}.jpg`);
  writeFileSync(at("datasets/labels.csv"), random.bytes(100_000));
  for (let index = 0; index < 40; index += 1) {
    const image = pathOf(at("datasets/images", `image-${String(index * 30).padStart(5, "0")}.jpg`));
    await bench.syscalls.setXattr(image, "user.label", Buffer.from(random.pick(["cat", "dog", "bird", "none"])));
  }
  for (const path of ["datasets/images", "home/ana/documents", "home/ben/documents"]) await setPlausibleTimes(path);
}

function fillFolder(path: string, count: number, name: (number: number) => string): void {
  mkdirSync(path);
  for (let number = 0; number < count; number += 1)
    writeFileSync(join(path, name(number)), random.bytes(random.below(3000)));
}

/** Changed some time in the half year before the first state. */
async function setPlausibleTimes(path: string): Promise<void> {
  for (const name of readdirSync(at(path))) {
    const ns =
      BigInt(secondsOfMonday - random.below(180 * 86_400)) * 1_000_000_000n + BigInt(random.below(1_000_000_000));
    await bench.syscalls.setTimes(pathOf(at(path), name), ns, ns);
  }
}

/** With a trash, a compaction keeps the slices that it replaced. */
async function rewriteAndCompact(name: string): Promise<void> {
  const offsets = Array.from({ length: 30 }, () => random.below(50_000));
  writeEach(pathOf(at(name)), offsets, (offset) => ({ at: offset, data: random.bytes(1500) }), true);
  await runJuicefs(["compact", at(name)]);
}

async function openAndDelete(): Promise<number> {
  mkdirSync(at("scratch"));
  await bench.syscalls.setFlags(pathOf(at("scratch")), inodeFlags.secureRemoval);
  writeFileSync(at("scratch/job.tmp"), random.bytes(9000));
  const fd = openSync(at("scratch/job.tmp"), "r");
  unlinkSync(at("scratch/job.tmp"));
  return fd;
}

/** Keeps the database's state as it is now, when the client has flushed its counters. */
async function capture(day: "monday" | "tuesday"): Promise<void> {
  await sleep(15_000);
  const copy = join(folder, `${day}.db`);
  await copyDatabase(join(folder, "meta.db"), copy);
  const packed = zstdCompressSync(readFileSync(copy), {
    params: { [constants.ZSTD_c_compressionLevel]: 19, [constants.ZSTD_c_checksumFlag]: 1 },
  });
  writeFileSync(join(import.meta.dirname, `${day}.db.zst`), packed);
}

await main();
