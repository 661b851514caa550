import type { Report } from "./finding.ts";
import { printBytes } from "./finding.ts";
import type { RawEdge, RawNode, RawVolume } from "./raw-volume.ts";

/** What most checks look up: built once, with the findings that arise from building it (doubled inodes and names). */
export interface VolumeIndex {
  readonly nodes: ReadonlyMap<bigint, RawNode>;
  /** The names of each inode. */
  readonly namesOf: ReadonlyMap<bigint, readonly RawEdge[]>;
  /** The names in each directory. */
  readonly entriesOf: ReadonlyMap<bigint, readonly RawEdge[]>;
  /** Inodes that may have no name: unlinked but open in a session. */
  readonly sustained: ReadonlySet<bigint>;
  /** Inodes that may have no name: roots of trees that are being cloned or removed. */
  readonly detached: ReadonlySet<bigint>;
  /** Deleted files whose chunks are still there. */
  readonly deleted: ReadonlyMap<bigint, bigint>;
}

/** Indexes a volume by inode and by directory. */
export function indexVolume(volume: RawVolume, report: Report): VolumeIndex {
  const nodes = new Map<bigint, RawNode>();
  for (const node of volume.nodes) {
    if (nodes.has(node.inode)) {
      report("node-duplicate", `node ${node.inode}`, "there is more than one node of this number");
    } else {
      nodes.set(node.inode, node);
    }
  }
  const namesOf = new Map<bigint, RawEdge[]>();
  const entriesOf = new Map<bigint, RawEdge[]>();
  for (const edge of volume.edges) {
    append(namesOf, edge.inode, edge);
    append(entriesOf, edge.parent, edge);
  }
  for (const entries of entriesOf.values()) {
    reportDoubledNames(entries, report);
  }
  return {
    nodes,
    namesOf,
    entriesOf,
    sustained: new Set(volume.sustained.map((record) => record.inode)),
    detached: new Set(volume.detached.map((record) => record.inode)),
    deleted: new Map(volume.deletedFiles.map((record) => [record.inode, record.length])),
  };
}

function append(map: Map<bigint, RawEdge[]>, key: bigint, edge: RawEdge): void {
  const list = map.get(key);
  if (list === undefined) {
    map.set(key, [edge]);
  } else {
    list.push(edge);
  }
}

function reportDoubledNames(entries: readonly RawEdge[], report: Report): void {
  const names = new Set<string>();
  for (const edge of entries) {
    const name = Buffer.from(edge.name).toString("latin1");
    if (names.has(name)) {
      report("edge-duplicate", edgeRecord(edge), "the directory holds this name more than once");
    }
    names.add(name);
  }
}

/** How an edge is named in findings: `edge PARENT/NAME`. */
export function edgeRecord(edge: RawEdge): string {
  return `edge ${edge.parent}/${printBytes(edge.name)}`;
}
