/** A connection of the tests' own to a Redis server (RESP2), so that they prepare and look at data without any code under test. */
import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";

/** Bulk strings are buffers; an error reply rejects, or stands as an `Error` inside an array. */
export type RedisReply = string | bigint | null | Buffer | Error | RedisReply[];

export interface RedisConnection extends AsyncDisposable {
  /** Sends one command; replies come in order, so several may be under way. */
  command: (...words: (string | number | Uint8Array)[]) => Promise<RedisReply>;
  /** The same; gives the reply as text (`""` for none). */
  text: (...words: (string | number | Uint8Array)[]) => Promise<string>;
}

interface Waiting {
  done: (reply: RedisReply) => void;
  fail: (error: Error) => void;
}

/** Connects over a Unix socket or to a port of 127.0.0.1; rejects when nothing listens there. */
export async function connectRedis(place: { path: string } | { port: number }): Promise<RedisConnection> {
  const socket = connect("path" in place ? place : { port: place.port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  const waiting: Waiting[] = [];
  readReplies(socket, waiting);
  const command = (...words: (string | number | Uint8Array)[]): Promise<RedisReply> =>
    new Promise((done, fail) => {
      if (socket.destroyed) {
        fail(new Error("the connection to Redis is closed"));
        return;
      }
      waiting.push({ done, fail });
      socket.write(encodeCommand(words));
    });
  return {
    command,
    text: async (...words) => {
      const reply = await command(...words);
      return reply === null ? "" : String(reply);
    },
    [Symbol.asyncDispose]: async () => {
      if (socket.destroyed) return;
      socket.destroy();
      await once(socket, "close");
    },
  };
}

function encodeCommand(words: readonly (string | number | Uint8Array)[]): Buffer {
  const parts: Uint8Array[] = [Buffer.from(`*${words.length}\r\n`)];
  for (const word of words) {
    const bytes = word instanceof Uint8Array ? word : Buffer.from(String(word));
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n"));
  }
  return Buffer.concat(parts);
}

function readReplies(socket: Socket, waiting: Waiting[]): void {
  let chunks: Buffer[] = [];
  // Enough bytes for the reply that is being read, as far as its length is known: spares joining a large one again and again.
  let wanted = 0;
  let size = 0;
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    size += chunk.length;
    if (size < wanted) return;
    let buffer = Buffer.concat(chunks);
    let parsed = parseReply(buffer, 0);
    while (parsed.reply !== undefined) {
      const next = waiting.shift();
      if (parsed.reply instanceof Error) next?.fail(parsed.reply);
      else next?.done(parsed.reply);
      buffer = buffer.subarray(parsed.end);
      parsed = parseReply(buffer, 0);
    }
    chunks = buffer.length === 0 ? [] : [buffer];
    size = buffer.length;
    wanted = parsed.end;
  });
  const failAll = (error: Error): void => {
    for (const each of waiting.splice(0)) each.fail(error);
  };
  socket.on("error", failAll);
  socket.on("close", () => failAll(new Error("the connection to Redis was closed")));
}

/** `reply` is undefined when bytes are missing; `end` is then the least number of bytes that it takes to go on. */
function parseReply(buffer: Buffer, start: number): { reply: RedisReply | undefined; end: number } {
  const lineEnd = buffer.indexOf("\r\n", start);
  if (lineEnd < 0) return { reply: undefined, end: buffer.length + 1 };
  const line = buffer.toString("utf8", start + 1, lineEnd);
  const after = lineEnd + 2;
  switch (buffer[start]) {
    case 0x2b: // +
      return { reply: line, end: after };
    case 0x2d: // -
      return { reply: new Error(line), end: after };
    case 0x3a: // :
      return { reply: BigInt(line), end: after };
    case 0x24: {
      // $
      const length = Number(line);
      if (length < 0) return { reply: null, end: after };
      const end = after + length + 2;
      if (buffer.length < end) return { reply: undefined, end };
      return { reply: Buffer.from(buffer.subarray(after, after + length)), end };
    }
    case 0x2a: {
      // *
      const count = Number(line);
      if (count < 0) return { reply: null, end: after };
      const items: RedisReply[] = [];
      let position = after;
      for (let index = 0; index < count; index += 1) {
        const item = parseReply(buffer, position);
        if (item.reply === undefined) return item;
        items.push(item.reply);
        position = item.end;
      }
      return { reply: items, end: position };
    }
    default:
      throw new Error(`Redis sent a reply of an unknown type: ${line.slice(0, 80)}`);
  }
}
