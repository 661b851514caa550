import { bytesToText } from "../../std/byte-text.ts";
import { CairnError } from "../../model/errors.ts";
import { fileType } from "../../model/juicefs.ts";
import type { Value } from "../../model/batch.ts";
import { Browser } from "../../operations/browse/browser.ts";
import { statPath } from "../../operations/browse/stat-path.ts";
import type { FileFacts, Named } from "../../operations/browse/stat-path.ts";
import type { Context } from "../context.ts";
import { openSnapshotAt } from "../open-snapshot.ts";
import type { VolumeOptions } from "../open-snapshot.ts";
import { bigJson, bytesJson } from "../output/bytes-json.ts";
import { alignColumns, formatBytes, formatCount, formatNanotime, plural } from "../output/format.ts";
import { deviceNumbers, modeString, typeName } from "../output/mode.ts";
import type { JsonObject } from "../output/output.ts";

/** `stat SNAPSHOT:/PATH`. */
export async function stat(
  context: Context,
  [address]: readonly (string | undefined)[],
  options: VolumeOptions,
): Promise<void> {
  await using opened = await openSnapshotAt(context, address ?? "", options);
  const { path } = opened.address;
  if (path === undefined) {
    throw new CairnError("usage", `${address} names no path`, { exit: "wrongUse", next: `add one: ${address}:/PATH` });
  }
  const facts = await statPath(new Browser(opened.snapshot), path);
  await context.output.text(`${describe(facts).join("\n")}\n`);
  await context.output.result("stat", {
    snapshot: opened.snapshot.manifest.id,
    ...factsJson(facts),
    bytesRead: opened.snapshot.reader.bytesRead,
  });
}

const flagNames: readonly [number, string][] = [
  [1, "immutable"],
  [2, "append-only"],
  [4, "hidden"],
  [8, "system"],
  [16, "archive"],
  [32, "skip-trash"],
];

function flagsText(flags: number): string {
  const names = flagNames.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name);
  return names.length === 0 ? String(flags) : `${flags} (${names.join(", ")})`;
}

function describe({
  place,
  node,
  paths,
  target,
  xattrs,
  accessAcl,
  defaultAcl,
  content,
  dirStat,
  quota,
}: FileFacts): string[] {
  const number = (name: string): number => node[name] as number;
  const big = (name: string): bigint => node[name] as bigint;
  const type = number("type");
  const time = (name: string): string => formatNanotime(big(name), number(`${name}nsec`));
  const isDevice = type === fileType.blockDevice || type === fileType.charDevice;
  const rows = [
    ["path", bytesToText(place.path)],
    ["type", typeName(type)],
    ["inode", String(place.inode)],
    ["mode", `${number("mode").toString(8).padStart(4, "0")} ${modeString(type, number("mode"))}`],
    ["owner", `${number("uid")}:${number("gid")}`],
    ["links", formatCount(number("nlink"))],
    ["size", `${formatCount(big("length"))} (${formatBytes(Number(big("length")))})`],
    ["modified", time("mtime")],
    ["changed", time("ctime")],
    ["accessed", time("atime")],
    ["parent", big("parent") === 0n ? "0 (hard-linked)" : String(big("parent"))],
  ];
  if (isDevice) rows.push(["device", deviceNumbers(number("rdev"))]);
  if (number("flags") !== 0) rows.push(["flags", flagsText(number("flags"))]);
  if (number("tier") !== 0) rows.push(["tier", String(number("tier"))]);
  if (target !== undefined) rows.push(["target", bytesToText(target)]);
  if (content !== undefined) {
    const { chunks, slices, holes, sliceBytes } = content;
    const hole = holes === 0 ? "" : `, ${plural(holes, "hole")}`;
    rows.push([
      "content",
      `${plural(chunks, "chunk")}, ${plural(slices, "slice")}${hole}, ${formatBytes(sliceBytes)} referred to`,
    ]);
  }
  if (dirStat !== undefined) {
    const entries = plural(Number(dirStat["inodes"]), "entry", "entries");
    rows.push([
      "statistics",
      `${entries}, ${formatBytes(Number(dirStat["length"]))}, ${formatBytes(Number(dirStat["space"]))} of space`,
    ]);
  }
  if (quota !== undefined) rows.push(["quota", quotaText(quota)]);
  if (accessAcl !== undefined) rows.push(["acl", aclText(accessAcl)]);
  if (defaultAcl !== undefined) rows.push(["default acl", aclText(defaultAcl)]);
  for (const { name, value } of xattrs) rows.push(["xattr", `${bytesToText(name)}=${valueText(value)}`]);
  for (const path of paths.filter((one) => Buffer.compare(one, place.path) !== 0))
    rows.push(["also at", bytesToText(path)]);
  return alignColumns(rows);
}

const valueBytesMax = 256;

function valueText(value: Uint8Array): string {
  const more = value.length > valueBytesMax ? `… (${formatCount(value.length)} bytes)` : "";
  return JSON.stringify(bytesToText(value.subarray(0, valueBytesMax))) + more;
}

function quotaText(quota: Named): string {
  const limit = (name: string, format: (value: number) => string): string => {
    const value = quota[name] as bigint;
    return value < 0n || value === 0n ? "unlimited" : format(Number(value));
  };
  const used = `${formatBytes(Number(quota["used_space"]))} and ${formatCount(quota["used_inodes"] as bigint)} inodes used`;
  return `${limit("max_space", formatBytes)}, ${limit("max_inodes", formatCount)} inodes; ${used}`;
}

const unset = 0xffff;

/** Rules of an ACL as getfacl prints them, on one line. */
function aclText(acl: Named): string {
  const entries: string[] = [];
  const add = (tag: string, permission: number): void => {
    if (permission !== unset) entries.push(`${tag}:${permissionText(permission)}`);
  };
  add("user:", acl["owner"] as number);
  for (const { id, permission } of aclEntries(acl["users"])) add(`user:${id}`, permission);
  add("group:", acl["group"] as number);
  for (const { id, permission } of aclEntries(acl["groups"])) add(`group:${id}`, permission);
  add("mask:", acl["mask"] as number);
  add("other:", acl["other"] as number);
  return entries.join(",");
}

function permissionText(permission: number): string {
  return ["r", "w", "x"].map((letter, at) => ((permission & (4 >> at)) === 0 ? "-" : letter)).join("");
}

/** Named users or groups: id u32 and permission u16, big-endian. */
function aclEntries(value: Value | undefined): { id: number; permission: number }[] {
  if (!(value instanceof Uint8Array)) return [];
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const entries: { id: number; permission: number }[] = [];
  for (let at = 0; at + 6 <= value.length; at += 6)
    entries.push({ id: view.getUint32(at), permission: view.getUint16(at + 4) });
  return entries;
}

function namedJson(values: Named): JsonObject {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      typeof value === "bigint"
        ? bigJson(value)
        : value instanceof Uint8Array
          ? Buffer.from(value).toString("base64")
          : value,
    ]),
  );
}

function aclJson(acl: Named): JsonObject {
  return { ...namedJson(acl), users: aclEntries(acl["users"]), groups: aclEntries(acl["groups"]), text: aclText(acl) };
}

function factsJson(facts: FileFacts): JsonObject {
  const { place, node, paths, target, xattrs, accessAcl, defaultAcl, content, dirStat, quota } = facts;
  const { type, ...attributes } = node;
  return {
    ...bytesJson("path", place.path),
    ...namedJson(attributes),
    fileType: typeName(type as number),
    paths: paths.map((path) => bytesJson("path", path)),
    xattrs: xattrs.map(({ name, value }) => ({ ...bytesJson("name", name), ...bytesJson("value", value) })),
    ...(target === undefined ? {} : bytesJson("target", target)),
    ...(accessAcl === undefined ? {} : { accessAcl: aclJson(accessAcl) }),
    ...(defaultAcl === undefined ? {} : { defaultAcl: aclJson(defaultAcl) }),
    ...(content === undefined ? {} : { content: { ...content } }),
    ...(dirStat === undefined ? {} : { dirStat: namedJson(dirStat) }),
    ...(quota === undefined ? {} : { quota: namedJson(quota) }),
  };
}
