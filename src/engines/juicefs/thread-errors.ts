import type { CairnErrorOptions } from "../../model/errors.ts";
import { CairnError, messageOf } from "../../model/errors.ts";

/** An error as it crosses between threads: structured clones lose the class and its fields. */
export interface ErrorData {
  readonly code: string | undefined;
  readonly message: string;
  readonly options: CairnErrorOptions;
}

export function errorToData(error: unknown): ErrorData {
  if (!(error instanceof CairnError)) return { code: undefined, message: messageOf(error), options: {} };
  const options: CairnErrorOptions = { exit: error.exit, details: error.details };
  if (error.unharmed !== undefined) options.unharmed = error.unharmed;
  if (error.next !== undefined) options.next = error.next;
  return { code: error.code, message: error.message, options };
}

export function errorFromData(data: ErrorData): Error {
  return data.code === undefined ? new Error(data.message) : new CairnError(data.code, data.message, data.options);
}
