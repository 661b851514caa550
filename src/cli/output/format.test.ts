import assert from "node:assert/strict";
import test from "node:test";
import { alignColumns, formatBytes, formatCount, formatNanotime, formatSeconds, formatTime } from "./format.ts";
import { deviceNumbers, modeString } from "./mode.ts";

test("sizes", () => {
  assert.equal(formatBytes(0), "0 B");
  assert.equal(formatBytes(1023), "1023 B");
  assert.equal(formatBytes(1024), "1.0 KiB");
  assert.equal(formatBytes(1024 ** 2 - 1), "1.0 MiB");
  assert.equal(formatBytes(150 * 1024), "150 KiB");
  assert.equal(formatBytes(2 ** 62), "4.0 EiB");
});

test("counts and times", () => {
  assert.equal(formatCount(1_234_567), "1,234,567");
  assert.equal(formatCount(2n ** 63n), "9,223,372,036,854,775,808");
  assert.equal(formatSeconds(0.421), "0.42 s");
  assert.equal(formatSeconds(59.94), "59.9 s");
  assert.equal(formatSeconds(245), "4 min 05 s");
  assert.equal(formatSeconds(7380), "2 h 03 min");
  assert.match(formatTime(0), /^19(69|70)-\d\d-\d\d \d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$/);
  assert.match(formatNanotime(0n, 120_000_000), /:\d\d:\d\d\.12(Z|[+-])/);
  assert.equal(formatNanotime(2n ** 62n, 0), "4611686018427387904 s");
});

test("columns", () => {
  assert.deepEqual(
    alignColumns(
      [
        ["a", "1", "x"],
        ["bb", "22", ""],
      ],
      [1],
    ),
    ["a    1  x", "bb  22"],
  );
});

test("modes as ls prints them", () => {
  assert.equal(modeString(1, 0o644), "-rw-r--r--");
  assert.equal(modeString(2, 0o1777), "drwxrwxrwt");
  assert.equal(modeString(1, 0o4755), "-rwsr-xr-x");
  assert.equal(modeString(1, 0o6644), "-rwSr-Sr--");
  assert.equal(modeString(2, 0o1666), "drw-rw-rwT");
  assert.equal(modeString(3, 0o777), "lrwxrwxrwx");
  assert.equal(modeString(6, 0), "c---------");
  assert.equal(deviceNumbers(0x0801), "8, 1");
  assert.equal(deviceNumbers(0x12345678), "1110, 74616");
});
