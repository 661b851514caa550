/** A bounded queue from one producer to one consumer: `push` waits while more than `limitBytes` lie in it. */
export class ByteQueue implements AsyncIterable<Uint8Array> {
  readonly #limitBytes: number;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  #ended = false;
  #error: { reason: unknown } | undefined;
  #wake: (() => void)[] = [];

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Throws what the consumer failed with. */
  async push(chunk: Uint8Array): Promise<void> {
    while (this.#bytes > this.#limitBytes && this.#error === undefined) await this.#sleep();
    if (this.#error !== undefined) throw this.#error.reason;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    this.#notify();
  }

  end(): void {
    this.#ended = true;
    this.#notify();
  }

  /** Ends both sides with an error. */
  fail(reason: unknown): void {
    this.#error ??= { reason };
    this.#notify();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      if (this.#error !== undefined) throw this.#error.reason;
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#bytes -= chunk.length;
        this.#notify();
        yield chunk;
      } else if (this.#ended) return;
      else await this.#sleep();
    }
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
