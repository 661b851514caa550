import assert from "node:assert/strict";
import test from "node:test";
import { LiveLine } from "./live-line.ts";

function collector(isTTY: boolean) {
  const written: string[] = [];
  const write = (chunk: string | Uint8Array): boolean => written.push(String(chunk)) > 0;
  return { written, stream: { write, once: () => undefined, isTTY, columns: 60 } };
}

test("a terminal gets one line at most every 100 ms, within its width", () => {
  const { written, stream } = collector(true);
  let now = 1_000_000;
  const live = new LiveLine(stream, { now: () => now });
  for (let done = 0; done <= 1000; done += 1) {
    now += 1;
    live.report({ phase: "read", done, total: 2000, unit: "records" });
  }
  assert.ok(written.length <= 11, String(written.length));
  assert.match(
    (written.at(-1) ?? "").replace("\r\u001B[K", ""),
    /^read {2}\d+% {2}[\d,]+ records {2}1,000\/s {2}1\.\d\d s left$/,
  );
  for (const line of written) assert.ok(line.length <= 60 + 4);
  live.clear();
  live.clear();
  assert.equal(written.filter((line) => line === "\r\u001B[K").length, 1);
});

test("a log gets a line every 15 seconds, and nothing of a short run", () => {
  const { written, stream } = collector(false);
  let now = 0;
  const live = new LiveLine(stream, { now: () => now });
  for (let second = 0; second < 40; second += 1) {
    now = second * 1000;
    live.report({ phase: "read", done: second * 1e6, unit: "bytes" });
  }
  assert.equal(written.length, 2);
  assert.match(written[0], /^read {2}14\.3 MiB {2}977 KiB\/s\n$/);
});
