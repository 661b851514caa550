import type { OutputStream } from "../world.ts";

const bufferCharacters = 64 * 1024;

/** Gathers small writes to a stream into large ones, and waits for a slow reader. */
export class StdoutBuffer {
  readonly #stream: OutputStream;
  #text = "";

  constructor(stream: OutputStream) {
    this.#stream = stream;
  }

  /** A promise only when the reader is behind. */
  write(chunk: string | Uint8Array): Promise<void> | undefined {
    if (typeof chunk === "string") {
      this.#text += chunk;
      return this.#text.length < bufferCharacters ? undefined : this.flush();
    }
    const before = this.flush();
    if (before !== undefined) return before.then(() => this.#send(chunk));
    return this.#send(chunk);
  }

  flush(): Promise<void> | undefined {
    if (this.#text === "") return undefined;
    const text = this.#text;
    this.#text = "";
    return this.#send(text);
  }

  #send(chunk: string | Uint8Array): Promise<void> | undefined {
    if (this.#stream.write(chunk)) return undefined;
    return new Promise((resolve) => {
      this.#stream.once("drain", resolve);
    });
  }
}
