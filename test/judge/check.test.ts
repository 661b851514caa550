import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkVolume } from "./check.ts";
import type { Finding, FindingCode } from "./finding.ts";
import { FINDING_CODES, openFindingList } from "./finding.ts";
import { MUTATIONS } from "./mutations.ts";
import type { RawEdge, RawNode, RawVolume } from "./raw-volume.ts";
import { TRASH_INODE } from "./raw-volume.ts";

const SETTING = {
  Name: "small",
  UUID: "01234567-89ab-cdef-0123-456789abcdef",
  Storage: "file",
  Bucket: "bucket/",
  BlockSize: 4096,
  TrashDays: 1,
  DirStats: true,
};
const time = { seconds: 1_700_000_000, nanoseconds: 5 };

function node(inode: bigint, type: number, parent: bigint, more: Partial<RawNode> = {}): RawNode {
  const length = type === 2 ? 4096n : 0n;
  const numbers = { flags: 0, mode: 0o644, uid: 0, gid: 0, rdev: 0, accessAcl: 0, defaultAcl: 0, tier: 0 };
  const nlink = type === 2 ? 2 : 1;
  return { inode, type, ...numbers, atime: time, mtime: time, ctime: time, nlink, length, parent, ...more };
}

function edge(parent: bigint, name: string, inode: bigint, type: number): RawEdge {
  return { parent, name: Buffer.from(name), inode, type };
}

/** One slice: the whole of slice 7, 100 bytes. */
const slice = Buffer.from("000000000000000000000007000000640000000000000064", "hex");

/** A volume as an engine with parents records and without counts of 1 holds it: a file of one slice, a hard link, and a trash. */
const healthy: RawVolume = {
  setting: JSON.stringify(SETTING),
  counters: new Map([
    ["nextInode", 5n],
    ["nextChunk", 8n],
    ["usedSpace", 8192n],
    ["totalInodes", 2n],
  ]),
  requiredCounters: [],
  nodes: [
    node(1n, 2, 1n),
    node(TRASH_INODE, 2, 1n),
    node(3n, 1, 1n, { length: 100n, accessAcl: 1 }),
    node(4n, 1, 0n, { nlink: 3 }),
  ],
  edges: [edge(1n, "file", 3n, 1), edge(1n, "link", 4n, 1), edge(1n, "link 2", 4n, 1), edge(1n, "link 3", 4n, 1)],
  parents: [{ inode: 4n, parent: 1n, count: 3n }],
  chunks: [{ inode: 3n, index: 0n, slices: slice }],
  sliceRefs: [],
  sliceRefsComplete: false,
  delayedSlices: [],
  symlinks: [],
  xattrs: [],
  acls: [{ id: 1, owner: 6, group: 4, mask: 0xffff, other: 4, users: [], groups: [] }],
  nextAclId: 2n,
  dirStats: [{ inode: 1n, length: 100n, space: 16_384n, inodes: 4n }],
  quotas: [{ kind: "directory", key: 1n, maxSpace: -1n, maxInodes: 10n, usedSpace: 16_384n, usedInodes: 4n }],
  deletedFiles: [{ inode: 2n, length: 5n }],
  sustained: [],
  detached: [],
  sessions: [],
  locks: [],
};

function judge(volume: RawVolume, limitPerCode?: number): Finding[] {
  const { report, findings } = openFindingList(limitPerCode);
  checkVolume(volume, report);
  return findings();
}

/** Defects that SQL tables cannot hold, because they have keys, or that other engines alone can have. */
const DEFECTS: readonly (readonly [FindingCode, string, Partial<RawVolume>])[] = [
  ["node-duplicate", "a node exists twice", { nodes: [...healthy.nodes, healthy.nodes[2]] }],
  ["parents-record", "parents are not recorded", { parents: [] }],
  ["parents-record", "parents are counted wrongly", { parents: [{ inode: 4n, parent: 1n, count: 2n }] }],
  ["parents-record", "parents of nobody are recorded", { parents: [{ inode: 3n, parent: 9n, count: 1n }] }],
  ["counter-acl-id", "the next ACL id is in use", { nextAclId: 1n }],
  ["slice-ref-count", "a slice is counted twice", { sliceRefs: [{ id: 7n, size: 100n, refs: 2n }] }],
  [
    "slice-ref-missing",
    "a shared slice is not counted",
    { chunks: [...healthy.chunks, { inode: 4n, index: 0n, slices: slice }] },
  ],
  ["slice-ref-missing", "a slice lacks its count where all have one", { sliceRefsComplete: true }],
  [
    "slice-ref-duplicate",
    "a slice has two counts",
    { sliceRefs: [1n, 1n].map((refs) => ({ id: 7n, size: 100n, refs })) },
  ],
  ["acl-duplicate", "an ACL rule exists twice", { acls: [...healthy.acls, ...healthy.acls] }],
  [
    "sustained-duplicate",
    "a sustained inode is listed twice",
    { sustained: [1, 2].map(() => ({ session: 1n, inode: 3n })) },
  ],
  [
    "delfile-duplicate",
    "a deleted file is listed twice",
    { deletedFiles: [...healthy.deletedFiles, ...healthy.deletedFiles] },
  ],
  ["dir-stats-duplicate", "directory statistics exist twice", { dirStats: [...healthy.dirStats, ...healthy.dirStats] }],
  ["quota-duplicate", "a quota exists twice", { quotas: [...healthy.quotas, ...healthy.quotas] }],
];

/** What only the keys of a Redis can have wrong: servers.test.ts tries them on a real one. */
const triedOnRedis: readonly FindingCode[] = ["attr-form", "key-expires", "key-unknown"];

describe("the checks of any engine's records", () => {
  it("find nothing in a healthy volume", () => {
    assert.deepEqual(judge(healthy), []);
  });

  for (const [code, name, change] of DEFECTS) {
    it(`find that ${name}`, () => {
      const codes = judge({ ...healthy, ...change }).map((finding) => finding.code);
      assert.ok(codes.includes(code), codes.join(" "));
    });
  }

  it("keep the list of findings short", () => {
    const edges = Array.from({ length: 20 }, (_, at) => edge(1n, `lost ${at}`, 1000n, 1));
    const findings = judge({ ...healthy, edges: [...healthy.edges, ...edges] }, 5);
    assert.equal(findings.filter(({ code }) => code === "edge-node-missing").length, 5);
    const more = findings.find(({ code, record }) => code === "more-findings" && record === "edge-node-missing");
    assert.deepEqual(more?.severity, "error");
    assert.match(more.message, /^15 more/);
  });

  it("are each tried on a defect", () => {
    const triedHere = [...MUTATIONS.map(({ code }) => code), ...DEFECTS.map(([code]) => code)];
    const tried = new Set<string>([...triedHere, ...triedOnRedis]);
    const untried = Object.keys(FINDING_CODES).filter((code) => !tried.has(code) && code !== "more-findings");
    assert.deepEqual(untried, []);
  });
});
