import { closeSync, fsyncSync } from "node:fs";
import { CairnError } from "../../../model/errors.ts";
import { Crc64 } from "../../../protocols/redis/crc64.ts";
import { rdbWriter } from "../../../protocols/redis/rdb-writer.ts";
import { openRdbServer } from "../../../protocols/redis/serve-rdb.ts";
import type { ServeOptions } from "../../../protocols/redis/serve-rdb.ts";
import { openNewFile, readAll, SpillOutput, writeAll } from "../../../protocols/redis/spill-output.ts";
import type { Fill } from "./fill.ts";
import { listKeys } from "./key-list.ts";
import type { LayoutOptions } from "./layout-writer.ts";
import { openLayoutWriter } from "./layout-writer.ts";
import type { RestoreMarker } from "./restore-marker.ts";
import { markerFields, restoreMarkerKey } from "./restore-marker.ts";

export interface RdbFileFillRequest {
  readonly way: "file";
  readonly path: string;
  readonly database: number;
  readonly keys: number;
  readonly layout: LayoutOptions;
}

export interface ReplicaFillRequest {
  readonly way: "replica";
  readonly serve: ServeOptions;
  readonly database: number;
  readonly keys: number;
  readonly marker: RestoreMarker;
  /** Where the names of the keys are noted, for reading them back. */
  readonly keyList: string;
  readonly layout: LayoutOptions;
}

/** A file that is complete but for the setting. */
export interface RdbFileFill extends Fill {
  /** Adds the setting as the last key; the file is on disk then. */
  seal(setting: string): void;
}

const checksumBytes = 8;

/** Writes an RDB file, checksum and all. The file must be new. */
export function openRdbFileFill(request: RdbFileFillRequest): RdbFileFill {
  const file = openNewFile(request.path);
  const { temporaryFolder } = request.layout;
  const output = new SpillOutput(temporaryFolder);
  const keys = rdbWriter(output, temporaryFolder);
  const layout = openLayoutWriter(keys, request.layout);
  keys.start(request.database, request.keys);
  const checksum = new Crc64();
  let position = 0;

  function ship(all: boolean): void {
    for (let bytes = output.take(all); bytes !== undefined; bytes = output.take(all)) {
      checksum.update(bytes, 0, bytes.length);
      writeAll(file, bytes, position);
      position += bytes.length;
      output.recycle(bytes);
    }
  }
  /** The end mark and the checksum behind what there is; both are written over when more follows. */
  function end(): void {
    const tail = new Uint8Array(1 + checksumBytes);
    tail[0] = 0xff;
    const whole = new Crc64(checksum.low, checksum.high);
    whole.update(tail, 0, 1);
    const view = new DataView(tail.buffer);
    view.setUint32(1, whole.low, true);
    view.setUint32(5, whole.high, true);
    writeAll(file, tail, position);
  }
  return {
    async write(batch) {
      layout.write(batch);
      ship(false);
    },
    async finish() {
      layout.finish();
      ship(true);
      end();
    },
    seal(setting) {
      const start = position;
      keys.putString(Buffer.from("setting"), Buffer.from(setting));
      ship(true);
      end();
      fsyncSync(file);
      requireSetting(file, start, position, setting);
    },
    async close() {
      layout[Symbol.dispose]();
      keys[Symbol.dispose]();
      output[Symbol.dispose]();
      closeSync(file);
    },
  };
}

/** What lies between two positions must be the record of the setting. */
function requireSetting(file: number, start: number, end: number, setting: string): void {
  const record = new Uint8Array(end - start);
  readAll(file, record, record.length, start);
  const value = Buffer.from(setting);
  if (Buffer.compare(record.subarray(record.length - value.length), value) === 0) return;
  throw new CairnError("proof-failed", "the setting that was written is not the one of the snapshot", {
    unharmed: "the target was not touched",
    exit: "proofFailed",
  });
}

/** Serves an RDB to a server that was told to follow us, while it is made. `listening` gets the port before anything is sent. */
export async function openReplicaFill(request: ReplicaFillRequest, listening: (port: number) => void): Promise<Fill> {
  const { temporaryFolder } = request.layout;
  const output = new SpillOutput(temporaryFolder);
  const keys = rdbWriter(output, temporaryFolder);
  const listing = listKeys(keys, request.keyList);
  const layout = openLayoutWriter(listing, request.layout);
  const server = await openRdbServer(request.serve);
  listening(server.port);
  keys.start(request.database, request.keys);
  // The marker comes first: whatever the server has loaded when something breaks is known for what it is.
  const marker = keys.collection("hash");
  marker.begin(Buffer.from(restoreMarkerKey), restoreMarkerKey.length);
  for (const [name, value] of markerFields(request.marker)) {
    const bytes = Buffer.from(value);
    const at = marker.field(Buffer.from(name), 0, name.length, bytes.length);
    marker.bytes.set(bytes, at);
  }
  marker.end();

  async function ship(all: boolean): Promise<void> {
    for (let bytes = output.take(all); bytes !== undefined; bytes = output.take(all)) {
      const taken = bytes;
      await server.send(taken, () => output.recycle(taken));
    }
  }
  return {
    async write(batch) {
      layout.write(batch);
      await ship(false);
    },
    async finish() {
      layout.finish();
      listing.close();
      keys.endMark();
      // A checksum of 0 says that there is none: the connection has its own, and the proof follows.
      output.write(new Uint8Array(checksumBytes));
      await ship(true);
      await server.end();
    },
    async close() {
      await server[Symbol.asyncDispose]();
      layout[Symbol.dispose]();
      listing.close();
      keys[Symbol.dispose]();
      output[Symbol.dispose]();
    },
  };
}
