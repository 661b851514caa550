import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import type { MetaPlace } from "./meta-url.ts";

/** A reply of Redis: text of a status, a number, bytes or null, a list, or an error that the server gave. */
export type Reply = string | bigint | Buffer | null | Reply[] | RedisReplyError;

export class RedisReplyError {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

export interface RedisClient extends AsyncDisposable {
  /** Sends commands at once and gives the replies in order. */
  pipeline(commands: readonly (readonly (string | Buffer)[])[]): Promise<Reply[]>;
  /** One command; throws where the server replies with an error. */
  call(...command: (string | Buffer)[]): Promise<Reply>;
}

/** Connects to the server and database of a URL, with its user and password. A client of the tests' own: RESP2, no more than they need. */
export async function openRedis(place: Extract<MetaPlace, { engine: "redis" }>): Promise<RedisClient> {
  const socket = place.socket === undefined ? connect(place.port, place.host) : connect(place.socket);
  await once(socket, "connect");
  const replies = readReplies(socket);
  const client: RedisClient = {
    async pipeline(commands) {
      socket.write(Buffer.concat(commands.map(encodeCommand)));
      const got: Reply[] = [];
      while (got.length < commands.length) {
        const next = await replies.next();
        if (next.done === true) throw new Error("Redis closed the connection");
        got.push(next.value);
      }
      return got;
    },
    async call(...command) {
      const [reply] = await client.pipeline([command]);
      if (reply instanceof RedisReplyError) throw new Error(`${String(command[0])}: ${reply.message}`);
      return reply;
    },
    async [Symbol.asyncDispose]() {
      socket.destroy();
    },
  };
  if (place.password !== "") {
    await client.call("AUTH", ...(place.user === "" ? [] : [place.user]), place.password);
  }
  if (place.database !== 0) await client.call("SELECT", String(place.database));
  return client;
}

function encodeCommand(words: readonly (string | Buffer)[]): Buffer {
  const parts = words.flatMap((word) => {
    const bytes = Buffer.from(word as Buffer);
    return [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n")];
  });
  return Buffer.concat([Buffer.from(`*${words.length}\r\n`), ...parts]);
}

/** Replies as they come in. Lists under way are kept on a stack, so that a large one is not parsed again for every piece of it. */
async function* readReplies(socket: Socket): AsyncGenerator<Reply, undefined> {
  const lists: { items: Reply[]; left: number }[] = [];
  let buffer: Buffer = Buffer.alloc(0);
  for await (const piece of socket as AsyncIterable<Buffer>) {
    buffer = buffer.length === 0 ? piece : Buffer.concat([buffer, piece]);
    let at = 0;
    for (;;) {
      const end = buffer.indexOf("\r\n", at);
      if (end < 0) break;
      const kind = String.fromCharCode(buffer[at]);
      const text = buffer.toString("latin1", at + 1, end);
      let next = end + 2;
      let reply: Reply;
      if (kind === "$" && text !== "-1") {
        const length = Number(text);
        if (buffer.length < next + length + 2) break;
        reply = Buffer.from(buffer.subarray(next, next + length));
        next += length + 2;
      } else if (kind === "*" && Number(text) > 0) {
        lists.push({ items: [], left: Number(text) });
        at = next;
        continue;
      } else {
        reply = shortReply(kind, text);
      }
      at = next;
      for (;;) {
        const list = lists.at(-1);
        if (list === undefined) {
          yield reply;
          break;
        }
        list.items.push(reply);
        list.left -= 1;
        if (list.left > 0) break;
        lists.pop();
        reply = list.items;
      }
    }
    buffer = buffer.subarray(at);
  }
}

function shortReply(kind: string, text: string): Reply {
  switch (kind) {
    case "+":
      return text;
    case "-":
      return new RedisReplyError(text);
    case ":":
      return BigInt(text);
    case "*":
      return text === "-1" ? null : [];
    case "$":
      return null;
    default:
      throw new Error(`Redis sent a reply of the kind ${JSON.stringify(kind)}`);
  }
}
