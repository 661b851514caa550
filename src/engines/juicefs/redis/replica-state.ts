import { CairnError } from "../../../model/errors.ts";
import type { SiteWarning } from "./connect.ts";

type Info = ReadonlyMap<string, string>;

/** Seconds without a word of the master, or bytes received and not applied, above which a replica is called late. */
const silentSecondsMax = 15;
const unappliedBytesMax = 16 << 20;

export function isReplica(info: Info): boolean {
  return info.get("role") === "slave";
}

/** Throws `replica-not-linked`: what such a replica holds may be of any age, or half loaded. */
export function requireLinked(info: Info, address: string): void {
  const isSyncing = info.get("master_sync_in_progress") === "1";
  if (info.get("master_link_status") === "up" && !isSyncing) return;
  const why = isSyncing ? "it is being filled by its master" : "its link to the master is down";
  throw new CairnError("replica-not-linked", `Redis at ${address} is a replica that is not in step: ${why}`, {
    exit: "sourceUnreachable",
    unharmed: "nothing was read or written",
    next: "wait until master_link_status in its INFO is up, or read from the master",
  });
}

export function lagWarnings(info: Info, address: string): SiteWarning[] {
  if (!isReplica(info)) return [];
  const silent = Number(info.get("master_last_io_seconds_ago") ?? 0);
  const unapplied = Number(info.get("slave_read_repl_offset") ?? 0) - Number(info.get("slave_repl_offset") ?? 0);
  if (silent > silentSecondsMax) {
    const message = `the replica at ${address} has heard nothing of its master for ${silent} s: the backup may be as old`;
    return [{ code: "replica-lags", message }];
  }
  if (unapplied <= unappliedBytesMax) return [];
  const message = `the replica at ${address} has ${Math.round(unapplied / 1e6)} MB of changes that it has not applied yet`;
  return [{ code: "replica-lags", message }];
}

/** Servers that follow one another have one replication id. `address`: the replica's, for messages. Throws `replica-of-other`; warns of a replica that is far behind. */
export function requireSameHistory(master: Info, replica: Info, address: string): SiteWarning[] {
  const masterIds = [master.get("master_replid"), master.get("master_replid2")];
  const replicaId = replica.get("master_replid");
  if (replicaId === undefined || masterIds[0] === undefined) {
    const message = "whether the replica follows the volume's own server was not checked: INFO is not allowed";
    return [{ code: "replica-unchecked", message }];
  }
  if (!masterIds.includes(replicaId)) {
    throw new CairnError(
      "replica-of-other",
      `the replica at ${address} does not follow the server of the metadata URL`,
      {
        exit: "sourceUnreachable",
        unharmed: "nothing was read or written",
        next: "name a replica of that server (INFO replication on it lists them), or give the replica's own master as the metadata URL",
      },
    );
  }
  const behind = Number(master.get("master_repl_offset") ?? 0) - Number(replica.get("slave_repl_offset") ?? 0);
  if (!(behind > unappliedBytesMax)) return [];
  return [
    { code: "replica-lags", message: `the replica is ${Math.round(behind / 1e6)} MB of changes behind its master` },
  ];
}
