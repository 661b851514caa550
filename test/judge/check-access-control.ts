import type { Report } from "./finding.ts";
import type { RawAcl, RawAclEntry, RawVolume } from "./raw-volume.ts";
import { TYPE_DIRECTORY } from "./raw-volume.ts";

const UNSET = 0xffff;
const PERMISSIONS_MAX = 7;

/** Checks ACL rules and the nodes that refer to them (§1.3). */
export function checkAccessControl(volume: RawVolume, report: Report): void {
  const rules = new Set<number>();
  for (const rule of volume.acls) {
    const record = `acl ${rule.id}`;
    if (rules.has(rule.id)) {
      report("acl-duplicate", record, "exists more than once");
    }
    rules.add(rule.id);
    checkRule(rule, record, report);
  }
  for (const node of volume.nodes) {
    for (const id of [node.accessAcl, node.defaultAcl]) {
      if (id !== 0 && !rules.has(id)) {
        report("acl-missing", `node ${node.inode}`, `refers to ACL rule ${id}, which does not exist`);
      }
    }
    if (node.defaultAcl !== 0 && node.type !== TYPE_DIRECTORY) {
      report("acl-default", `node ${node.inode}`, `is of type ${node.type} and has the default ACL ${node.defaultAcl}`);
    }
  }
}

function checkRule(rule: RawAcl, record: string, report: Report): void {
  if (!(rule.id > 0)) {
    report("acl-rule", record, "has no id above 0");
  }
  for (const field of ["owner", "group", "mask", "other"] as const) {
    const value = rule[field];
    if (value !== UNSET && !(value >= 0 && value <= PERMISSIONS_MAX)) {
      report("acl-rule", record, `gives ${field} the permissions ${value}`);
    }
  }
  checkEntries("user", rule.users, record, report);
  checkEntries("group", rule.groups, record, report);
  if (rule.mask === UNSET && rule.users.length + rule.groups.length > 0) {
    report("acl-rule", record, "names users or groups and has no mask");
  }
}

function checkEntries(kind: string, entries: readonly RawAclEntry[], record: string, report: Report): void {
  const named = new Set<number>();
  for (const { id, permissions } of entries) {
    if (permissions < 0 || permissions > PERMISSIONS_MAX) {
      report("acl-rule", record, `gives ${kind} ${id} the permissions ${permissions}`);
    }
    if (named.has(id)) {
      report("acl-rule", record, `names ${kind} ${id} twice`);
    }
    named.add(id);
  }
}
