import type { Batch } from "./batch.ts";
import type { Kind } from "./schema.ts";

/** Small named values beside the tables (design: "facts"); 64-bit numbers as decimal strings. */
export type Facts = Record<string, string | number | boolean>;

/** Something that a source noticed about the metadata itself: counted, sampled by name, never part of the root. */
export interface Finding {
  /** Stable, kebab-case: `slice-ref-differs`, `usage-lags`, `next-inode-too-low`, … */
  code: string;
  severity: "info" | "warning" | "error";
  message: string;
  count: number;
  /** At most ten records by name. */
  samples: string[];
}

/** Cheap facts about an engine, read without opening a consistent view. */
export interface SourceDescription {
  kind: string;
  /** The system whose metadata it is, with its version line where known: "JuiceFS". */
  system: string;
  engine: string;
  engineVersion: string;
  volumeName: string;
  volumeId: string;
  /** Estimated records by table name. */
  estimates: Record<string, number>;
  estimatedBytes: number;
  consistency: Consistency;
  /** Rights or settings that are missing, each with the remedy; empty when all is well. */
  problems: { message: string; next: string }[];
  facts: Facts;
}

/** How consistent a read is, and by which method; stands in the manifest. */
export interface Consistency {
  level: "snapshot" | "none";
  /** One sentence for people: "one read transaction (WAL)". */
  method: string;
}

export interface SourceOptions {
  signal: AbortSignal;
  /** A folder for temporary copies; the source removes what it puts there. */
  temporaryFolder: string;
  /** Bytes that the source may hold in batches that were not taken yet. */
  memoryBytes: number;
  progress: Progress;
  /** How hard the engine may be worked; as hard as it goes when undefined. */
  pace?: Pace;
}

/** Bounds for the load that a read puts on a live engine. */
export interface Pace {
  /** Bytes read from the engine each second. */
  bytesPerSecond?: number;
  /** Stop reading while the engine answers a small question later than this, in milliseconds; infinite: never. The engine's own bound when undefined. */
  pauseAboveMs?: number;
}

/** What the source knows when its last batch was taken. */
export interface SourceSummary {
  consistency: Consistency;
  /** Position of the view in the engine's own terms: LSN, TSO, WAL frame, …; no secrets. */
  position: Facts;
  facts: Facts;
  findings: Finding[];
  /** What was counted and not carried: sessions, locks, …, by name. */
  omitted: Record<string, number>;
  /** Secrets taken out of the tables, by setting field, when the user asked to keep them. */
  secrets: Record<string, string>;
}

/** One consistent view of an engine, open. */
export interface SourceView extends AsyncDisposable {
  readonly kind: Kind;
  readonly volumeId: string;
  readonly volumeName: string;
  /** Tables whose records come in key order; they are not sorted again (and checked all the same). */
  readonly sortedTables: readonly string[];
  /**
   * Every record of the view once, in batches of any order within and between tables. The caller owns each batch. Ends, throws or
   * aborts; never hangs past the signal. May be iterated once.
   */
  batches(): AsyncIterable<Batch>;
  /** Only after the last batch; throws when the view turned out not to have been consistent. */
  summary(): Promise<SourceSummary>;
}

/** An engine that can be read. */
export interface Source {
  describe(signal: AbortSignal): Promise<SourceDescription>;
  open(options: SourceOptions): Promise<SourceView>;
}

/** What a target must know before its first record. */
export interface TargetPlan {
  kind: Kind;
  volumeId: string;
  volumeName: string;
  facts: Facts;
  /** Records by table name. */
  counts: Record<string, number>;
  /** Extremes by `table.column`, as decimal strings, for the check that everything fits. */
  extremes: Record<string, string>;
  /** Setting fields and secrets that go beside the stored setting, by field name. */
  secrets: Record<string, string>;
  /** Fill the target even though it holds the volume of this id (`--replace`). */
  replace?: string;
  /** The records of one table as the snapshot holds them, for limits that extremes do not tell (names that collide): before the first write, small tables only. */
  read(table: string): AsyncIterable<Batch>;
}

export interface TargetOptions {
  signal: AbortSignal;
  temporaryFolder: string;
  memoryBytes: number;
  progress: Progress;
  /** Remove what an unfinished restore of ours left in the target, and begin anew. */
  discardUnfinished?: boolean;
}

/** One restore, under way: written, read back, then published or discarded. */
export interface TargetWriter extends AsyncDisposable {
  /** Takes the tables in the kind's order, records in key order; resolves when the batch is taken over. */
  write(batch: Batch): Promise<void>;
  /** All records are written: build indexes, sequences, flush. The volume cannot be opened by a client yet: `setting` is held back. */
  finish(): Promise<void>;
  /** Reads the target back, with the held setting fed in: for the proof. */
  readBack(): Promise<SourceView>;
  /** After the proof: writes `setting`, reads it back and compares, then opens the door (for a file: renames it). */
  publish(): Promise<void>;
  // Disposed before publish: removes what was written, or leaves what no client takes for a volume.
}

/** An engine that can be filled. */
export interface Target {
  readonly engine: string;
  /** Where the volume will be, without secrets: for messages. */
  readonly location: string;
  /** Refuses, before anything is written, a target that is not empty and records that do not fit. */
  begin(plan: TargetPlan, options: TargetOptions): Promise<TargetWriter>;
}

/** One event of a running operation; the command line rate-limits and prints them. */
export interface ProgressEvent {
  /** "read", "encode", "write", "index", "prove", … */
  phase: string;
  done: number;
  /** Total of the same unit, where known. */
  total?: number;
  unit: "records" | "bytes" | "pages";
  /** How a paced read fares. */
  pace?: PaceReport;
}

/** What a pacer knows of the engine that is read. */
export interface PaceReport {
  /** Bytes each second, over the last seconds. */
  bytesPerSecond: number;
  /** How late the engine's last answer to the probe was; undefined before the first. */
  probeMs?: number;
  /** Whether reading waits for the engine to recover. */
  isPaused: boolean;
}

export interface Progress {
  report(event: ProgressEvent): void;
  /** A warning for the user, shown once above the live line and repeated in JSON. */
  warn(code: string, message: string): void;
}
