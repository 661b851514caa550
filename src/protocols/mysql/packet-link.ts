import type { Duplex } from "node:stream";
import { errorOfPacket, MysqlConnectionError, MysqlProtocolError, MysqlSilenceError } from "./server-error.ts";

/** Bytes that may wait in memory before the socket is paused: the server then waits, too. */
const queueBytesMax = 1 << 20;
/** Longest that a good-bye may take. */
const goodByeMs = 1000;
const windowBytesMin = 256 << 10;

/** The longest payload of one packet; a longer one goes on in the next. */
export const packetBytesMax = 0xffffff;

/**
 * The packets of one connection that has logged in (MySQL client/server protocol: length u24 LE, sequence u8, payload). What arrives is
 * appended to one window, from which readers take whole packets in place.
 */
export class PacketLink {
  readonly #socket: Duplex;
  readonly #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #isPaused = false;
  #wake: (() => void) | undefined;
  #ended: MysqlConnectionError | undefined;
  #sequence = 0;

  /** Unread bytes are `window[from … to)`; `more` may move them. */
  window: Uint8Array = new Uint8Array(windowBytesMin);
  from = 0;
  to = 0;
  /** Longest silence of the server that is waited for, in milliseconds. */
  silenceMs: number;

  constructor(socket: Duplex, silenceMs: number) {
    this.#socket = socket;
    this.silenceMs = silenceMs;
    socket.on("data", (chunk: Uint8Array) => this.#take(chunk));
    socket.on("error", (error: NodeJS.ErrnoException) => this.fail(error));
    socket.on("end", () => this.fail(undefined));
    socket.on("close", () => this.fail(undefined));
  }

  /** Ends the link; whoever reads is told once the bytes that came before are used up. */
  fail(error: NodeJS.ErrnoException | undefined): void {
    this.#ended ??= new MysqlConnectionError(
      error?.code ?? "closed",
      error?.message ?? "the server closed the connection",
      true,
    );
    this.#wake?.();
  }

  #take(chunk: Uint8Array): void {
    this.#queue.push(chunk);
    this.#queuedBytes += chunk.length;
    if (!this.#isPaused && this.#queuedBytes > queueBytesMax) {
      this.#isPaused = true;
      this.#socket.pause();
    }
    this.#wake?.();
  }

  /** Waits for more bytes and appends them to the window. */
  async more(): Promise<void> {
    if (this.#queue.length === 0) await this.#arrival();
    const chunk = this.#queue.shift();
    if (chunk === undefined) throw this.#ended ?? new MysqlProtocolError("no bytes arrived");
    this.#queuedBytes -= chunk.length;
    if (this.#isPaused && this.#queuedBytes < queueBytesMax / 2) {
      this.#isPaused = false;
      this.#socket.resume();
    }
    this.#append(chunk);
  }

  async #arrival(): Promise<void> {
    if (this.#ended !== undefined) throw this.#ended;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { silenceMs } = this;
    const timer = setTimeout(() => reject(new MysqlSilenceError(silenceMs / 1000)), silenceMs);
    this.#wake = resolve;
    try {
      await promise;
    } finally {
      this.#wake = undefined;
      clearTimeout(timer);
    }
  }

  #append(chunk: Uint8Array): void {
    const unread = this.to - this.from;
    if (this.to + chunk.length > this.window.length) {
      if (unread + chunk.length > this.window.length) {
        const larger = new Uint8Array(Math.max(2 * this.window.length, unread + chunk.length));
        larger.set(this.window.subarray(this.from, this.to));
        this.window = larger;
      } else this.window.copyWithin(0, this.from, this.to);
      this.from = 0;
      this.to = unread;
    }
    this.window.set(chunk, this.to);
    this.to += chunk.length;
  }

  /** The whole next packet, joined where it came in several, as a copy. */
  async packet(): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (;;) {
      while (this.to - this.from < 4) await this.more();
      const length = packetLength(this.window, this.from);
      while (this.to - this.from < 4 + length) await this.more();
      this.noteSequence(this.window[this.from + 3]);
      const start = this.from + 4;
      parts.push(Buffer.from(this.window.subarray(start, start + length)));
      this.from = start + length;
      if (length < packetBytesMax) return parts.length === 1 ? parts[0] : Buffer.concat(parts);
    }
  }

  /** The same, with an error of the server thrown. */
  async answer(): Promise<Buffer> {
    const packet = await this.packet();
    if (packet.length === 0) throw new MysqlProtocolError("the server sent an empty packet");
    if (packet[0] === 0xff) throw errorOfPacket(packet);
    return packet;
  }

  /** Remembers the number of a packet that was read in place: what is sent next continues it. */
  noteSequence(sequence: number): void {
    this.#sequence = (sequence + 1) & 0xff;
  }

  /** Sends the payload that begins an exchange. */
  command(payload: Uint8Array): void {
    this.#sequence = 0;
    this.send(payload);
  }

  /** Sends a payload within an exchange, split where it is longer than a packet may be. `onFlushed` is called once the system has taken it. */
  send(payload: Uint8Array, onFlushed?: () => void): void {
    for (let at = 0; ; at += packetBytesMax) {
      if (this.#ended !== undefined) throw this.#ended;
      const part = payload.subarray(at, at + packetBytesMax);
      const isLast = part.length < packetBytesMax;
      const header = Buffer.allocUnsafe(4);
      header.writeUIntLE(part.length, 0, 3);
      header[3] = this.#sequence;
      this.#sequence = (this.#sequence + 1) & 0xff;
      this.#socket.cork();
      this.#socket.write(header);
      this.#socket.write(part, isLast ? onFlushed : undefined);
      this.#socket.uncork();
      if (isLast) return;
    }
  }

  /**
   * Sends a payload and waits until the system has taken it, so that its bytes may be used again, or the server has said something: then it takes no
   * more, and the payload is lost.
   */
  async sendFlushed(payload: Uint8Array): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { silenceMs } = this;
    const timer = setTimeout(() => reject(new MysqlSilenceError(silenceMs / 1000)), silenceMs);
    this.#wake = resolve;
    try {
      this.send(payload, resolve);
      await promise;
    } finally {
      this.#wake = undefined;
      clearTimeout(timer);
    }
    if (this.#ended !== undefined && !this.hasUnread) throw this.#ended;
  }

  /** Whether the server has said something that was not read. */
  get hasUnread(): boolean {
    return this.#queue.length > 0 || this.to > this.from;
  }

  /** Closes at once; whoever waits for the server is told. */
  destroy(): void {
    this.#close();
    this.#socket.destroy();
  }

  #close(): void {
    this.#ended ??= new MysqlConnectionError("closed", "the connection was closed", true);
    this.#wake?.();
  }

  /** Sends COM_QUIT and closes; whoever waits for the server is told. */
  quit(): void {
    if (this.#ended === undefined) {
      this.command(Buffer.of(1));
      this.#socket.end(() => this.#socket.destroy());
      // A frozen server may never take what is on its way.
      setTimeout(() => this.#socket.destroy(), goodByeMs).unref();
    }
    this.#close();
    this.#socket.resume();
  }
}

/** The length in a packet's header. */
export function packetLength(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16);
}
