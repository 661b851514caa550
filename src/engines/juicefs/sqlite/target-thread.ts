import type { Batch } from "../../../model/batch.ts";
import { sendNote, serveCalls } from "../thread-calls.ts";
import type { Builder, BuilderOptions } from "./builder.ts";
import { openBuilder } from "./builder.ts";
import { prepareReplacement } from "./inspect-replaced.ts";
import type { SealRequest } from "./seal.ts";
import { sealDatabase } from "./seal.ts";

export interface ReplacementRequest {
  readonly path: string;
  readonly tablePrefix: string;
  readonly uuid: string;
  readonly now: number;
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

function begun(): Builder {
  if (builder === undefined) throw new Error("nothing was begun");
  return builder;
}

const handlers: TargetCalls = {
  begin(options) {
    builder = openBuilder(options);
  },
  write: (batch) => begun().write(batch),
  finish() {
    begun().finish((indexes, total) => sendNote({ indexes, total } satisfies IndexNote));
    begun()[Symbol.dispose]();
    builder = undefined;
  },
  drop() {
    builder?.[Symbol.dispose]();
    builder = undefined;
  },
  prepareReplacement: ({ path, tablePrefix, uuid, now }) => prepareReplacement(path, tablePrefix, uuid, now),
  seal: sealDatabase,
};

serveCalls({ ...handlers });
