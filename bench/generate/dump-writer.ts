import { closeSync, openSync, writeSync } from "node:fs";

/**
 * Writes JuiceFS' binary dump format (`juicefs dump --binary`, since 1.3): segments of protobuf batches, an end mark, a footer.
 * The layout is that of `pkg/meta/backup.go` and `pkg/meta/pb/backup.proto` at v1.4.1. Inode numbers are doubles: all that occur
 * here, the trash's 0x7FFFFFFF10000000 too, are exact in one.
 */
export interface DumpWriter {
  format(json: string): void;
  counter(key: string, value: number): void;
  /** `attributes`: what `writeAttributes` made. */
  node(inode: number, attributes: Uint8Array): void;
  edge(parent: number, inode: number, name: string, type: number): void;
  /** `slices`: records of 24 bytes, of which the first `length` bytes are taken. */
  chunk(inode: number, index: number, slices: Buffer, length: number): void;
  sliceRef(id: number, size: number, refs: number): void;
  symlink(inode: number, target: string): void;
  xattr(inode: number, name: string, value: Uint8Array): void;
  parent(inode: number, parent: number, count: number): void;
  dirStat(inode: number, dataLength: number, usedSpace: number, usedInodes: number): void;
  /** Writes what is buffered and the footer; gives the number of records by segment type. */
  close(): DumpSummary;
}

export interface DumpSummary {
  bytes: number;
  records: Record<string, number>;
}

const magic = 0x747083;
const recordsPerSegment = 10_000;
const segmentBytesMax = 4 << 20;
// The longest record by far: a chunk with a few hundred slices.
const recordBytesMax = 64 << 10;

/** Segment types and the field of `Batch` that holds their records. */
const segments = {
  format: { type: 1, field: 0 },
  counter: { type: 2, field: 13 },
  node: { type: 3, field: 1 },
  edge: { type: 4, field: 2 },
  chunk: { type: 5, field: 3 },
  sliceRef: { type: 6, field: 4 },
  symlink: { type: 7, field: 7 },
  xattr: { type: 10, field: 5 },
  stat: { type: 12, field: 10 },
  parent: { type: 14, field: 6 },
} as const;

type SegmentName = keyof typeof segments;

interface Segment {
  name: SegmentName;
  buffer: Buffer;
  length: number;
  records: number;
  offsets: number[];
  recordsTotal: number;
}

export function openDumpWriter(path: string): DumpWriter {
  const file = openSync(path, "w");
  let position = 0;
  const opened = new Map<SegmentName, Segment>();
  const record = Buffer.alloc(recordBytesMax);
  let at = 0;

  function write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      done += writeSync(file, bytes, done);
    }
    position += bytes.length;
  }

  function segmentOf(name: SegmentName): Segment {
    let segment = opened.get(name);
    if (segment === undefined) {
      segment = {
        name,
        buffer: Buffer.alloc(segmentBytesMax),
        length: 0,
        records: 0,
        offsets: [],
        recordsTotal: 0,
      };
      opened.set(name, segment);
    }
    return segment;
  }

  function flush(segment: Segment): void {
    if (segment.records === 0) {
      return;
    }
    const head = Buffer.alloc(12);
    head.writeUInt32BE(segments[segment.name].type, 0);
    head.writeBigUInt64BE(BigInt(segment.length), 4);
    segment.offsets.push(position);
    segment.recordsTotal += segment.records;
    write(head);
    write(segment.buffer.subarray(0, segment.length));
    segment.length = 0;
    segment.records = 0;
  }

  function number(field: number, value: number): void {
    // proto3 leaves zero out.
    if (value !== 0) {
      record[at++] = field << 3;
      at = writeVarint(record, at, value);
    }
  }

  function bytes(field: number, value: Uint8Array, length = value.length): void {
    if (length > 0) {
      record[at++] = (field << 3) | 2;
      at = writeVarint(record, at, length);
      record.set(length === value.length ? value : value.subarray(0, length), at);
      at += length;
    }
  }

  function text(field: number, value: string): void {
    record[at++] = (field << 3) | 2;
    const length = Buffer.byteLength(value);
    at = writeVarint(record, at, length);
    record.write(value, at, "utf8");
    at += length;
  }

  function end(name: SegmentName): void {
    const segment = segmentOf(name);
    segment.buffer[segment.length++] = (segments[name].field << 3) | 2;
    segment.length = writeVarint(segment.buffer, segment.length, at);
    record.copy(segment.buffer, segment.length, 0, at);
    segment.length += at;
    segment.records++;
    at = 0;
    if (segment.records === recordsPerSegment || segment.length > segmentBytesMax - recordBytesMax - 16) {
      flush(segment);
    }
  }

  return {
    format(json) {
      const segment = segmentOf("format");
      bytes(1, Buffer.from(json));
      record.copy(segment.buffer, 0, 0, at);
      segment.length = at;
      segment.records = 1;
      at = 0;
      flush(segment);
    },
    counter(key, value) {
      text(1, key);
      number(2, value);
      end("counter");
    },
    node(inode, attributes) {
      number(1, inode);
      bytes(2, attributes);
      end("node");
    },
    edge(parent, inode, name, type) {
      number(1, parent);
      number(2, inode);
      text(3, name);
      number(4, type);
      end("edge");
    },
    chunk(inode, index, slices, length) {
      number(1, inode);
      number(2, index);
      bytes(3, slices, length);
      end("chunk");
    },
    sliceRef(id, size, refs) {
      number(1, id);
      number(2, size);
      number(3, refs);
      end("sliceRef");
    },
    symlink(inode, target) {
      number(1, inode);
      text(2, target);
      end("symlink");
    },
    xattr(inode, name, value) {
      number(1, inode);
      text(2, name);
      bytes(3, value);
      end("xattr");
    },
    parent(inode, parent, count) {
      number(1, inode);
      number(2, parent);
      number(3, count);
      end("parent");
    },
    dirStat(inode, dataLength, usedSpace, usedInodes) {
      number(1, inode);
      number(2, dataLength);
      number(3, usedSpace);
      number(4, usedInodes);
      end("stat");
    },
    close() {
      for (const segment of opened.values()) {
        flush(segment);
      }
      const endMark = Buffer.alloc(4);
      endMark.writeUInt32BE(magic);
      write(endMark);
      const footer = encodeFooter([...opened.values()]);
      write(footer);
      const footerLength = Buffer.alloc(8);
      footerLength.writeBigUInt64BE(BigInt(footer.length));
      write(footerLength);
      closeSync(file);
      return {
        bytes: position,
        records: Object.fromEntries([...opened.values()].map((segment) => [segment.name, segment.recordsTotal])),
      };
    },
  };
}

export interface Attributes {
  type: number;
  mode: number;
  uid: number;
  gid: number;
  /** Times are whole seconds and nanoseconds. */
  atime: number;
  atimeNs: number;
  mtime: number;
  mtimeNs: number;
  ctime: number;
  ctimeNs: number;
  nlink: number;
  length: number;
  parent: number;
}

export const attributeBytes = 72;

/** The 72 bytes of `Attr.Marshal` (`pkg/meta/interface.go`) of a node without flags, ACL and tier; the last byte is padding. */
export function writeAttributes(out: Buffer, node: Attributes): void {
  out[0] = 0;
  out.writeUInt16BE((node.type << 12) | node.mode, 1);
  out.writeUInt32BE(node.uid, 3);
  out.writeUInt32BE(node.gid, 7);
  writeUInt64(out, node.atime, 11);
  out.writeUInt32BE(node.atimeNs, 19);
  writeUInt64(out, node.mtime, 23);
  out.writeUInt32BE(node.mtimeNs, 31);
  writeUInt64(out, node.ctime, 35);
  out.writeUInt32BE(node.ctimeNs, 43);
  out.writeUInt32BE(node.nlink, 47);
  writeUInt64(out, node.length, 51);
  out.writeUInt32BE(0, 59);
  writeUInt64(out, node.parent, 63);
  out[71] = 0;
}

export const sliceBytes = 24;

/** One slice record of a chunk at `at` (`pkg/meta/slice.go`). */
export function writeSlice(
  out: Buffer,
  at: number,
  pos: number,
  id: number,
  size: number,
  off: number,
  len: number,
): void {
  out.writeUInt32BE(pos, at);
  writeUInt64(out, id, at + 4);
  out.writeUInt32BE(size, at + 12);
  out.writeUInt32BE(off, at + 16);
  out.writeUInt32BE(len, at + 20);
}

function writeUInt64(out: Buffer, value: number, at: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  out.writeUInt32BE(high, at);
  out.writeUInt32BE(value - high * 0x1_0000_0000, at + 4);
}

// Divisions by 128 are exact for every double, so this also holds for the trash's inode above 2^53.
function writeVarint(out: Buffer, at: number, value: number): number {
  let rest = value;
  while (rest >= 0x8000_0000) {
    out[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest >= 0x80) {
    out[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  out[at++] = rest;
  return at;
}

function encodeFooter(written: readonly Segment[]): Buffer {
  const parts: Buffer[] = [field(1, magic), field(2, 1)];
  for (const segment of written) {
    const offsets = Buffer.concat(segment.offsets.map((offset) => varint(offset)));
    const info = Buffer.concat([lengthDelimited(1, offsets), field(2, segment.recordsTotal)]);
    parts.push(
      lengthDelimited(3, Buffer.concat([lengthDelimited(1, Buffer.from(segment.name)), lengthDelimited(2, info)])),
    );
  }
  return Buffer.concat(parts);
}

function varint(value: number): Buffer {
  const out = Buffer.alloc(10);
  return out.subarray(0, writeVarint(out, 0, value));
}

function field(number: number, value: number): Buffer {
  return Buffer.concat([Buffer.of(number << 3), varint(value)]);
}

function lengthDelimited(number: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.of((number << 3) | 2), varint(value.length), value]);
}
