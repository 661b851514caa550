import type { Manifest } from "../../format/manifest.ts";
import type { Context } from "../context.ts";
import { openSnapshotAt } from "../open-snapshot.ts";
import type { VolumeOptions } from "../open-snapshot.ts";
import { alignColumns, formatBytes, formatCount, formatSeconds, formatTime } from "../output/format.ts";
import type { JsonObject } from "../output/output.ts";
import { findingLines } from "../output/findings.ts";
import { snapshotSummary } from "./snapshots.ts";

/** `show SNAPSHOT`: the manifest for people; whole in JSON, without secrets and locations of pages. */
export async function show(
  context: Context,
  [address]: readonly (string | undefined)[],
  options: VolumeOptions,
): Promise<void> {
  await using opened = await openSnapshotAt(context, address ?? "", options);
  const { manifest } = opened.snapshot;
  await context.output.text(`${describe(manifest).join("\n")}\n`);
  await context.output.result("show", {
    ...snapshotSummary(manifest),
    format: manifest.format,
    schemaVersion: manifest.schemaVersion,
    identityVersion: manifest.identityVersion,
    system: manifest.system,
    engine: manifest.engine,
    tool: manifest.tool,
    started: manifest.started,
    ended: manifest.ended,
    position: manifest.consistency.position,
    packs: manifest.packs,
    facts: manifest.facts,
    findings: manifest.findings as unknown as JsonObject[],
    omitted: manifest.omitted,
    secrets: Object.keys(manifest.secrets),
  });
}

function describe(manifest: Manifest): string[] {
  const facts = (values: Record<string, string | number | boolean>): string =>
    Object.entries(values)
      .map(([name, value]) => `${name} ${value}`)
      .join(", ") || "none";
  const seconds = (Date.parse(manifest.ended) - Date.parse(manifest.started)) / 1000;
  const { consistency } = manifest;
  const lines = alignColumns([
    ["snapshot", manifest.id],
    ["root", manifest.root],
    ["volume", `${manifest.volumeName} (${manifest.volume})`],
    ["time", formatTime(Date.parse(manifest.time))],
    ["took", formatSeconds(seconds)],
    ["engine", `${manifest.system} on ${manifest.engine.name} ${manifest.engine.version}`],
    ["consistent", `${consistency.level === "snapshot" ? "yes" : "NO, this is not a snapshot"}: ${consistency.method}`],
    ["position", facts(consistency.position)],
    ["metadata", `${formatBytes(manifest.logicalBytes)} before compression`],
    [
      "stored",
      `${formatBytes(manifest.storedBytes)} new${manifest.parent === null ? "" : `, on top of ${manifest.parent.slice(0, 8)}`}`,
    ],
    ["made by", `${manifest.tool.name} ${manifest.tool.version}`],
    ["note", manifest.note === "" ? "none" : manifest.note],
    [
      "tags",
      Object.entries(manifest.tags)
        .map(([key, value]) => `${key}=${value}`)
        .join(" ") || "none",
    ],
    ["facts", facts(manifest.facts)],
    ["secrets", Object.keys(manifest.secrets).join(", ") || "none kept"],
    ["not carried", facts(manifest.omitted)],
  ]);
  const tables = manifest.tables.map(({ name, records, rawBytes, index }) => [
    `  ${name}`,
    formatCount(records),
    formatBytes(rawBytes),
    formatCount(index.pages),
  ]);
  lines.push("", ...alignColumns([["  table", "records", "bytes", "pages"], ...tables], [1, 2, 3]));
  if (manifest.findings.length > 0) lines.push("", "findings", ...findingLines(manifest.findings));
  return lines;
}
