import { createHash } from "node:crypto";
import { CairnError, messageOf } from "../model/errors.ts";
import type { Consistency, Facts, Finding } from "../model/ports.ts";
import { decodeFrame, encodeFrame } from "./frame.ts";
import type { Extreme } from "./extremes.ts";
import { wrongManifestField } from "./manifest-shape.ts";

/** Version of the repository's objects; a reader refuses a greater one by name. */
export const formatVersion = 1;

/** The top of one index tree: the bytes of an index page (base64), whose entries are pages (`levels` 0) or index pages. */
export interface IndexTop {
  levels: number;
  pages: number;
  top: string;
}

export interface TableManifest {
  name: string;
  records: number;
  /** Hash of the table, as it goes into the root; hex. */
  hash: string;
  /** Bytes of its pages before compression. */
  rawBytes: number;
  index: IndexTop;
  extremes: Record<string, Extreme>;
}

/** The part that can be read without the rest, and stays readable in an encrypted repository. */
export interface ManifestHeader {
  format: number;
  /** Features that a reader must know. */
  features: string[];
  /** 32 hex digits. */
  id: string;
  kind: string;
  /** Id of the volume: the UUID that its own system gave it. */
  volume: string;
  /** ISO 8601, UTC: when the view was opened. */
  time: string;
}

/** All that a snapshot says of itself. */
export interface Manifest extends ManifestHeader {
  schemaVersion: number;
  identityVersion: number;
  /** Hex. */
  root: string;
  volumeName: string;
  system: string;
  engine: { name: string; version: string };
  tool: { name: string; version: string };
  started: string;
  ended: string;
  consistency: Consistency & { position: Facts };
  tables: TableManifest[];
  pathIndex: IndexTop | null;
  largeValues: IndexTop | null;
  /** Bytes of all pages before compression. */
  logicalBytes: number;
  /** Bytes that this backup added to the repository, without the manifest. */
  storedBytes: number;
  /** Id of the snapshot on whose pages this one was built, if any. */
  parent: string | null;
  /** Packs that this backup wrote. */
  packs: string[];
  note: string;
  tags: Record<string, string>;
  facts: Facts;
  findings: Finding[];
  omitted: Record<string, number>;
  /** Only with `--keep-secrets`. */
  secrets: Record<string, string>;
}

const magic = Buffer.from("CAIRNSN1", "latin1");
/** A manifest is small at any size of volume; this bounds what a damaged one may ask for. */
const manifestBytesMax = 64 << 20;

/** magic, header length u32, header JSON, body length u32, body frame length u32, body frame (JSON), SHA-256 of all before. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const { format, features, id, kind, volume, time, ...body } = manifest;
  const header = Buffer.from(JSON.stringify({ format, features, id, kind, volume, time }));
  const raw = Buffer.from(JSON.stringify(body));
  const frame = encodeFrame(raw);
  const lengths = Buffer.alloc(12);
  lengths.writeUInt32LE(header.length, 0);
  lengths.writeUInt32LE(raw.length, 4);
  lengths.writeUInt32LE(frame.length, 8);
  const content = Buffer.concat([magic, lengths.subarray(0, 4), header, lengths.subarray(4), frame]);
  return Buffer.concat([content, createHash("sha256").update(content).digest()]);
}

/** Throws `manifest-damaged`, or `format-unknown` with the version or feature that this Cairn does not know. */
export function decodeManifest(bytes: Uint8Array, name: string): Manifest {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < magic.length + 12 + 32 || !buffer.subarray(0, magic.length).equals(magic)) {
    throw damaged(name, "it does not begin as a manifest does");
  }
  const headerEnd = 12 + buffer.readUInt32LE(8);
  if (headerEnd + 8 + 32 > buffer.length) throw damaged(name, "it ends too early");
  const header = parseJson(buffer.subarray(12, headerEnd), name) as ManifestHeader;
  checkFormat(header, `snapshot ${name}`);
  if (!createHash("sha256").update(buffer.subarray(0, -32)).digest().equals(buffer.subarray(-32))) {
    throw damaged(name, "its content does not match its hash");
  }
  const rawLength = buffer.readUInt32LE(headerEnd);
  const frameEnd = headerEnd + 8 + buffer.readUInt32LE(headerEnd + 4);
  if (frameEnd + 32 !== buffer.length || rawLength === 0 || rawLength > manifestBytesMax)
    throw damaged(name, "its lengths do not add up");
  const frame = buffer.subarray(headerEnd + 8, frameEnd);
  const body = decodeFrame(frame, `the manifest of snapshot ${name}`, rawLength);
  const manifest = { ...(parseJson(body, name) as Manifest), ...header };
  const wrong = wrongManifestField({ ...manifest });
  if (wrong !== undefined) throw damaged(name, `its field "${wrong}" is missing or not what it should be`);
  return manifest;
}

function parseJson(bytes: Uint8Array, name: string): unknown {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
    if (typeof value === "object" && value !== null) return value;
  } catch (error) {
    throw damaged(name, messageOf(error));
  }
  throw damaged(name, "it is no object");
}

/** Refuses what a newer Cairn wrote, naming the version or feature. */
export function checkFormat(header: { format: unknown; features: unknown }, what: string): void {
  const next = "use a version of Cairn that knows it: the newest release reads every format version";
  const options = { exit: "repositoryDamaged", unharmed: "nothing was changed", next } as const;
  if (header.format !== formatVersion) {
    const version = typeof header.format === "number" ? String(header.format) : "that is not given";
    throw new CairnError(
      "format-unknown",
      `${what} has format version ${version}; this Cairn reads version ${formatVersion}`,
      options,
    );
  }
  if (!Array.isArray(header.features))
    throw new CairnError("manifest-damaged", `${what} has no list of features`, options);
  for (const feature of header.features as unknown[]) {
    throw new CairnError(
      "format-unknown",
      `${what} needs the feature "${String(feature)}", which this Cairn does not know`,
      options,
    );
  }
}

function damaged(name: string, reason: string): CairnError {
  return new CairnError("manifest-damaged", `the manifest of snapshot ${name} is damaged: ${reason}`, {
    exit: "repositoryDamaged",
    unharmed: "other snapshots are not affected",
    next: "use another snapshot of this volume",
    details: { snapshot: name },
  });
}
