import type { Report } from "./finding.ts";
import type { RawChunk, RawVolume } from "./raw-volume.ts";
import { CHUNK_BYTES, DELAYED_RECORD_BYTES, SLICE_RECORD_BYTES, TYPE_REGULAR } from "./raw-volume.ts";
import { readDelayedSlices, readSlices } from "./slices.ts";
import type { VolumeIndex } from "./volume-index.ts";

const U32_MAX = 0xffff_ffffn;

/** How often a slice is named, and with which size. */
interface SliceUse {
  readonly size: number;
  count: bigint;
}

/** Checks chunks, their slice records, delayed slices and reference counts (§1.3). */
export function checkChunks(volume: RawVolume, index: VolumeIndex, report: Report): void {
  const uses = new Map<bigint, SliceUse>();
  const seen = new Set<string>();
  for (const chunk of volume.chunks) {
    const record = `chunk ${chunk.inode}/${chunk.index}`;
    if (seen.has(record)) {
      report("chunk-duplicate", record, "exists more than once");
    }
    seen.add(record);
    checkPlace(chunk, record, index, report);
    checkSlices(chunk, record, uses, report);
  }
  for (const { key, slices } of volume.delayedSlices) {
    checkDelayed(`delslices ${key}`, slices, uses, report);
  }
  checkReferences(volume, uses, report);
}

function checkPlace(chunk: RawChunk, record: string, index: VolumeIndex, report: Report): void {
  if (chunk.index < 0n || chunk.index > U32_MAX) {
    report("chunk-index", record, `has index ${chunk.index}`);
  }
  const node = index.nodes.get(chunk.inode);
  const length = node?.length ?? index.deleted.get(chunk.inode);
  if (length === undefined) {
    report("chunk-orphan", record, "belongs to no node and to no deleted file");
    return;
  }
  if (node !== undefined && node.type !== TYPE_REGULAR) {
    report("chunk-not-file", record, `belongs to a node of type ${node.type}`);
  } else if (chunk.index * BigInt(CHUNK_BYTES) >= length && chunk.slices.length > 0) {
    report("chunk-beyond-length", record, `lies beyond the length ${length} of its file`);
  }
}

function checkSlices(chunk: RawChunk, record: string, uses: Map<bigint, SliceUse>, report: Report): void {
  const bytes = chunk.slices;
  if (bytes.length === 0) {
    report("chunk-empty", record, "has no slices");
  }
  if (bytes.length % SLICE_RECORD_BYTES !== 0) {
    report("slice-record", record, `has ${bytes.length} bytes of slices, not a multiple of ${SLICE_RECORD_BYTES}`);
  }
  let number = 0;
  for (const slice of readSlices(bytes)) {
    const name = `${record} slice ${number++} (id ${slice.id})`;
    if (slice.position + slice.length > CHUNK_BYTES) {
      report(
        "slice-position",
        name,
        `ends at ${slice.position + slice.length}, beyond the chunk's ${CHUNK_BYTES} bytes`,
      );
    }
    if (slice.length === 0) {
      report("slice-empty", name, "has no length");
    }
    if (slice.id === 0n) {
      if (slice.size !== 0 || slice.offset !== 0) {
        report("slice-hole", name, `is a hole of size ${slice.size} and offset ${slice.offset}`);
      }
      continue;
    }
    if (slice.offset + slice.length > slice.size) {
      report("slice-window", name, `uses ${slice.offset} to ${slice.offset + slice.length} of ${slice.size} bytes`);
    }
    use(uses, slice.id, slice.size, name, report);
  }
}

function checkDelayed(record: string, bytes: Uint8Array, uses: Map<bigint, SliceUse>, report: Report): void {
  if (bytes.length % DELAYED_RECORD_BYTES !== 0 || bytes.length === 0) {
    report("delslices-record", record, `has ${bytes.length} bytes, not a multiple of ${DELAYED_RECORD_BYTES}`);
  }
  for (const { id, size } of readDelayedSlices(bytes)) {
    if (id === 0n) {
      report("delslices-record", record, "names slice 0, which is a hole");
    } else {
      use(uses, id, size, record, report);
    }
  }
}

function use(uses: Map<bigint, SliceUse>, id: bigint, size: number, record: string, report: Report): void {
  const known = uses.get(id);
  if (known === undefined) {
    uses.set(id, { size, count: 1n });
    return;
  }
  known.count += 1n;
  if (known.size !== size) {
    report("slice-size", record, `gives slice ${id} the size ${size}, another record ${known.size}`);
  }
}

/** The real count of a slice is the number of chunk and delayed records that name it; a count of 0 or less waits for the deletion. */
function checkReferences(volume: RawVolume, uses: ReadonlyMap<bigint, SliceUse>, report: Report): void {
  const counted = new Set<string>();
  for (const { id, size, refs } of volume.sliceRefs) {
    const record = `slice reference ${id}/${size}`;
    const key = `${id}/${size}`;
    if (counted.has(key)) {
      report("slice-ref-duplicate", record, "exists more than once");
    }
    counted.add(key);
    const known = uses.get(id);
    // JuiceFS' own load counts holes, which harms nobody.
    if (id === 0n) {
      continue;
    }
    if (known === undefined || BigInt(known.size) !== size) {
      if (refs > 0n) {
        report("slice-ref-orphan", record, `counts ${refs} references, no record names this slice`);
      } else {
        report("slice-ref-pending", record, "waits for the deletion of its blocks");
      }
    } else if (known.count !== refs) {
      report("slice-ref-count", record, `counts ${refs} references, there are ${known.count}`);
    }
  }
  for (const [id, { size, count }] of uses) {
    if (!counted.has(`${id}/${size}`) && (volume.sliceRefsComplete || count !== 1n)) {
      report("slice-ref-missing", `slice reference ${id}/${size}`, `does not exist, there are ${count} references`);
    }
  }
}
