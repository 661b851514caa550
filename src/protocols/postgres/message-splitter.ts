import { ProtocolError } from "./protocol-error.ts";

/**
 * Cuts the server's byte stream into messages: one byte of type, four of length (itself included), the payload. Each message is handed on
 * as a range of a larger array that is valid during the call; only one that spans chunks is copied together.
 */
export interface MessageSplitter {
  push(chunk: Uint8Array): void;
  /** Whether the stream stands between two messages. */
  readonly isBetween: boolean;
}

/** Gets a message: `bytes[start … end)` with its header, so the payload begins at `start + 5`. */
export type MessageVisitor = (type: number, bytes: Uint8Array, start: number, end: number) => void;

/** A value of PostgreSQL has at most 1 GiB. */
const messageBytesMax = 0x40000000;

export function splitMessages(visit: MessageVisitor): MessageSplitter {
  // The beginning of a message that continues in the next chunk; `held` bytes of it are there.
  let partial = new Uint8Array(0);
  let held = 0;

  function keep(chunk: Uint8Array, from: number): void {
    const rest = chunk.length - from;
    if (held + rest > partial.length) {
      // Not the announced length at once: what the server has not sent yet costs nothing.
      const bigger = new Uint8Array(Math.max(held + rest, 2 * partial.length, 4096));
      bigger.set(partial.subarray(0, held));
      partial = bigger;
    }
    partial.set(from === 0 ? chunk : chunk.subarray(from), held);
    held += rest;
  }

  /** Completes the message that was begun, with as much of the chunk as it needs; returns where the rest begins. */
  function complete(chunk: Uint8Array): number {
    let at = 0;
    if (held < 5) {
      at = Math.min(5 - held, chunk.length);
      keep(chunk.subarray(0, at), 0);
      if (held < 5) return at;
    }
    const total = totalBytes(partial, 0);
    const take = Math.min(total - held, chunk.length - at);
    keep(chunk.subarray(at, at + take), 0);
    if (held < total) return chunk.length;
    const message = partial;
    held = 0;
    // One large value should not cost its size for ever.
    if (partial.length > 1 << 20) partial = new Uint8Array(0);
    visit(message[0], message, 0, total);
    return at + take;
  }

  return {
    get isBetween() {
      return held === 0;
    },
    push(chunk) {
      let at = held > 0 ? complete(chunk) : 0;
      while (at < chunk.length) {
        if (chunk.length - at < 5) break;
        const total = totalBytes(chunk, at);
        if (at + total > chunk.length) break;
        visit(chunk[at], chunk, at, at + total);
        at += total;
      }
      if (at < chunk.length) keep(chunk, at);
    },
  };
}

function totalBytes(bytes: Uint8Array, at: number): number {
  const length = (bytes[at + 1] << 24) | (bytes[at + 2] << 16) | (bytes[at + 3] << 8) | bytes[at + 4];
  if (length < 4 || length > messageBytesMax)
    throw new ProtocolError(`a message of type ${bytes[at]} has the length ${length >>> 0}`);
  return length + 1;
}
