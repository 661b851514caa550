import { CairnError } from "../../model/errors.ts";
import { juicefs } from "../../model/juicefs.ts";
import type { Progress } from "../../model/ports.ts";
import type { Snapshot } from "../../repository/snapshot.ts";
import { sorterMemory } from "../memory.ts";
import type { RestoreChange } from "../restore-change.ts";
import { advanceIds, repairCounters } from "./counters.ts";
import { repairLinkCounts } from "./link-counts.ts";
import { openQuotaUsage } from "./quota-usage.ts";
import { readCounters, readSetting } from "./read-small-table.ts";
import { highestInode, highestSlice, highestTrash } from "./references.ts";
import { repairUsage } from "./repair-usage.ts";
import { setFields } from "./set-fields.ts";
import { surveySnapshot } from "./survey.ts";

/** What `--repair` takes. */
export const repairs = ["counters", "usage", "nlink"] as const;

export type Repair = (typeof repairs)[number];

/** The changes that a user asked for, by option. */
export interface WantedChanges {
  repair: readonly Repair[];
  /** `--advance-ids[=N]`; without a number, `advanceIdsDefault` of counters.ts. */
  advanceIds?: number;
  /** `--set`: values by setting field. */
  set: Readonly<Record<string, string>>;
}

export interface PlanOptions {
  signal: AbortSignal;
  temporaryFolder: string;
  memoryBytes: number;
  progress: Progress;
}

/**
 * Finds out what the asked-for changes mean for a snapshot, before anything is written. A repair that finds nothing wrong adds no change.
 * Each change can be applied once. Reads what it needs of the snapshot: all chunks for the counters, all nodes and edges for usage
 * and link counts. Throws `usage`, `secret-on-command-line`, `ids-exhausted`, or what reading the repository throws.
 */
export async function planChanges(
  snapshot: Snapshot,
  wanted: WantedChanges,
  options: PlanOptions,
): Promise<RestoreChange[]> {
  const isSet = Object.keys(wanted.set).length > 0;
  if (wanted.repair.length === 0 && wanted.advanceIds === undefined && !isSet) return [];
  const { kind, manifest } = snapshot;
  if (kind.name !== juicefs.name) {
    throw new CairnError(
      "usage",
      `--repair, --advance-ids and --set are for JuiceFS volumes, and this is a snapshot of kind ${kind.name}`,
      {
        exit: "wrongUse",
        unharmed: "nothing was restored",
      },
    );
  }
  const setting = await readSetting(snapshot);
  const counters = await readCounters(snapshot);
  const changes: (RestoreChange | undefined)[] = [];
  // First, since it refuses what was given wrong without reading much.
  if (isSet) changes.push(setFields(kind, setting, wanted.set));
  const needsSurvey = wanted.repair.includes("usage") || wanted.repair.includes("nlink");
  const needsIds = wanted.repair.includes("counters") || wanted.advanceIds !== undefined;
  const report = progressOf(
    options.progress,
    [...(needsIds ? ["chunk", "delayed_slice"] : []), ...(needsSurvey ? ["edge", "node"] : [])],
    manifest.tables,
  );
  if (needsIds) {
    const inUse = {
      inode: await highestInode(snapshot),
      slice: await highestSlice(snapshot, report, options.signal),
      trash: highestTrash(snapshot),
    };
    if (wanted.repair.includes("counters")) changes.push(repairCounters(kind, counters, inUse));
    if (wanted.advanceIds !== undefined) changes.push(advanceIds(kind, counters, inUse, wanted.advanceIds));
  }
  if (needsSurvey) {
    const { signal, temporaryFolder } = options;
    const fixesUsage = wanted.repair.includes("usage");
    const quotas = fixesUsage ? await openQuotaUsage(snapshot) : undefined;
    const memoryBytes = sorterMemory(options.memoryBytes);
    const survey = await surveySnapshot(snapshot, quotas, { signal, temporaryFolder, memoryBytes, onRecords: report });
    using directories = survey.directories;
    if (quotas !== undefined) {
      const sums = { ...survey, directories };
      changes.push(...(await repairUsage(sums, { snapshot, counters, setting, quotas, temporaryFolder })));
    }
    if (wanted.repair.includes("nlink")) changes.push(repairLinkCounts(survey.fileLinks, survey.directoryLinks));
    else for (const links of [survey.fileLinks, survey.directoryLinks]) links[Symbol.dispose]();
  }
  return changes.filter((change) => change !== undefined);
}

function progressOf(
  progress: Progress,
  names: readonly string[],
  tables: Snapshot["manifest"]["tables"],
): (records: number) => void {
  const total = tables.filter(({ name }) => names.includes(name)).reduce((sum, { records }) => sum + records, 0);
  let done = 0;
  return (records) => {
    done += records;
    progress.report({ phase: "plan", done, total, unit: "records" });
  };
}
