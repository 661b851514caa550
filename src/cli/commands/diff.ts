import { bytesToText } from "../../std/byte-text.ts";
import type { Value } from "../../model/batch.ts";
import { diffSnapshots } from "../../operations/diff.ts";
import type { RecordChange, TableChange, TreeCounts } from "../../operations/diff.ts";
import type { TreeChange } from "../../operations/tree-change.ts";
import type { Context } from "../context.ts";
import { openSnapshotAt } from "../open-snapshot.ts";
import type { VolumeOptions } from "../open-snapshot.ts";
import { bigJson, bytesJson } from "../output/bytes-json.ts";
import { formatCount, formatTime } from "../output/format.ts";
import { typeName } from "../output/mode.ts";
import type { JsonObject } from "../output/output.ts";

export interface DiffCommandOptions extends VolumeOptions {
  stat?: boolean;
}

/** `diff A B`: from A to B. */
export async function diff(
  context: Context,
  [left, right]: readonly (string | undefined)[],
  options: DiffCommandOptions,
): Promise<void> {
  const { output, signal } = context;
  await using a = await openSnapshotAt(context, left ?? "", options);
  await using b = await openSnapshotAt(context, right ?? "", options, a.address.repository);
  const [from, to] = [a.snapshot.manifest, b.snapshot.manifest];
  const countsOnly = options.stat === true;
  const result = await diffSnapshots(a.snapshot, b.snapshot, {
    countsOnly,
    change: async (change) => {
      signal.throwIfAborted();
      await output.entry(changeJson(change));
      await output.text(`${changeLine(change)}\n`);
    },
    progress: output.progress,
    signal,
  });
  for (const table of result.outside) {
    await output.text(`${tableLines(table).join("\n")}\n`);
    for (const record of table.records) await output.entry(recordJson(table.table, record));
  }
  const day = (time: string): string => formatTime(Date.parse(time));
  const lines = [
    result.isEqual
      ? `The same metadata: root ${from.root}`
      : `From ${from.id.slice(0, 8)} (${day(from.time)}) to ${to.id.slice(0, 8)} (${day(to.time)}): ${countsText(result.tree)}`,
  ];
  if (from.volume !== to.volume)
    lines.push(`Two volumes: ${from.volumeName} (${from.volume}) and ${to.volumeName} (${to.volume})`);
  await output.text(`${lines.join("\n")}\n`);
  await output.result("diff", {
    a: from.id,
    b: to.id,
    rootA: from.root,
    rootB: to.root,
    equal: result.isEqual,
    tree: { ...result.tree },
    outside: result.outside.map(({ table, added, removed, changed }) => ({ table, added, removed, changed })),
  });
}

function countsText(tree: TreeCounts): string {
  const parts = (["added", "removed", "trashed", "renamed", "replaced", "changed"] as const)
    .filter((kind) => tree[kind] > 0)
    .map((kind) => `${formatCount(tree[kind])} ${kind}`);
  return parts.length === 0 ? "no difference in the tree" : parts.join(", ");
}

const signs: Readonly<Record<TreeChange["kind"], string>> = {
  added: "+",
  removed: "-",
  trashed: "-",
  renamed: ">",
  replaced: "R",
  changed: "M",
};

function pathText(path: Uint8Array | undefined, { low, high }: TreeChange): string {
  return path === undefined ? `(inode ${(BigInt(high) << 32n) | BigInt(low)}, without a path)` : bytesToText(path);
}

function changeLine(change: TreeChange): string {
  const { kind, path, from, what } = change;
  const sign = signs[kind];
  if (kind === "trashed") return `${sign} ${pathText(from, change)}  (now ${pathText(path, change)})`;
  if (kind === "renamed") return `${sign} ${pathText(from, change)} -> ${pathText(path, change)}`;
  return `${sign} ${pathText(path, change)}${what.length === 0 ? "" : `  (${what.join(", ")})`}`;
}

function changeJson({ kind, path, from, low, high, type, what }: TreeChange): JsonObject {
  return {
    change: kind,
    ...(path === undefined ? {} : bytesJson("path", path)),
    ...(from === undefined ? {} : bytesJson("from", from)),
    inode: bigJson((BigInt(high) << 32n) | BigInt(low)),
    ...(type === undefined ? {} : { fileType: typeName(type) }),
    ...(what.length === 0 ? {} : { what: [...what] }),
  };
}

function tableLines({ table, added, removed, changed, records }: TableChange): string[] {
  const counts = [
    [added, "added"],
    [removed, "removed"],
    [changed, "changed"],
  ] as const;
  const text = counts.filter(([count]) => count > 0).map(([count, word]) => `${formatCount(count)} ${word}`);
  const lines = records.map((record) => `    ${record.name}: ${recordText(record)}`);
  const more = added + removed + changed - records.length;
  if (more > 0) lines.push(`    … and ${formatCount(more)} more`);
  return [`  ${table}: ${text.join(", ")}`, ...lines];
}

function recordText({ side, before, after }: RecordChange): string {
  const values = (record: Record<string, Value>): string =>
    Object.entries(record)
      .map(([name, value]) => (name === "value" ? valueText(value) : `${name} ${valueText(value)}`))
      .join(", ");
  if (side === "a") return `removed (${values(before)})`;
  if (side === "b") return `added (${values(after)})`;
  return Object.keys(after)
    .map((name) => `${name === "value" ? "" : `${name} `}${valueText(before[name])} -> ${valueText(after[name])}`)
    .join(", ");
}

const textBytesMax = 200;

/** Text as text; other bytes by their number, since 200 of `%00` tell nobody anything. */
function valueText(value: Value): string {
  if (!(value instanceof Uint8Array)) return String(value);
  const text = bytesToText(value.subarray(0, textBytesMax));
  if (/%[01]/.test(text)) return `${formatCount(value.length)} bytes`;
  return JSON.stringify(text) + (value.length > textBytesMax ? "…" : "");
}

function valueJson(value: Value): JsonObject[string] {
  if (value instanceof Uint8Array) return bytesToText(value);
  return typeof value === "bigint" ? bigJson(value) : value;
}

function recordJson(table: string, { name, side, before, after }: RecordChange): JsonObject {
  const values = (record: Record<string, Value>): JsonObject =>
    Object.fromEntries(Object.entries(record).map(([column, value]) => [column, valueJson(value)]));
  const change = side === "a" ? "removed" : side === "b" ? "added" : "changed";
  return { change, table, record: name, before: values(before), after: values(after) };
}
