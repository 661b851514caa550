import { bytesToText } from "../../std/byte-text.ts";
import { CairnError } from "../../model/errors.ts";
import { fileType } from "../../model/juicefs.ts";
import { Browser } from "../../operations/browse/browser.ts";
import { findFiles } from "../../operations/browse/find-files.ts";
import { compileGlob } from "../../operations/browse/glob.ts";
import type { NodeConditions } from "../../operations/browse/node-test.ts";
import { resolvePath } from "../../operations/browse/resolve-path.ts";
import type { Context } from "../context.ts";
import { openSnapshotAt } from "../open-snapshot.ts";
import type { VolumeOptions } from "../open-snapshot.ts";
import { bigJson, bytesJson } from "../output/bytes-json.ts";
import { typeName } from "../output/mode.ts";
import { sizeOption } from "../sizes.ts";
import { parseDuration, parseTime } from "../times.ts";

export interface FindCommandOptions extends VolumeOptions {
  name?: string;
  type?: string;
  size?: string[];
  newer?: string;
  older?: string;
  uid?: string;
  gid?: string;
}

const rootPath = new Uint8Array([0x2f]);

/** `find SNAPSHOT[:/PATH]`: one path a line. */
export async function find(
  context: Context,
  [address]: readonly (string | undefined)[],
  options: FindCommandOptions,
): Promise<void> {
  const { output, signal } = context;
  const now = context.world.clock.now();
  const types = typesOption(options.type);
  const conditions = conditionsOf(options, now);
  await using opened = await openSnapshotAt(context, address ?? "", options);
  const browser = new Browser(opened.snapshot);
  const place = await resolvePath(browser, opened.address.path ?? rootPath);
  let found = 0;
  const search = findFiles(browser, place, {
    ...(options.name === undefined ? {} : { name: compileGlob(options.name) }),
    ...(types === undefined ? {} : { types }),
    conditions,
    progress: output.progress,
    signal,
  });
  for await (const { path, low, high, type } of search) {
    signal.throwIfAborted();
    found += 1;
    if (output.json) {
      const inode = bigJson((BigInt(high) << 32n) | BigInt(low));
      await output.entry({ ...bytesJson("path", path), inode, fileType: typeName(type) });
    } else await output.text(`${bytesToText(path)}\n`);
  }
  await output.result("find", { snapshot: opened.snapshot.manifest.id, ...bytesJson("path", place.path), found });
}

const typeLetters: Readonly<Record<string, number>> = {
  f: fileType.regular,
  d: fileType.directory,
  l: fileType.symlink,
  p: fileType.fifo,
  b: fileType.blockDevice,
  c: fileType.charDevice,
  s: fileType.socket,
};

function typesOption(text: string | undefined): ReadonlySet<number> | undefined {
  if (text === undefined) return undefined;
  const types = [...text.replaceAll(",", "")].map((letter) => {
    if (!Object.hasOwn(typeLetters, letter)) throw wrong("--type", text, "give letters of f d l p b c s");
    return typeLetters[letter];
  });
  return new Set(types);
}

function conditionsOf(options: FindCommandOptions, now: number): NodeConditions {
  const sizes = (options.size ?? []).map((text) => {
    const sign = text.startsWith("+") ? "+" : text.startsWith("-") ? "-" : "";
    return { sign, bytes: sizeOption("--size", text.slice(sign.length)) } as const;
  });
  return {
    sizes,
    ...(options.newer === undefined ? {} : { newer: timeOption("--newer", options.newer, now) }),
    ...(options.older === undefined ? {} : { older: timeOption("--older", options.older, now) }),
    ...(options.uid === undefined ? {} : { uid: idOption("--uid", options.uid) }),
    ...(options.gid === undefined ? {} : { gid: idOption("--gid", options.gid) }),
  };
}

function timeOption(option: string, text: string, now: number): number {
  const duration = parseDuration(text.replace(/^-/, ""));
  const time = duration === undefined ? parseTime(text) : now - duration;
  if (time === undefined)
    throw wrong(option, text, "give a time like 2026-11-20T10:00, or a span before now like 2h or 3d");
  return time;
}

function idOption(option: string, text: string): number {
  const id = Number(text);
  if (!/^\d+$/.test(text) || id > 0xffffffff) throw wrong(option, text, "give a number: snapshots know no user names");
  return id;
}

function wrong(option: string, text: string, next: string): CairnError {
  return new CairnError("usage", `${option} ${text} is not understood`, { exit: "wrongUse", next });
}
