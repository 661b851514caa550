import { basename, dirname, resolve } from "node:path";
import { CairnError } from "../../model/errors.ts";
import { advanceIdsDefault } from "../../operations/changes/counters.ts";
import { restoreHazards } from "../../operations/hazards.ts";
import { planChanges, repairs } from "../../operations/changes/plan-changes.ts";
import type { Repair, WantedChanges } from "../../operations/changes/plan-changes.ts";
import { readSetting } from "../../operations/changes/read-small-table.ts";
import { restore as runRestore } from "../../operations/restore.ts";
import type { RestoreResult } from "../../operations/restore.ts";
import type { Finding } from "../../model/ports.ts";
import type { Manifest } from "../../format/manifest.ts";
import { backUpReplaced } from "../back-up-replaced.ts";
import { commandText, shellQuote } from "../command-text.ts";
import type { Context } from "../context.ts";
import { keyValues } from "../key-values.ts";
import { withPassword, withoutPassword } from "../meta-url.ts";
import { openSnapshotAt } from "../open-snapshot.ts";
import type { VolumeOptions } from "../open-snapshot.ts";
import { formatCount, formatSeconds, formatTime } from "../output/format.ts";
import type { JsonObject } from "../output/output.ts";
import { isRdbPath, openTarget } from "../registry.ts";
import { howToSetSecrets, requireNotHeld, secretsGiven, secretsMissing } from "../secrets.ts";
import { openTemporaryFolder } from "../temporary-folder.ts";

export interface RestoreCommandOptions extends VolumeOptions {
  repair?: string[];
  /** True without a number. */
  advanceIds?: string | true;
  set?: string[];
  secretFile?: string[];
  replace?: string;
  discardUnfinished?: boolean;
  dedicated?: boolean;
  database?: string;
  line?: string;
}

/** `restore SNAPSHOT META-URL`. */
export async function restore(
  context: Context,
  [address, url]: readonly (string | undefined)[],
  options: RestoreCommandOptions,
): Promise<void> {
  const { output, signal, memoryBytes, world } = context;
  const wanted = wantedChanges(options);
  const secrets = await secretsGiven(options.secretFile, world.env);
  const fullUrl = await withPassword(url ?? "", world.env);
  const target = await openTarget(fullUrl, {
    line: options.line,
    dedicated: options.dedicated === true,
    database: databaseNumber(options.database),
    sentinelPassword: world.env["SENTINEL_PASSWORD"],
  });
  await using opened = await openSnapshotAt(context, address ?? "", options);
  await using temporary = await openTemporaryFolder();
  const { snapshot } = opened;
  const { manifest } = snapshot;
  if (Object.keys(secrets).length > 0) requireNotHeld(secrets, await readSetting(snapshot));
  const hazards = await restoreHazards(snapshot, wanted);
  for (const { code, severity, message } of hazards) if (severity !== "info") output.progress.warn(code, message);
  const shared = {
    memoryBytes,
    temporaryFolder: temporary.path,
    progress: output.progress,
    signal,
    discardUnfinished: options.discardUnfinished === true,
  };
  const changes = await planChanges(snapshot, wanted, shared);
  const { replace: volumeId } = options;
  let replaced: Manifest | undefined;
  let result: RestoreResult;
  if (volumeId === undefined) result = await runRestore({ snapshot, target, changes, secrets, ...shared });
  else {
    const { repository } = snapshot;
    const { location } = target;
    const kept = { repository, url: fullUrl, location, volumeId, temporaryFolder: temporary.path };
    // Only once the target agrees: one that is in use is refused before anything is stored.
    const agreed = async (): Promise<void> => void (replaced = await backUpReplaced(context, kept));
    try {
      result = await runRestore({ snapshot, target, changes, secrets, replace: volumeId, agreed, ...shared });
    } catch (error) {
      const args = [`${opened.address.repository}@${manifest.id}`, withoutPassword(url ?? "")];
      throw withRerun(error, signal, commandText(world.program, ["restore", ...args, ...optionArguments(options)]));
    }
  }
  const missing = secretsMissing(manifest.facts["secretsRemoved"], { ...manifest.secrets, ...secrets });
  const shownUrl = withoutPassword(url ?? "");
  const isReplaced = options.replace !== undefined;
  const notes = hazards.filter(({ severity }) => severity === "info");
  const told = {
    manifest,
    shownUrl,
    database: databaseNumber(options.database) ?? 0,
    missing,
    isReplaced,
    replaced,
    notes,
  };
  await output.text(`${describe(result, told).join("\n")}\n`);
  await output.result("restore", {
    snapshot: manifest.id,
    volume: manifest.volume,
    volumeName: manifest.volumeName,
    target: target.location,
    root: result.root,
    restoredRoot: result.restoredRoot,
    proven: true,
    changes: result.changes,
    records: result.records,
    seconds: result.seconds,
    secretsMissing: missing,
    ...(replaced === undefined ? {} : { replaced: replaced.id }),
    findings: hazards as unknown as JsonObject[],
  });
}

/** The error with the command that restores the very same snapshot: an address like `@latest` may mean another one by then. */
function withRerun(error: unknown, signal: AbortSignal, command: string): unknown {
  const known = signal.aborted ? new CairnError("interrupted", "interrupted", { exit: "interrupted" }) : error;
  if (!(known instanceof CairnError)) return error;
  const { code, message, unharmed, next, exit, details, cause } = known;
  return new CairnError(code, message, {
    ...(unharmed === undefined ? {} : { unharmed }),
    next: `${next === undefined ? "" : `${next}; `}to restore the same snapshot again: ${command}`,
    exit,
    details,
    cause,
  });
}

/** The options as they were given; a volume is not among them, since an id needs none. */
function optionArguments({ repair, advanceIds, set, secretFile, replace, line }: RestoreCommandOptions): string[] {
  const each = (option: string, values: readonly string[] = []): string[] => values.flatMap((value) => [option, value]);
  return [
    ...each("--repair", repair),
    ...(advanceIds === undefined ? [] : [advanceIds === true ? "--advance-ids" : `--advance-ids=${advanceIds}`]),
    ...each("--set", set),
    ...each("--secret-file", secretFile),
    ...(replace === undefined ? [] : ["--replace", replace]),
    ...(line === undefined ? [] : ["--line", line]),
  ];
}

function databaseNumber(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[0-9]{1,6}$/.test(text)) return Number(text);
  throw new CairnError("usage", `--database ${text} is no number of a database`, {
    exit: "wrongUse",
    next: "give a whole number: 0, 1, …",
  });
}

function wantedChanges(options: RestoreCommandOptions): WantedChanges {
  const repair = (options.repair ?? [])
    .flatMap((text) => text.split(","))
    .map((text): Repair => {
      const known = repairs.find((name) => name === text);
      if (known !== undefined) return known;
      throw new CairnError("usage", `--repair ${text} is not a repair`, {
        exit: "wrongUse",
        next: `give some of ${repairs.join(", ")}, separated by commas`,
      });
    });
  const { advanceIds } = options;
  const count = advanceIds === true ? advanceIdsDefault : Number(advanceIds ?? "1");
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new CairnError("usage", `--advance-ids ${String(advanceIds)} is not a whole number above 0`, {
      exit: "wrongUse",
    });
  }
  return {
    repair: [...new Set(repair)],
    ...(advanceIds === undefined ? {} : { advanceIds: count }),
    set: keyValues("--set", options.set),
  };
}

interface Told {
  manifest: Manifest;
  shownUrl: string;
  /** In an .rdb file. */
  database: number;
  missing: readonly string[];
  isReplaced: boolean;
  /** The snapshot of what was there. */
  replaced: Manifest | undefined;
  /** What the volume has that is not wrong, but good to know. */
  notes: readonly Finding[];
}

function describe(
  result: RestoreResult,
  { manifest, shownUrl, database, missing, isReplaced, replaced, notes }: Told,
): string[] {
  const { seconds, changes } = result;
  const rdbFile = isRdbPath(shownUrl) ? shownUrl : undefined;
  const quoted = rdbFile === undefined ? shellQuote(shownUrl) : `redis://HOST/${database}`;
  const records = Object.values(result.records).reduce((sum, count) => sum + count, 0);
  const isSame = result.root === result.restoredRoot;
  const lines = [
    `Restored volume ${manifest.volumeName} as of ${formatTime(Date.parse(manifest.time))} into ${shownUrl}`,
    `  what     ${formatCount(records)} records, ${formatCount(result.records["node"] ?? 0)} of them inodes`,
    `  took     ${formatSeconds(seconds.write)} to write, ${formatSeconds(seconds.prove)} to read back and prove, ${formatSeconds(seconds.publish)} to publish`,
    `  proof    ${isSame ? "what was read back has the snapshot's root" : "what was read back has the root that the changes below lead to"}`,
    `           snapshot  ${result.root}`,
    `           restored  ${result.restoredRoot}`,
  ];
  for (const { name, description, records: count } of changes) {
    lines.push(`  change   ${name}: ${description} (${formatCount(count)} ${count === 1 ? "record" : "records"})`);
  }
  if (isReplaced)
    lines.push(
      `  kept     the database that was there, beside the new one, with .replaced- and the time after its name`,
    );
  if (replaced !== undefined) lines.push(`  before   what was there is snapshot ${replaced.id.slice(0, 12)}`);
  for (const { code, message } of notes) lines.push(`  note     ${message} (${code})`);
  if (missing.length > 0) {
    lines.push(
      "",
      `The snapshot does not hold these secrets of the volume. Set them before you mount it:`,
      ...howToSetSecrets(missing, quoted),
    );
  }
  if (rdbFile !== undefined) lines.push("", ...howToStartFrom(rdbFile));
  lines.push(
    "",
    ...(isReplaced
      ? replacedWarning(
          quoted,
          changes.some(({ name }) => name === "advance-ids"),
        )
      : copyWarning(quoted)),
  );
  return lines;
}

/** A server reads the file when it starts, and then only: a running one would write over it. */
function howToStartFrom(file: string): string[] {
  const path = resolve(file);
  return [
    "Start a Redis from the file (with appendonly no, or it would not look at it):",
    `  ${commandText("redis-server", ["--dir", dirname(path), "--dbfilename", basename(path), "--appendonly", "no"])}`,
  ];
}

/** A restored volume shares UUID and bucket with the original: whoever cleans up in one deletes blocks of the other. */
function copyWarning(url: string): string[] {
  return [
    "This volume has the UUID and the bucket of the original. As long as both exist:",
    `  look at the copy with: juicefs mount --read-only --no-bgjob ${url} /MOUNTPOINT`,
    "  never run juicefs gc --delete on it, and never mount it writable: background jobs and new files of one delete or overwrite blocks of the other.",
    "If it takes the original's place, retire the original first; --advance-ids then keeps new numbers clear of those handed out since the snapshot.",
    "juicefs gc --delete on an older state deletes the blocks of every file written since: run it only when you want just that.",
  ];
}

function replacedWarning(url: string, isAdvanced: boolean): string[] {
  return [
    "The volume is back at the snapshot's state; blocks that were written since are still in the bucket.",
    `  look first with: juicefs mount --read-only --no-bgjob ${url} /MOUNTPOINT`,
    "  never run juicefs gc --delete before you are sure that nothing written since the snapshot is wanted: it deletes those blocks.",
    ...(isAdvanced
      ? []
      : ["Without --advance-ids, new files and slices may get numbers that were handed out since the snapshot."]),
  ];
}
