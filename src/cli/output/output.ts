import type { Progress } from "../../model/ports.ts";
import type { CairnError } from "../../model/errors.ts";

/** A value of a JSON line. 64-bit numbers are decimal strings where they may exceed 2^53. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [name: string]: JsonValue };
export type JsonObject = Record<string, JsonValue>;

/** Where a command puts what it has to say: as text for people, or as JSON lines (docs/json.md). */
export interface Output {
  readonly json: boolean;
  readonly progress: Progress;
  /** Result text, with line ends; nothing in JSON mode. Resolves when the reader has taken most of it. */
  text(text: string | Uint8Array): Promise<void>;
  /** One `entry` line of a listing; nothing in text mode. */
  entry(object: JsonObject): Promise<void>;
  /** The one `result` line that ends a successful command; nothing in text mode. */
  result(command: string, object: JsonObject): Promise<void>;
  /** Bytes as they are, in either mode: exports. */
  raw(bytes: string | Uint8Array): Promise<void>;
  /** Prints what ended the command. */
  error(error: CairnError): void;
  /** Takes the live line away and writes what is buffered. */
  close(): Promise<void>;
}
