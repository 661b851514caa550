import type { Batch } from "../../../model/batch.ts";
import { transferablesOf } from "../../../model/batch.ts";
import { juicefs } from "../../../model/juicefs.ts";
import type { SourceDescription, SourceSummary } from "../../../model/ports.ts";
import { estimateRows } from "../../../protocols/sqlite/estimate-rows.ts";
import { openView } from "../../../protocols/sqlite/open-view.ts";
import { openPrivateView } from "../../../protocols/sqlite/view-of-private-file.ts";
import { openPageReader } from "../../../protocols/sqlite/page-source.ts";
import type { DatabaseView } from "../../../protocols/sqlite/view.ts";
import type { SettingField } from "../setting.ts";
import { estimatedTables } from "../sql/estimated-tables.ts";
import { Moved, serveCalls } from "../thread-calls.ts";
import { openBriefView } from "./describe-view.ts";
import type { VolumeReader } from "./volume-reader.ts";
import { openVolumeReader } from "./volume-reader.ts";

export interface OpenRequest {
  readonly path: string;
  readonly tablePrefix: string;
  readonly temporaryFolder: string;
  readonly memoryBytes: number;
  readonly keepSecrets: boolean;
  readonly allowBlock: boolean;
  /** The file is ours alone: a restore that reads back what it wrote. */
  readonly isPrivate: boolean;
  /** The setting's fields while it is held back from the file. */
  readonly heldSetting?: readonly SettingField[];
}

export interface OpenedVolume {
  readonly volumeId: string;
  readonly volumeName: string;
  readonly setting: readonly SettingField[];
}

export interface DescribeRequest {
  readonly path: string;
  readonly tablePrefix: string;
  readonly temporaryFolder: string;
}

/** The calls that `source.ts` makes. One volume a thread; `next` gives `undefined` after the last batch. */
export interface SourceCalls {
  describe(request: DescribeRequest): Promise<SourceDescription>;
  open(request: OpenRequest): Promise<OpenedVolume>;
  next(nothing: undefined): Moved<Batch> | undefined;
  summary(nothing: undefined): SourceSummary;
  close(nothing: undefined): void;
}

interface OpenState {
  readonly view: DatabaseView;
  readonly reader: VolumeReader;
  readonly batches: Generator<Batch, void>;
}

let state: OpenState | undefined;

function opened(): OpenState {
  if (state === undefined) throw new Error("no volume is open");
  return state;
}

/** A file that changes while it is read without a lock looks damaged: that it changed is the truth, and a reason to try again. */
function readFrom<Result>(view: DatabaseView, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    view.verifyUnchanged();
    throw error;
  }
}

const handlers: SourceCalls = {
  async describe(request) {
    using view = await openBriefView(request.path, request.temporaryFolder);
    return readFrom(view, () => describeVolume(view, request.tablePrefix));
  },

  async open(request) {
    const { temporaryFolder, allowBlock } = request;
    const view = request.isPrivate
      ? openPrivateView(request.path)
      : await openView(request.path, { temporaryFolder, allowBlock });
    try {
      const reader = readFrom(view, () => openVolumeReader(view.database, request));
      state = { view, reader, batches: reader.batches() };
      return { volumeId: reader.volumeId, volumeName: reader.volumeName, setting: reader.setting };
    } catch (error) {
      view.close();
      throw error;
    }
  },

  next() {
    const { view, batches } = opened();
    const next = readFrom(view, () => batches.next());
    return next.done === true ? undefined : new Moved(next.value, transferablesOf(next.value));
  },

  summary() {
    const { view, reader } = opened();
    const summary = readFrom(view, () => reader.summary());
    view.verifyUnchanged();
    return { consistency: view.consistency, position: view.position, ...summary };
  },

  close() {
    state?.view.close();
    state = undefined;
  },
};

function describeVolume(view: DatabaseView, tablePrefix: string): SourceDescription {
  const { database } = view;
  const reader = openVolumeReader(database, { tablePrefix, keepSecrets: false, memoryBytes: 0 });
  const estimates: Record<string, number> = {};
  for (const [table, canonical] of estimatedTables) {
    if (!reader.schema.hasTable(table)) continue;
    estimates[canonical] = (estimates[canonical] ?? 0) + estimateRows(database, tablePrefix + table);
  }
  return {
    kind: juicefs.name,
    system: `JuiceFS (schema of ${reader.schema.line})`,
    engine: "SQLite",
    engineVersion: writerVersion(view),
    volumeName: reader.volumeName,
    volumeId: reader.volumeId,
    estimates,
    estimatedBytes: (database.pages.pageCount - database.header.freePageCount) * database.pages.pageSize,
    consistency: view.consistency,
    problems: problemsOf(view),
    facts: {
      schemaLine: reader.schema.line,
      journal: database.header.walMode ? "WAL" : "rollback journal",
      nextInode: String(reader.counters.get("nextInode") ?? 0n),
      usedSpace: String(reader.counters.get("usedSpace") ?? 0n),
      totalInodes: String(reader.counters.get("totalInodes") ?? 0n),
    },
  };
}

/** A file that a rollback journal guards is copied under a lock; above this that may take too long for writers to wait. */
const quickCopyBytes = 1 << 30;

function problemsOf({ database }: DatabaseView): SourceDescription["problems"] {
  const bytes = database.pages.pageCount * database.pages.pageSize;
  if (database.header.walMode || bytes <= quickCopyBytes) return [];
  return [
    {
      message: `the database has a rollback journal: a backup copies its ${Math.round(bytes / 1e6)} MB while writers wait`,
      next: 'set it to WAL mode (sqlite3 FILE "PRAGMA journal_mode=WAL", what JuiceFS does since 1.3), or use --allow-block',
    },
  ];
}

/** The SQLite that last wrote the file, as its header says at byte 96: `3.46.1`. */
function writerVersion(view: DatabaseView): string {
  const reader = openPageReader(view.database.pages, view.database.pages.pageSize);
  const start = reader.load(1);
  const number = new DataView(reader.bytes.buffer, reader.bytes.byteOffset + start).getUint32(96);
  return `${Math.floor(number / 1e6)}.${Math.floor(number / 1000) % 1000}.${number % 1000}`;
}

serveCalls({ ...handlers });
