import { parentPort, workerData } from "node:worker_threads";
import type { MessagePort } from "node:worker_threads";
import { releaseBatch } from "../model/batch.ts";
import type { Batch } from "../model/batch.ts";
import { CairnError, messageOf } from "../model/errors.ts";
import type { RawPage } from "../format/pager.ts";
import type { Extreme } from "../format/extremes.ts";
import { encodeCheckedFrame } from "../format/frame.ts";
import { PageLine } from "./page-line.ts";
import type { PageLineOptions } from "./page-line.ts";

/*
 * The page line on a thread of its own. Batches come in by message and are acknowledged one by one; pages go out in groups. Since the line
 * works synchronously for a second and more when it ends a table, it waits on a shared counter while too many bytes are under way.
 */
export interface PageWorkerData extends PageLineOptions {
  /** Whether pages will be stored: then their frames are of use. */
  frames: boolean;
  /** Int32[0]: KiB of pages that were sent and not taken yet. */
  underWay: SharedArrayBuffer;
}

export type PageWorkerInput = { batch: Batch } | { finish: true };

export type PageEvent =
  | {
      type: "page";
      page: RawPage;
      /** The page as a frame of its own, where the line had the time to make it. */
      frame?: Uint8Array<ArrayBuffer>;
    }
  | { type: "large"; value: Uint8Array<ArrayBuffer> }
  | { type: "table"; table: number; extremes: Record<string, Extreme> };

export type PageWorkerOutput =
  | { taken: true }
  | { events: PageEvent[] }
  | { finished: true }
  | { error: { code: string; message: string; unharmed?: string; next?: string } };

const underWayMaxKib = 8 * 1024;
const groupBytes = 1 << 20;

function runWorker(port: MessagePort, data: PageWorkerData): void {
  const underWay = new Int32Array(data.underWay);
  let group: PageEvent[] = [];
  let transfers: ArrayBuffer[] = [];
  let bytes = 0;

  const send = (): void => {
    if (group.length === 0) return;
    const kib = Math.ceil(bytes / 1024);
    for (let now = Atomics.load(underWay, 0); now > 0 && now + kib > underWayMaxKib; now = Atomics.load(underWay, 0)) {
      Atomics.wait(underWay, 0, now, 1000);
    }
    Atomics.add(underWay, 0, kib);
    port.postMessage({ events: group } satisfies PageWorkerOutput, transfers);
    group = [];
    transfers = [];
    bytes = 0;
  };
  const emit = (event: PageEvent, contents: readonly Uint8Array<ArrayBuffer>[]): void => {
    group.push(event);
    for (const content of contents) {
      transfers.push(content.buffer);
      bytes += content.length;
    }
    if (bytes >= groupBytes) send();
  };
  const emitPage = (page: RawPage): void => {
    // While pages wait for the thread that stores them, this one takes over its dearest work instead of waiting: zstd is two thirds of it.
    const frame =
      data.frames && Atomics.load(underWay, 0) > 0 ? encodeCheckedFrame(page.raw, page.sections) : undefined;
    if (frame === undefined) emit({ type: "page", page }, [page.raw]);
    else emit({ type: "page", page, frame }, [page.raw, frame]);
  };

  const line = new PageLine(data, {
    page: emitPage,
    large: (value) => emit({ type: "large", value }, [value]),
    tableEnd: (table, extremes) => emit({ type: "table", table, extremes }, []),
  });

  port.on("message", (input: PageWorkerInput) => {
    try {
      if ("batch" in input) {
        line.push(input.batch);
        releaseBatch(input.batch);
        send();
        port.postMessage({ taken: true } satisfies PageWorkerOutput);
      } else {
        line.finish();
        send();
        port.postMessage({ finished: true } satisfies PageWorkerOutput);
        port.close();
      }
    } catch (error) {
      line[Symbol.dispose]();
      const known =
        error instanceof CairnError ? error : new CairnError("internal", messageOf(error), { cause: error });
      const { code, message, unharmed, next } = known;
      const plain = {
        code,
        message,
        ...(unharmed === undefined ? {} : { unharmed }),
        ...(next === undefined ? {} : { next }),
      };
      port.postMessage({ error: plain } satisfies PageWorkerOutput);
      port.close();
    }
  });
}

if (parentPort !== null) runWorker(parentPort, workerData as PageWorkerData);
