import type { Report } from "./finding.ts";
import type { RawLock, RawVolume } from "./raw-volume.ts";
import type { VolumeIndex } from "./volume-index.ts";

const PLOCK_RECORD_BYTES = 24;

/** Checks what stands beside the tree: open and deleted files, detached trees, sessions, locks (§1.3). */
export function checkSideRecords(volume: RawVolume, index: VolumeIndex, report: Report): void {
  const sessions = new Set(volume.sessions.map((session) => session.id));
  checkSustained(volume, index, sessions, report);
  checkDeletedFiles(volume, index, report);
  for (const { inode } of volume.detached) {
    const record = `detached node ${inode}`;
    if (!index.nodes.has(inode)) {
      report("detached-orphan", record, "does not exist");
    }
    if (index.namesOf.has(inode)) {
      report("detached-linked", record, "has a name: cleaning it up would delete what is in use");
    }
  }
  for (const session of volume.sessions) {
    if (session.info !== null && !isJson(session.info)) {
      report("session-info", `session ${session.id}`, "is not JSON");
    }
  }
  for (const lock of volume.locks) {
    checkLock(lock, index, sessions, report);
  }
}

function checkSustained(volume: RawVolume, index: VolumeIndex, sessions: ReadonlySet<bigint>, report: Report): void {
  const seen = new Set<string>();
  for (const { session, inode } of volume.sustained) {
    const record = `sustained ${session}/${inode}`;
    if (seen.has(record)) {
      report("sustained-duplicate", record, "exists more than once");
    }
    seen.add(record);
    if (!index.nodes.has(inode)) {
      report("sustained-orphan", record, "names a node that does not exist");
    }
    if (index.namesOf.has(inode)) {
      report("sustained-linked", record, "names a node that still has a name: closing it would delete it");
    }
    if (!sessions.has(session)) {
      report("sustained-session", record, "belongs to a session that does not exist: nothing will ever clean it up");
    }
  }
}

function checkDeletedFiles(volume: RawVolume, index: VolumeIndex, report: Report): void {
  const seen = new Set<bigint>();
  for (const { inode, length } of volume.deletedFiles) {
    const record = `deleted file ${inode}`;
    if (seen.has(inode)) {
      report("delfile-duplicate", record, "exists more than once");
    }
    seen.add(inode);
    if (index.nodes.has(inode)) {
      report("delfile-node", record, "is a node that exists: cleaning up would delete its contents");
    }
    if (length < 0n || inode <= 0n) {
      report("delfile-length", record, `has length ${length}`);
    }
  }
}

function checkLock(lock: RawLock, index: VolumeIndex, sessions: ReadonlySet<bigint>, report: Report): void {
  const record = `${lock.kind} ${lock.inode} of session ${lock.session}`;
  if (!index.nodes.has(lock.inode) || !sessions.has(lock.session)) {
    report("lock-orphan", record, "belongs to a node or a session that does not exist");
  }
  if (lock.kind === "flock" && lock.type !== "R" && lock.type !== "W") {
    report("lock-record", record, `is of type ${lock.type}`);
  }
  if (lock.records !== null && lock.records.length % PLOCK_RECORD_BYTES !== 0) {
    report("lock-record", record, `has ${lock.records.length} bytes, not a multiple of ${PLOCK_RECORD_BYTES}`);
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
