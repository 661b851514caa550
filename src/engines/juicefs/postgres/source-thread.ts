import type { Batch } from "../../../model/batch.ts";
import { transferablesOf } from "../../../model/batch.ts";
import type { Progress, ProgressEvent, SourceDescription, SourceSummary } from "../../../model/ports.ts";
import type { SettingField } from "../setting.ts";
import { Moved, sendNote, serveCalls } from "../thread-calls.ts";
import { describeVolume } from "./describe.ts";
import type { PostgresUrl } from "./url.ts";
import type { VolumeReader, VolumeReaderOptions } from "./volume-reader.ts";
import { openVolumeReader } from "./volume-reader.ts";

export interface OpenedVolume {
  readonly volumeId: string;
  readonly volumeName: string;
  readonly setting: readonly SettingField[];
}

/** What the thread says between its answers. */
export type SourceNote = { event: ProgressEvent } | { warning: { code: string; message: string } };

/** The calls that `source.ts` makes. One volume a thread; `next` gives `undefined` after the last batch. */
export interface SourceCalls {
  describe(url: PostgresUrl): Promise<SourceDescription>;
  open(options: VolumeReaderOptions): Promise<OpenedVolume>;
  next(nothing: undefined): Promise<Moved<Batch> | undefined>;
  summary(nothing: undefined): Promise<SourceSummary>;
  close(nothing: undefined): Promise<void>;
}

const progress: Progress = {
  report: (event) => sendNote({ event } satisfies SourceNote),
  warn: (code, message) => sendNote({ warning: { code, message } } satisfies SourceNote),
};

let reader: VolumeReader | undefined;

function opened(): VolumeReader {
  if (reader === undefined) throw new Error("no volume is open");
  return reader;
}

const handlers: SourceCalls = {
  describe: (url) => describeVolume(url),
  async open(options) {
    reader = await openVolumeReader(options, progress);
    return { volumeId: reader.volumeId, volumeName: reader.volumeName, setting: reader.setting };
  },
  async next() {
    const batch = await opened().next();
    return batch === undefined ? undefined : new Moved(batch, transferablesOf(batch));
  },
  summary: () => opened().summary(),
  async close() {
    await reader?.[Symbol.asyncDispose]();
    reader = undefined;
  },
};

serveCalls({ ...handlers });
