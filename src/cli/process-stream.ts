import { CairnError } from "../model/errors.ts";
import type { OutputStream } from "./world.ts";

/** What a stream of the process is lost with when its reader left, as in `| head`. */
export const readerLeft = "reader-left";

export interface ProcessStream {
  stream: OutputStream;
  /** Aborts when nothing more can be written; its reason says why: `reader-left` or `output-failed`. */
  lost: AbortSignal;
}

/**
 * A stream of the process that may fail under a running command: from then on it swallows what is written, and nobody waits for it. What that
 * means for the command is not decided here.
 */
export function openProcessStream(stream: NodeJS.WriteStream, name: string): ProcessStream {
  const loss = new AbortController();
  const lost = loss.signal;
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (lost.aborted) return;
    loss.abort(
      error.code === "EPIPE"
        ? new CairnError(readerLeft, `the reader of ${name} left`)
        : new CairnError("output-failed", `${name} cannot be written: ${error.message}`, {
            next: "look at where it is sent",
            cause: error,
          }),
    );
  });
  return {
    stream: {
      write: (chunk) => lost.aborted || stream.write(chunk),
      once(event, listener) {
        if (lost.aborted) return queueMicrotask(listener);
        const done = (): void => {
          stream.off(event, done);
          lost.removeEventListener("abort", done);
          listener();
        };
        stream.once(event, done);
        lost.addEventListener("abort", done);
      },
      get isTTY() {
        return stream.isTTY;
      },
      get columns() {
        return stream.columns;
      },
    },
    lost,
  };
}
