import { messageOf } from "../../model/errors.ts";
import type { RedisConnection } from "./client.ts";
import { connectionLost, replyError, serverTimedOut } from "./redis-errors.ts";
import { RespError } from "./resp.ts";

/** Bytes that are given to the socket and not taken by it yet. */
const windowBytes = 4 << 20;

const plus = 0x2b;
const minus = 0x2d;
const colon = 0x3a;
const newline = 0x0a;
const errorBytesMax = 1024;

/**
 * Sends commands that are already bytes, any number of them, and counts their replies, which must be lines (`+OK`, a number): a million
 * replies cost some milliseconds, where a parser of all RESP takes most of a second.
 */
export interface BulkSender extends Disposable {
  /** Resolves when there is room for more; `taken` is called when the memory is free again. Throws the first error reply, and what ended the connection. */
  send(bytes: Uint8Array, taken: () => void): Promise<void>;
  /** Resolves when `commands` replies have come. */
  finish(commands: number): Promise<void>;
}

export interface BulkOptions {
  /** How long the server may say nothing while replies are missing. */
  readonly timeoutMs: number;
}

/** Takes the connection over. */
export function openBulkSender(connection: RedisConnection, { timeoutMs }: BulkOptions): BulkSender {
  const { address, user } = connection;
  const { socket } = connection.detach();
  let failure: Error | undefined;
  let underWay = 0;
  let replies = 0;
  let wanted = Infinity;
  let isLineStart = true;
  let errorText: number[] | undefined;
  let lastHeard = performance.now();
  const wakers = new Set<() => void>();
  const wake = (): void => {
    wakers.forEach((waker) => waker());
  };
  const fail = (error: Error): void => {
    failure ??= error;
    socket.destroy();
    wake();
  };
  const changed = (): Promise<void> =>
    new Promise((resolve) => {
      const waker = (): void => {
        wakers.delete(waker);
        resolve();
      };
      wakers.add(waker);
    });

  function take(data: Buffer): void {
    for (let at = 0; at < data.length; at++) {
      const byte = data[at];
      if (isLineStart) {
        isLineStart = false;
        if (byte === minus) errorText = [];
        else if (byte !== plus && byte !== colon) {
          fail(connectionLost(address, "(it sent what is no reply to the command)"));
          return;
        }
      } else if (byte === newline) {
        isLineStart = true;
        replies++;
        if (errorText !== undefined) {
          const text = Buffer.from(errorText).toString("utf8").trimEnd();
          errorText = undefined;
          fail(replyError(new RespError(text), ["write"], { address, user }));
          return;
        }
      } else if (errorText !== undefined && errorText.length < errorBytesMax) errorText.push(byte);
    }
  }
  socket.on("data", (data: Buffer) => {
    lastHeard = performance.now();
    take(data);
    if (replies >= wanted) wake();
  });
  socket.on("error", (error) => fail(connectionLost(address, `(${messageOf(error)})`)));
  socket.on("close", () => fail(connectionLost(address, "(the server closed it)")));
  socket.resume();
  const timer = setInterval(
    () => {
      if (wakers.size > 0 && performance.now() - lastHeard > timeoutMs) {
        fail(serverTimedOut(address, timeoutMs, "while it was being filled"));
      }
    },
    Math.min(1000, timeoutMs),
  );

  async function settle(isDone: () => boolean): Promise<void> {
    if (!isDone() && failure === undefined) lastHeard = performance.now();
    while (!isDone() && failure === undefined) await changed();
    if (failure !== undefined) throw failure;
  }

  return {
    async send(bytes, taken) {
      if (failure !== undefined) throw failure;
      underWay += bytes.length;
      socket.write(bytes, () => {
        underWay -= bytes.length;
        taken();
        wake();
      });
      await settle(() => underWay <= windowBytes);
    },
    async finish(commands) {
      wanted = commands;
      await settle(() => replies >= commands);
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      failure ??= new Error("the connection is closed");
      socket.destroy();
      wake();
    },
  };
}
