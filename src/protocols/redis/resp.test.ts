import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Reply } from "./resp.ts";
import { encodeCommand, encodeCommands, ReplyParser, RespError, RespSyntaxError } from "./resp.ts";

test("commands are arrays of bulk strings, lengths in bytes", () => {
  assert.equal(encodeCommand(["SET", "é", 12]).toString(), "*3\r\n$3\r\nSET\r\n$2\r\né\r\n$2\r\n12\r\n");
  assert.deepEqual(
    encodeCommand(["GET", Uint8Array.of(0, 13, 10, 255)]),
    Buffer.from("*2\r\n$3\r\nGET\r\n$4\r\n\0\r\n\xff\r\n", "latin1"),
  );
  const both = [["PING"], ["EXISTS", "a".repeat(100)]] as const;
  assert.deepEqual(encodeCommands(both), Buffer.concat(both.map(encodeCommand)));
});

const replyArbitrary = fc.letrec<{ reply: Reply }>((tie) => ({
  reply: fc.oneof(
    { depthSize: "small", maxDepth: 5 },
    fc.stringMatching(/^[a-z ]*$/),
    fc.maxSafeInteger(),
    fc.bigInt({ min: 2n ** 60n, max: 2n ** 63n - 1n }),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.constant(null),
    fc.constant(new RespError("WRONGTYPE no")),
    fc.array(tie("reply"), { maxLength: 5 }),
  ),
})).reply;

function encodeReply(reply: Reply): Buffer {
  if (reply === null) return Buffer.from("$-1\r\n");
  if (typeof reply === "string") return Buffer.from(`+${reply}\r\n`);
  if (typeof reply === "number" || typeof reply === "bigint") return Buffer.from(`:${reply}\r\n`);
  if (reply instanceof RespError) return Buffer.from(`-${reply.text}\r\n`);
  if (Array.isArray(reply)) return Buffer.concat([Buffer.from(`*${reply.length}\r\n`), ...reply.map(encodeReply)]);
  return Buffer.concat([Buffer.from(`$${reply.length}\r\n`), reply, Buffer.from("\r\n")]);
}

function parseAll(parser: ReplyParser, pieces: readonly Buffer[]): Reply[] {
  const replies: Reply[] = [];
  for (const piece of pieces) {
    parser.push(piece);
    for (let reply = parser.next(); reply !== undefined; reply = parser.next()) replies.push(reply);
  }
  return replies;
}

test("replies are the same however the bytes are cut", () => {
  fc.assert(
    fc.property(
      fc.array(replyArbitrary, { maxLength: 5 }),
      fc.array(fc.nat(40), { maxLength: 60 }),
      (replies, cuts) => {
        const bytes = Buffer.concat(replies.map(encodeReply));
        const pieces: Buffer[] = [];
        let at = 0;
        for (const cut of cuts) {
          pieces.push(bytes.subarray(at, at + cut));
          at = Math.min(bytes.length, at + cut);
        }
        pieces.push(bytes.subarray(at));
        assert.deepEqual(parseAll(new ReplyParser(), pieces), replies);
      },
    ),
  );
});

test("what follows the last reply can be taken over", () => {
  const parser = new ReplyParser();
  assert.deepEqual(parseAll(parser, [Buffer.from("+OK\r\nREDIS0011")]), ["OK"]);
  assert.equal(parser.takeRest().toString(), "REDIS0011");
  assert.equal(parser.takeRest().length, 0);
});

test("replies beyond the bounds, and what is no RESP, are errors", () => {
  const bad: [string, RegExp][] = [
    ["$2000\r\n", /bound of 1000/],
    ["*2000\r\n", /bound of 1000/],
    ["$-2\r\n", /length/],
    ["$\r\n", /length/],
    ["*12x\r\n", /CR LF/],
    ["$x\r\n", /length/],
    [":1.5\r\n", /integer/],
    ["$1\r\nabc", /CR LF/],
    ["HTTP/1.1 400\r\n", /type byte/],
    ["*1\r\n".repeat(40), /nested/],
    ["+" + "x".repeat(70_000), /without end/],
    ["*1000\r\n" + "*1000\r\n:1\r\n".repeat(2) + ":1\r\n".repeat(1000), /beyond the bound/],
  ];
  for (const [text, message] of bad) {
    const parser = new ReplyParser({ bulkBytesMax: 1000, elementsMax: 1000, replyBytesMax: 10_000 });
    assert.throws(
      () => parseAll(parser, [Buffer.from(text)]),
      (error) => error instanceof RespSyntaxError && message.test(error.message),
      text.slice(0, 40),
    );
  }
});

test("a large value in small pieces is copied once", () => {
  const value = Buffer.alloc(20 << 20, 7);
  const bytes = encodeReply(value);
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 4096) pieces.push(bytes.subarray(at, at + 4096));
  const start = performance.now();
  const [reply] = parseAll(new ReplyParser(), pieces);
  assert.ok(value.equals(reply as Buffer));
  assert.ok(performance.now() - start < 5000);
});

test("any bytes are replies, too few, or an error", () => {
  const soup = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc
      .array(fc.constantFrom("*", "$", ":", "+", "-", "1", "2", "-1", "\r\n", "a"), { maxLength: 60 })
      .map((parts) => Buffer.from(parts.join(""))),
  );
  fc.assert(
    fc.property(soup, (bytes) => {
      try {
        parseAll(new ReplyParser({ bulkBytesMax: 1000, elementsMax: 1000 }), [bytes]);
      } catch (error) {
        assert.ok(error instanceof RespSyntaxError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});
