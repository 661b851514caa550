import type { Batch } from "../../../model/batch.ts";
import { transferablesOf } from "../../../model/batch.ts";
import { sendNote, serveCalls } from "../thread-calls.ts";
import type { Fill } from "./fill.ts";
import type { RdbFileFill, RdbFileFillRequest, ReplicaFillRequest } from "./fill-rdb.ts";
import { openRdbFileFill, openReplicaFill } from "./fill-rdb.ts";
import type { ServerFillRequest } from "./fill-server.ts";
import { openServerFill } from "./fill-server.ts";

export type FillRequest = ServerFillRequest | RdbFileFillRequest | ReplicaFillRequest;

/** Sent when a server can be told to follow us. */
export interface ListeningNote {
  readonly port: number;
}

/** The calls that targets make. */
export interface TargetCalls {
  begin(request: FillRequest): Promise<void>;
  write(batch: Batch): Promise<void>;
  finish(nothing: undefined): Promise<void>;
  /** An RDB file only. */
  seal(setting: string): void;
  close(nothing: undefined): Promise<void>;
}

// The thread ends with its owner's signal; nothing in it outlives that.
const { signal } = new AbortController();

let fill: Fill | undefined;
let fileFill: RdbFileFill | undefined;

function begun(): Fill {
  if (fill === undefined) throw new Error("nothing was begun");
  return fill;
}

async function openFill(request: FillRequest): Promise<Fill> {
  switch (request.way) {
    case "commands":
      return await openServerFill(request, signal);
    case "file":
      fileFill = openRdbFileFill(request);
      return fileFill;
    case "replica":
      return await openReplicaFill(request, (port) => sendNote({ port } satisfies ListeningNote));
  }
}

const handlers: TargetCalls = {
  async begin(request) {
    fill = await openFill(request);
  },
  async write(batch) {
    await begun().write(batch);
    // The batch is ours alone now. Left to the collector, buffers pile up to some hundred megabytes before it looks.
    for (const buffer of transferablesOf(batch)) buffer.transfer(0);
  },
  finish: () => begun().finish(),
  seal(setting) {
    if (fileFill === undefined) throw new Error("no file was begun");
    fileFill.seal(setting);
  },
  async close() {
    await fill?.close();
    fill = undefined;
    fileFill = undefined;
  },
};

serveCalls({ ...handlers });
