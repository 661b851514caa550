import { randomBytes } from "node:crypto";
import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:net";
import { CairnError, messageOf } from "../../model/errors.ts";

/** What a server that follows us must prove of itself. */
export interface ServeOptions {
  /** The local address to listen on. */
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Addresses that the connection may come from. */
  readonly allowed: readonly string[];
  /** How long the server may take until it asks for the data. */
  readonly connectTimeoutMs: number;
  /** How long it may take nothing while there is something to take. */
  readonly stallTimeoutMs: number;
}

/**
 * A primary for one full synchronisation (`replication.c`): a server that was told `REPLICAOF` to us connects, and gets a state that is made
 * while it is sent. Anyone else is turned away; a second synchronisation is refused.
 */
export interface RdbServer extends AsyncDisposable {
  readonly port: number;
  /** Sends bytes of the RDB; waits for the server to ask, and for room. `taken` is called when the memory is free again. Throws `replica-not-served`. */
  send(bytes: Uint8Array, taken: () => void): Promise<void>;
  /** The RDB is complete; the link stays open until disposed, so that the server need not look for it again. */
  end(): Promise<void>;
}

const windowBytes = 4 << 20;
/** A server drops a primary that says nothing for its `repl-timeout`, 60 s by default. */
const pingMs = 5000;
const lineBytesMax = 64 << 10;

export async function openRdbServer(options: ServeOptions): Promise<RdbServer> {
  const replicationId = randomBytes(20).toString("hex");
  const endMark = randomBytes(20).toString("hex");
  const server = createServer({ pauseOnConnect: false });
  const asked = Promise.withResolvers<Socket>();
  asked.promise.catch(() => {});
  let chosen: Socket | undefined;
  let failure: Error | undefined;
  let underWay = 0;
  let isEnded = false;
  const wakers = new Set<() => void>();
  const wake = (): void => {
    wakers.forEach((waker) => waker());
  };
  function fail(why: string): void {
    failure ??= new CairnError("replica-not-served", `Redis did not take the restored data: ${why}`, {
      exit: "targetRefused",
      next: "look into the server's log; or restore without --dedicated",
    });
    asked.reject(failure);
    wake();
  }

  server.on("connection", (socket) => {
    socket.on("error", (error) => {
      if (socket === chosen) fail(messageOf(error));
    });
    if (!options.allowed.includes(plainAddress(socket.remoteAddress ?? "")) || chosen !== undefined) {
      socket.destroy();
      return;
    }
    const handshake = new Handshake(replicationId, endMark);
    socket.setNoDelay(true);
    socket.on("data", (data: Buffer) => {
      if (chosen === socket) return;
      const { answer, error, isAsked } = handshake.take(data);
      if (error !== undefined) {
        socket.destroy();
        fail(error);
        return;
      }
      if (answer !== "") socket.write(answer);
      if (isAsked && chosen === undefined) {
        chosen = socket;
        asked.resolve(socket);
      }
    });
    socket.on("close", () => {
      if (socket === chosen && !isEnded) fail("it closed the connection before it had everything");
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: options.host, port: options.port, exclusive: true }, resolve);
  });
  server.on("error", (error) => fail(messageOf(error)));
  const deadline = setTimeout(
    () => fail(`it did not connect to ${options.host} within ${Math.round(options.connectTimeoutMs / 1000)} s`),
    options.connectTimeoutMs,
  );
  asked.promise.then(
    () => clearTimeout(deadline),
    () => clearTimeout(deadline),
  );
  // From the moment that everything is sent. Its replies are not looked at.
  const pings = setInterval(() => {
    if (isEnded && chosen?.writable === true) chosen.write("*1\r\n$4\r\nPING\r\n");
  }, pingMs);

  async function settle(isDone: () => boolean): Promise<void> {
    let last = underWay;
    let since = performance.now();
    while (!isDone() && failure === undefined) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        const waker = (): void => {
          clearTimeout(timer);
          wakers.delete(waker);
          resolve();
        };
        wakers.add(waker);
      });
      if (underWay !== last) {
        last = underWay;
        since = performance.now();
      } else if (performance.now() - since > options.stallTimeoutMs) {
        fail(`it took nothing for ${Math.round(options.stallTimeoutMs / 1000)} s`);
      }
    }
    if (failure !== undefined) throw failure;
  }
  async function send(bytes: Uint8Array | string, taken: () => void): Promise<void> {
    const socket = await asked.promise;
    if (failure !== undefined) throw failure;
    underWay += bytes.length;
    socket.write(bytes, () => {
      underWay -= bytes.length;
      taken();
      wake();
    });
    await settle(() => underWay <= windowBytes);
  }

  return {
    port: (server.address() as AddressInfo).port,
    send,
    async end() {
      await send(endMark, () => {});
      await settle(() => underWay === 0);
      isEnded = true;
    },
    async [Symbol.asyncDispose]() {
      isEnded = true;
      clearTimeout(deadline);
      clearInterval(pings);
      asked.reject(new Error("no longer served"));
      chosen?.destroy();
      server.close();
    },
  };
}

/** An IPv4 address that comes mapped into IPv6, as itself. */
export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, "");
}

/** What a replica says before it gets data: PING, AUTH, REPLCONF …, PSYNC, each an array of bulk strings. */
class Handshake {
  readonly #replicationId: string;
  readonly #endMark: string;
  #buffered = Buffer.alloc(0);
  #knowsEndMarks = false;

  constructor(replicationId: string, endMark: string) {
    this.#replicationId = replicationId;
    this.#endMark = endMark;
  }

  take(data: Buffer): { answer: string; error?: string; isAsked: boolean } {
    this.#buffered = Buffer.concat([this.#buffered, data]);
    if (this.#buffered.length > lineBytesMax) return { answer: "", error: "it sent no handshake", isAsked: false };
    if (this.#buffered[0] === 0x16) {
      return {
        answer: "",
        error: "it speaks TLS to its primary (tls-replication), which this way of restoring cannot",
        isAsked: false,
      };
    }
    let answer = "";
    for (;;) {
      const command = this.#next();
      if (command === undefined) return { answer, isAsked: false };
      const [name = "", ...rest] = command;
      switch (name.toUpperCase()) {
        case "PING":
          answer += "+PONG\r\n";
          break;
        // A `masterauth` of the server: there is nothing here that a password protects.
        case "AUTH":
        case "REPLCONF":
          if (rest.some((word) => word.toLowerCase() === "eof")) this.#knowsEndMarks = true;
          answer += "+OK\r\n";
          break;
        case "PSYNC":
          if (!this.#knowsEndMarks) {
            return { answer, error: "it takes no data of unknown length (Redis before 4.0?)", isAsked: false };
          }
          answer += `+FULLRESYNC ${this.#replicationId} 0\r\n$EOF:${this.#endMark}\r\n`;
          return { answer, isAsked: true };
        default:
          answer += "-ERR only for one synchronisation\r\n";
      }
    }
  }

  /** The next whole command, taken off the buffer. */
  #next(): string[] | undefined {
    const text = this.#buffered.toString("latin1");
    const head = /^\*(\d{1,3})\r\n/.exec(text);
    if (head === null) return undefined;
    let at = head[0].length;
    const words: string[] = [];
    for (let count = Number(head[1]); count > 0; count--) {
      const length = /^\$(\d{1,5})\r\n/.exec(text.slice(at, at + 16));
      if (length === null) return undefined;
      const start = at + length[0].length;
      const end = start + Number(length[1]);
      if (end + 2 > text.length) return undefined;
      words.push(text.slice(start, end));
      at = end + 2;
    }
    this.#buffered = this.#buffered.subarray(at);
    return words;
  }
}
