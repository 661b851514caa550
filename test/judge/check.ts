import { checkAccessControl } from "./check-access-control.ts";
import { checkChunks } from "./check-chunks.ts";
import { checkCounters } from "./check-counters.ts";
import { checkNodes } from "./check-nodes.ts";
import { checkSetting } from "./check-setting.ts";
import { checkSideRecords } from "./check-side-records.ts";
import { checkTree } from "./check-tree.ts";
import { checkUsage } from "./check-usage.ts";
import type { Report } from "./finding.ts";
import type { RawVolume } from "./raw-volume.ts";
import { indexVolume } from "./volume-index.ts";

/**
 * Checks the raw records of one volume, whichever engine they came from, against the rules of the reference, and reports what breaks them.
 * Nothing here is taken from Cairn's own code: a defect that Cairn's reader and writer share must not hide from its judge.
 */
export function checkVolume(volume: RawVolume, report: Report): void {
  const index = indexVolume(volume, report);
  const setting = checkSetting(volume, report);
  checkNodes(volume, index, setting, report);
  checkTree(volume, index, report);
  checkChunks(volume, index, report);
  checkAccessControl(volume, report);
  checkSideRecords(volume, index, report);
  checkCounters(volume, report);
  checkUsage(volume, index, setting, report);
}
