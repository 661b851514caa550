import type { Clock } from "../std/clock.ts";

/** A stream that text or bytes are written to; `process.stdout`, or a collector in tests. */
export interface OutputStream {
  /** False when the caller should wait for `drain`. */
  write(chunk: string | Uint8Array): boolean;
  once(event: "drain", listener: () => void): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** All that a command touches beside files: handed in, so that commands run as functions in tests. */
export interface World {
  stdout: OutputStream;
  stderr: OutputStream;
  env: NodeJS.ProcessEnv;
  clock: Clock;
  /** Aborts on the first SIGINT or SIGTERM. */
  signal: AbortSignal;
  /** Aborts when stdout takes nothing any more; its reason is a `CairnError`. */
  stdoutLost: AbortSignal;
  /** How the user started the program: stands in the commands that messages advise. */
  program: string;
}
