import type { Batch } from "../../../model/batch.ts";
import { transferablesOf } from "../../../model/batch.ts";
import { sendNote, serveCalls } from "../thread-calls.ts";
import type { Builder, BuilderOptions } from "./builder.ts";
import { openBuilder } from "./builder.ts";
import { prepareReplacement } from "./inspect-replaced.ts";
import type { SealRequest } from "./seal.ts";
import { sealDatabase } from "./seal.ts";
import { targetError } from "./target-error.ts";
import { publishInPlaceOf } from "./target-file.ts";

export interface ReplacementRequest {
  readonly path: string;
  readonly tablePrefix: string;
  readonly uuid: string;
  readonly now: number;
  /** Take the file's place, now that it may be taken. */
  readonly publish?: { readonly temporary: string; readonly keptPath: string };
}

/** Sent while indexes are made. */
export interface IndexNote {
  readonly indexes: number;
  readonly total: number;
}

/** The calls that `target.ts` makes. */
export interface TargetCalls {
  begin(options: BuilderOptions): void;
  write(batch: Batch): void;
  finish(nothing: undefined): void;
  /** Lets go of what was begun. */
  drop(nothing: undefined): void;
  prepareReplacement(request: ReplacementRequest): void;
  seal(request: SealRequest): void;
}

let builder: Builder | undefined;
let path = "";

/** Runs a step of the restore; what SQLite says comes out as an error of ours. */
function step<Result>(run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    throw targetError(path, error);
  }
}

function begun(): Builder {
  if (builder === undefined) throw new Error("nothing was begun");
  return builder;
}

const handlers: TargetCalls = {
  begin(options) {
    path = options.path;
    builder = step(() => openBuilder(options));
  },
  write(batch) {
    step(() => begun().write(batch));
    // The batch is ours alone now. Left to the collector, buffers pile up to some hundred megabytes before it looks.
    for (const buffer of transferablesOf(batch)) buffer.transfer(0);
  },
  finish() {
    step(() => begun().finish((indexes, total) => sendNote({ indexes, total } satisfies IndexNote)));
    begun()[Symbol.dispose]();
    builder = undefined;
  },
  drop() {
    builder?.[Symbol.dispose]();
    builder = undefined;
  },
  prepareReplacement({ path, tablePrefix, uuid, now, publish }) {
    prepareReplacement(path, tablePrefix, uuid, now, () => {
      if (publish !== undefined) publishInPlaceOf(publish.temporary, path, publish.keptPath);
    });
  },
  seal: (request) => step(() => sealDatabase(request)),
};

serveCalls({ ...handlers });
