import type { Output } from "./output/output.ts";
import type { World } from "./world.ts";

/** Options that every command has. */
export interface GlobalOptions {
  json?: boolean;
  quiet?: boolean;
  /** False with `--no-progress`. */
  progress?: boolean;
  /** Size as given. */
  memory?: string;
}

/** What a command gets beside its own arguments. */
export interface Context {
  world: World;
  output: Output;
  /** Aborts on an interrupt, and for a command that only shows something also when nobody reads it any more. */
  signal: AbortSignal;
  memoryBytes: number;
}
