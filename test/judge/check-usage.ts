import type { JudgedSetting } from "./check-setting.ts";
import type { Report } from "./finding.ts";
import type { RawQuota, RawVolume } from "./raw-volume.ts";
import { ROOT_INODE, TRASH_INODE, TYPE_DIRECTORY, TYPE_REGULAR, alignedSpace } from "./raw-volume.ts";
import type { VolumeIndex } from "./volume-index.ts";

interface Usage {
  length: bigint;
  space: bigint;
  inodes: bigint;
}

/** Checks directory statistics and quotas (§1.3). Clients flush usage late, so differences in the figures are no defect. */
export function checkUsage(volume: RawVolume, index: VolumeIndex, setting: JudgedSetting, report: Report): void {
  checkDirectoryStatistics(volume, index, setting, report);
  const seen = new Set<string>();
  for (const quota of volume.quotas) {
    const record = `${quota.kind} quota ${quota.key}`;
    if (seen.has(record)) {
      report("quota-duplicate", record, "exists more than once");
    }
    seen.add(record);
    checkLimits(quota, record, report);
    if (quota.kind === "directory") {
      checkDirectoryQuota(quota, record, index, report);
    } else {
      checkOwnerQuota(quota, record, volume, report);
    }
  }
}

function checkDirectoryStatistics(volume: RawVolume, index: VolumeIndex, setting: JudgedSetting, report: Report): void {
  const known = new Set<bigint>();
  for (const stat of volume.dirStats) {
    const record = `directory statistics ${stat.inode}`;
    if (known.has(stat.inode)) {
      report("dir-stats-duplicate", record, "exist more than once");
    }
    known.add(stat.inode);
    if (index.nodes.get(stat.inode)?.type !== TYPE_DIRECTORY) {
      report("dir-stats-orphan", record, "belong to no directory");
      continue;
    }
    const real = directUsage(stat.inode, index);
    if (stat.length !== real.length || stat.space !== real.space || stat.inodes !== real.inodes) {
      report("dir-stats-wrong", record, `say ${printUsage(stat)}, the entries are ${printUsage(real)}`);
    }
  }
  if (!setting.dirStats) {
    return;
  }
  for (const node of volume.nodes) {
    if (node.type === TYPE_DIRECTORY && node.inode < TRASH_INODE && !known.has(node.inode)) {
      report("dir-stats-missing", `directory statistics ${node.inode}`, "do not exist");
    }
  }
}

/** The usage of the direct entries of a directory: lengths count for files only. */
function directUsage(directory: bigint, index: VolumeIndex): Usage {
  const usage: Usage = { length: 0n, space: 0n, inodes: 0n };
  for (const edge of index.entriesOf.get(directory) ?? []) {
    const node = index.nodes.get(edge.inode);
    const length = node?.type === TYPE_REGULAR ? node.length : 0n;
    usage.length += length;
    usage.space += alignedSpace(length);
    usage.inodes += 1n;
  }
  return usage;
}

function checkLimits(quota: RawQuota, record: string, report: Report): void {
  if (quota.maxSpace < -1n || quota.maxInodes < -1n) {
    report("quota-range", record, `limits space to ${quota.maxSpace} and inodes to ${quota.maxInodes}`);
  }
}

function checkDirectoryQuota(quota: RawQuota, record: string, index: VolumeIndex, report: Report): void {
  if (index.nodes.get(quota.key)?.type !== TYPE_DIRECTORY) {
    report("quota-orphan", record, "belongs to no directory");
    return;
  }
  const total: Usage = { length: 0n, space: 0n, inodes: 0n };
  const waiting = [quota.key];
  const seen = new Set<bigint>();
  for (let inode = waiting.pop(); inode !== undefined; inode = waiting.pop()) {
    if (seen.has(inode)) {
      continue;
    }
    seen.add(inode);
    const usage = directUsage(inode, index);
    total.space += usage.space;
    total.inodes += usage.inodes;
    for (const edge of index.entriesOf.get(inode) ?? []) {
      if (edge.type === TYPE_DIRECTORY) {
        waiting.push(edge.inode);
      }
    }
  }
  compareUsage(quota, total, record, report);
}

function checkOwnerQuota(quota: RawQuota, record: string, volume: RawVolume, report: Report): void {
  const total: Usage = { length: 0n, space: 0n, inodes: 0n };
  for (const node of volume.nodes) {
    const owner = quota.kind === "user" ? node.uid : node.gid;
    if (BigInt(owner) === quota.key && node.inode !== ROOT_INODE && node.inode < TRASH_INODE) {
      total.space += alignedSpace(node.type === TYPE_REGULAR ? node.length : 0n);
      total.inodes += 1n;
    }
  }
  compareUsage(quota, total, record, report);
}

function compareUsage(quota: RawQuota, real: Usage, record: string, report: Report): void {
  if (quota.usedSpace !== real.space || quota.usedInodes !== real.inodes) {
    const said = `${quota.usedSpace} bytes and ${quota.usedInodes} inodes`;
    report("quota-usage", record, `says ${said} are used, it is ${real.space} bytes and ${real.inodes} inodes`);
  }
}

function printUsage(usage: { length: bigint; space: bigint; inodes: bigint }): string {
  return `length ${usage.length}, space ${usage.space}, inodes ${usage.inodes}`;
}
