import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, lchownSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { pathOf, type OddBench } from "./odd-bench.ts";
import { fileTypes, inodeFlags } from "./syscalls.ts";

const largestId = 2 ** 31 - 1;

/** Modes with all special bits, owners up to 2^31-1, times from 1715 to far ahead, to the nanosecond. */
export async function makeOddAttributes(bench: OddBench): Promise<void> {
  const top = pathOf(bench.mountpoint, "attributes");
  mkdirSync(top);
  for (const mode of [0o0, 0o400, 0o777, 0o1777, 0o2755, 0o4755, 0o6711, 0o7777]) {
    const name = mode.toString(8);
    writeFileSync(pathOf(top, `file-${name}`), "");
    chmodSync(pathOf(top, `file-${name}`), mode);
    mkdirSync(pathOf(top, `dir-${name}`));
    chmodSync(pathOf(top, `dir-${name}`), mode);
  }
  for (const [uid, gid] of [
    [1, 1],
    [1000, 100],
    [65534, 65535],
    [65536, 1_000_000_000],
    [largestId, largestId],
  ]) {
    const file = pathOf(top, `owner-${uid}-${gid}`);
    writeFileSync(file, "owned\n");
    chownSync(file, uid, gid);
    const link = pathOf(top, `owner-link-${uid}-${gid}`);
    symlinkSync("nowhere", link);
    lchownSync(link, uid, gid);
  }
  const second = 1_000_000_000n;
  // JuiceFS 1.4 replaces a negative time by now, and counts nanoseconds in 64 bits: what lies beyond the year 2262 wraps
  // around, so that the year 2300 is stored as a negative time with negative nanoseconds.
  const times: readonly (readonly [string, bigint])[] = [
    ["epoch", 0n],
    ["replaced-by-now", -1n],
    ["last-32-bit", (2n ** 31n - 1n) * second + 999_999_999n],
    ["beyond-32-bit", 2n ** 32n * second + 1n],
    ["last-64-bit", 2n ** 63n - 8n],
    ["year-2300", 10_413_792_000n * second + 987_654_321n],
    ["year-9000", 221_845_392_000n * second + 987_654_321n],
    ["nanoseconds", 1_700_000_000n * second + 1n],
    ["microseconds", 1_700_000_000n * second + 999_999_000n],
  ];
  for (const [name, ns] of times) {
    const file = pathOf(top, `time-${name}`);
    writeFileSync(file, "");
    await bench.syscalls.setTimes(file, ns + 7n, ns);
  }
  symlinkSync("nowhere", pathOf(top, "time-link"));
  await bench.syscalls.setTimes(pathOf(top, "time-link"), 1_234_567_890_123_456_789n, 987_654_321_987_654_321n);
}

/** Extended attributes with binary, empty and large values, on everything that can have them. */
export async function makeOddXattrs(bench: OddBench): Promise<void> {
  const { random, syscalls } = bench;
  const top = pathOf(bench.mountpoint, "xattrs");
  mkdirSync(top);
  const file = pathOf(top, "file");
  writeFileSync(file, "attributed\n");
  await syscalls.setXattr(file, "user.text", Buffer.from("plain text"));
  await syscalls.setXattr(file, "user.empty", Buffer.alloc(0));
  await syscalls.setXattr(file, "user.zeros", Buffer.alloc(17));
  await syscalls.setXattr(file, "user.every-byte", Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)));
  await syscalls.setXattr(
    file,
    "user.large",
    random.bytes(bench.size === "full" && bench.portable !== true ? 65_536 : 20_000),
  );
  await syscalls.setXattr(file, "user.näme 😀", Buffer.from("wert"));
  if (bench.portable !== true) {
    await syscalls.setXattr(file, "user.TEXT", Buffer.from("differs in case only"));
    const name = Buffer.from([...Buffer.from("user."), 0xff, 0xfe]);
    await syscalls.setXattr(file, name, Buffer.from("a name that is not UTF-8"));
  }
  await syscalls.setXattr(file, `user.${"x".repeat(250)}`, Buffer.from("longest name"));
  await syscalls.setXattr(file, "user.replaced", Buffer.from("old"));
  await syscalls.setXattr(file, "user.replaced", Buffer.from("new"));
  await syscalls.setXattr(file, "user.removed", Buffer.from("gone"));
  await syscalls.removeXattr(file, "user.removed");
  const folder = pathOf(top, "folder");
  mkdirSync(folder);
  await syscalls.setXattr(folder, "user.on-a-folder", random.bytes(64));
  await syscalls.setXattr(Buffer.from(bench.mountpoint), "user.on-the-root", Buffer.from("/"));
  const link = pathOf(top, "link");
  symlinkSync("file", link);
  // The kernel keeps the user namespace to files and folders; a privileged one goes on links and devices.
  await syscalls.setXattr(link, "trusted.on-a-link", Buffer.from("link"));
  for (let index = 0; index < (bench.size === "full" ? 200 : 20); index += 1) {
    await syscalls.setXattr(file, `user.many.${index}`, random.bytes(random.below(40)));
  }
}

/** POSIX access lists: named users and groups, masks, defaults that children inherit, one set and removed. */
export function makeOddAcls(bench: OddBench): void {
  const top = pathOf(bench.mountpoint, "acl").toString();
  mkdirSync(top);
  const setfacl = (...args: string[]) => execFileSync("setfacl", args, { stdio: ["ignore", "ignore", "inherit"] });
  writeFileSync(`${top}/named`, "");
  setfacl("-m", "u:1000:rw-,u:1001:r--,g:100:r-x,g:2000:---", `${top}/named`);
  writeFileSync(`${top}/masked`, "");
  setfacl("-m", "u:1000:rwx,m::r--", `${top}/masked`);
  writeFileSync(`${top}/same-as-named`, "");
  setfacl("-m", "u:1000:rw-,u:1001:r--,g:100:r-x,g:2000:---", `${top}/same-as-named`);
  writeFileSync(`${top}/removed`, "");
  setfacl("-m", "u:5:rwx", `${top}/removed`);
  setfacl("-b", `${top}/removed`);
  writeFileSync(`${top}/large-ids`, "");
  setfacl("-m", `u:${largestId}:r--,g:${largestId}:-w-`, `${top}/large-ids`);
  mkdirSync(`${top}/inherits`);
  setfacl("-d", "-m", "u::rwx,u:1000:rwx,g::r-x,g:100:rw-,o::---", `${top}/inherits`);
  setfacl("-m", "g:7:r-x", `${top}/inherits`);
  mkdirSync(`${top}/inherits/folder`);
  mkdirSync(`${top}/inherits/folder/deeper`);
  for (let index = 0; index < 10; index += 1) writeFileSync(`${top}/inherits/folder/file-${index}`, "");
  for (let index = 0; index < (bench.size === "full" ? 60 : 5); index += 1) {
    writeFileSync(`${top}/various-${index}`, "");
    setfacl("-m", `u:${3000 + index}:${index % 2 === 0 ? "r--" : "rw-"}`, `${top}/various-${index}`);
  }
}

/** Device nodes with small and large numbers, pipes and sockets. */
export async function makeSpecialFiles(bench: OddBench): Promise<void> {
  const { syscalls } = bench;
  const top = pathOf(bench.mountpoint, "special");
  mkdirSync(top);
  await syscalls.mknod(pathOf(top, "fifo"), fileTypes.fifo | 0o640);
  await syscalls.mknod(pathOf(top, "socket"), fileTypes.socket | 0o777);
  await syscalls.mknod(pathOf(top, "null"), fileTypes.characterDevice | 0o666, 1, 3);
  // Numbers that JuiceFS stores as 2^31 and more, and just less.
  const large = bench.portable === true ? 2000 : 300_000;
  await syscalls.mknod(pathOf(top, "large-character"), fileTypes.characterDevice | 0o600, 4000, large);
  await syscalls.mknod(pathOf(top, "disk"), fileTypes.blockDevice | 0o660, 8, 1);
  await syscalls.mknod(
    pathOf(top, "large-block"),
    fileTypes.blockDevice | 0o660,
    259,
    bench.portable === true ? 511_999 : 1_048_575,
  );
  await syscalls.setXattr(pathOf(top, "null"), "trusted.on-a-device", Buffer.from([0, 1, 2]));
}

/** Files and folders with the flags that `chattr` sets. Made last: what is immutable cannot be changed any more. */
export async function makeFlags(bench: OddBench): Promise<void> {
  const top = pathOf(bench.mountpoint, "flags");
  mkdirSync(top);
  for (const [name, flags] of [
    ["immutable", inodeFlags.immutable],
    ["append", inodeFlags.append],
    ["both", inodeFlags.immutable | inodeFlags.append],
    ["skip-trash", inodeFlags.secureRemoval],
  ] as const) {
    writeFileSync(pathOf(top, name), `${name}\n`);
    await bench.syscalls.setFlags(pathOf(top, name), flags);
    mkdirSync(pathOf(top, `${name}.dir`));
    writeFileSync(pathOf(top, `${name}.dir`, "within"), "");
    await bench.syscalls.setFlags(pathOf(top, `${name}.dir`), flags);
  }
}
