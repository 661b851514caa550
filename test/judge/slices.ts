import { DELAYED_RECORD_BYTES, SLICE_RECORD_BYTES } from "./raw-volume.ts";

/** One slice record of a chunk (§1.3): `length` bytes from `offset` of slice `id` lie at `position` in the chunk; id 0 is a hole. */
export interface Slice {
  readonly position: number;
  readonly id: bigint;
  readonly size: number;
  readonly offset: number;
  readonly length: number;
}

/** Reads the whole records of a chunk's bytes; what is left of a cut record is not read. */
export function* readSlices(bytes: Uint8Array): Generator<Slice> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + SLICE_RECORD_BYTES <= bytes.length; at += SLICE_RECORD_BYTES) {
    yield {
      position: view.getUint32(at),
      id: view.getBigUint64(at + 4),
      size: view.getUint32(at + 12),
      offset: view.getUint32(at + 16),
      length: view.getUint32(at + 20),
    };
  }
}

/** Reads the whole records of delayed slices. */
export function* readDelayedSlices(bytes: Uint8Array): Generator<{ id: bigint; size: number }> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + DELAYED_RECORD_BYTES <= bytes.length; at += DELAYED_RECORD_BYTES) {
    yield { id: view.getBigUint64(at), size: view.getUint32(at + 8) };
  }
}
