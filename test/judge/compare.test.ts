import assert from "node:assert/strict";
import {
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, it } from "node:test";
import { peerPath } from "../peers/peers.ts";
import type { MountedVolume } from "../volumes/juicefs-cli.ts";
import { mountVolume, runJuicefs } from "../volumes/juicefs-cli.ts";
import { copyDatabase } from "../volumes/odd-volume.ts";
import { openSyscalls } from "../volumes/syscalls.ts";
import { compareDumps } from "./compare-dumps.ts";
import { compareMounts } from "./compare-mounts.ts";
import { readDataExtents } from "./data-extents.ts";
import { formatFinding } from "./finding.ts";
import { judgeSqliteVolume } from "./judge-sqlite.ts";

const MIB = 1024 * 1024;
const SPARSE_BYTES = 2 ** 40;

const inodeOf = (name: string): string => `(SELECT inode FROM jfs_edge WHERE name = CAST('${name}' AS BLOB))`;
const setNode = (name: string, assignment: string): string =>
  `UPDATE jfs_node SET ${assignment} WHERE inode = ${inodeOf(name)}`;

/** As Linux has it: version 2, then tag, permissions and id: owner rw, user 1001 rw, group r, mask rw, others r. */
const ACL_FOR_USER_1001 = Buffer.from(
  "02000000 01000600ffffffff 02000600e9030000 04000400ffffffff 10000600ffffffff 20000400ffffffff".replaceAll(" ", ""),
  "hex",
);

/** What is changed in the metadata of a copy, and the difference that this must make: path and what. */
const CHANGES: readonly (readonly [sql: string, path: string, what: string])[] = [
  [setNode("mode", "mode = 416"), "mode", "mode"],
  [setNode("uid", "uid = 7"), "uid", "uid"],
  [setNode("mtime", "mtimensec = (mtimensec + 1) % 1000"), "mtime", "mtime"],
  [setNode("ctime", "ctime = ctime - 1"), "ctime", "ctime"],
  [setNode("size", "length = length - 1"), "size", "size"],
  [setNode("nlink", "nlink = 9"), "nlink", "nlink"],
  [setNode("rdev", "rdev = 259"), "rdev", "rdev"],
  [`UPDATE jfs_symlink SET target = x'7961' WHERE inode = ${inodeOf("target")}`, "target", "target"],
  ["UPDATE jfs_xattr SET value = x'00' WHERE name = 'user.a'", "xattr", "xattr user.a"],
  ["UPDATE jfs_acl SET named_users = x'000003E90004'", "acl", "xattr system.posix_acl_access"],
  [`UPDATE jfs_chunk SET slices = zeroblob(24) WHERE inode = ${inodeOf("contents")}`, "contents", "contents"],
  [`DELETE FROM jfs_chunk WHERE indx > 5 AND inode = ${inodeOf("sparse")}`, "sparse", "contents"],
  ["DELETE FROM jfs_edge WHERE name = CAST('existence' AS BLOB)", "existence", "listing"],
  ["UPDATE jfs_edge SET name = x'FE20' WHERE name = x'FF20'", "%FE%20", "listing"],
];

describe("comparisons of mounted volumes and of dumps", () => {
  let folder = "";
  const mounts: MountedVolume[] = [];
  const pathOf = (name: string): string => join(folder, `${name}.db`);
  const urlOf = (name: string): string => `sqlite3://${pathOf(name)}`;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "compare-"));
    const bucket = `--bucket=${join(folder, "bucket")}/`;
    await runJuicefs(["format", "--storage=file", bucket, "--enable-acl", urlOf("original"), "compared"]);
    const mount = await mountVolume(urlOf("original"), join(folder, "original"), { workFolder: join(folder, "work") });
    mounts.push(mount);
    await fill(mount.mountpoint);
    await mount.unmount();
    await copyDatabase(pathOf("original"), pathOf("same"));
    await copyDatabase(pathOf("original"), pathOf("other"));
    const database = new DatabaseSync(pathOf("other"));
    for (const [sql] of CHANGES) {
      assert.equal(database.prepare(sql).run().changes, 1, sql);
    }
    database.close();
    for (const name of ["original", "same", "other"]) {
      const options = { workFolder: join(folder, `work-${name}`), readOnly: true, noBackgroundJobs: true };
      mounts.push(await mountVolume(urlOf(name), join(folder, name), options));
    }
  });

  after(async () => {
    for (const mount of mounts) {
      await mount.unmount();
    }
    rmSync(folder, { recursive: true, force: true });
  });

  const compare = (name: string) =>
    compareMounts(join(folder, "original"), join(folder, name), {
      dataExtents: readDataExtents([{ path: pathOf("original") }, { path: pathOf(name) }]),
    });

  it("judge what was mounted to be a healthy volume", () => {
    const errors = judgeSqliteVolume(pathOf("original")).filter(({ severity }) => severity === "error");
    assert.deepEqual(errors.map(formatFinding), []);
  });

  it("find no difference between a volume and its copy", async () => {
    const { differences, entries } = await compare("same");
    assert.deepEqual(differences, []);
    // The root, the trash with its directory and one file, and what `fill` makes.
    assert.equal(entries, 22);
    const dumps = await compareDumps(peerPath("juicefs-1.4"), urlOf("original"), urlOf("same"));
    assert.equal(dumps.difference, "");
    assert.ok(dumps.lines > 50);
  });

  it("find every change, and no other", async () => {
    const { differences } = await compare("other");
    const found = new Set(differences.map(({ path, what }) => `${path} ${what}`));
    // A renamed name is missed on one side and new on the other; a shorter file has other contents too.
    const expected = [...CHANGES.map(([, path, what]) => `${path} ${what}`), "%FF%20 listing", "size contents"];
    assert.deepEqual([...found].toSorted(), expected.toSorted());
    const dumps = await compareDumps(peerPath("juicefs-1.4"), urlOf("original"), urlOf("other"));
    assert.match(dumps.difference, /^\+.*"mode":416/m);
  });
});

/** One file for every kind of difference. */
async function fill(mountpoint: string): Promise<void> {
  const at = (name: string): string => join(mountpoint, name);
  for (const name of ["mode", "uid", "mtime", "ctime", "nlink", "xattr", "acl", "existence", "trashed"]) {
    writeFileSync(at(name), name);
  }
  writeFileSync(at("size"), "sizes");
  writeFileSync(at("contents"), Buffer.alloc(4096, "c"));
  mkdirSync(at("folder"));
  writeFileSync(at("folder/file"), Buffer.alloc(3 * MIB, "f"));
  linkSync(at("folder/file"), at("hard link"));
  writeFileSync(Buffer.concat([Buffer.from(`${mountpoint}/`), Buffer.from("ff20", "hex")]), "");
  symlinkSync("nowhere", at("target"));
  const sparse = openSync(at("sparse"), "w");
  ftruncateSync(sparse, SPARSE_BYTES);
  writeSync(sparse, "one", 100 * MIB);
  writeSync(sparse, "two", SPARSE_BYTES - 100 * MIB);
  closeSync(sparse);
  unlinkSync(at("trashed"));
  const syscalls = openSyscalls();
  await syscalls.setXattr(Buffer.from(at("xattr")), "user.a", Buffer.from("value"));
  await syscalls.setXattr(Buffer.from(at("acl")), "system.posix_acl_access", ACL_FOR_USER_1001);
  await syscalls.mknod(Buffer.from(at("rdev")), 0o20_600, 1, 2);
  await syscalls.mknod(Buffer.from(at("fifo")), 0o10_600);
  await syscalls.close();
}
