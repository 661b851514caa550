import assert from "node:assert/strict";
import { test } from "node:test";
import { CairnError } from "../../model/errors.ts";
import { requireFits } from "./limits.ts";

test("refuses what is above a limit, naming it", () => {
  const limits = { "node.inode": 2n ** 63n - 1n };
  requireFits("SQLite", limits, { "node.inode": "9223372036854775807", "node.uid": "4294967295" });
  requireFits("SQLite", limits, {});
  assert.throws(
    () => requireFits("SQLite", limits, { "node.inode": "9223372036854775808" }),
    (error: unknown) =>
      error instanceof CairnError &&
      error.code === "does-not-fit" &&
      error.exit === "targetRefused" &&
      /node\.inode/.test(error.message),
  );
});
