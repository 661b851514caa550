import assert from "node:assert/strict";
import { closeSync, copyFileSync, openSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";

import { openReadConnection } from "./connection.ts";
import { queryRows, scratchFolder, startClient } from "./testing.ts";
import { readWalHeader, recoverWal, walChecksum, walFrameHeaderBytes, walHeaderBytes } from "./wal.ts";
import type { WalCommit } from "./wal.ts";
import { readWalIndexHeader, readWalIndexPages } from "./wal-index.ts";

/** A database whose log holds several commits, left behind by a client that died. */
async function leftLog(context: TestContext, folder: string, commits: string[], pageSize = 512): Promise<string> {
  const path = join(folder, "left.db");
  const client = await startClient(context, path);
  await client.run(
    `PRAGMA page_size = ${pageSize}; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (a INTEGER PRIMARY KEY, b)`,
  );
  await client.run("PRAGMA wal_checkpoint(TRUNCATE)");
  for (const commit of commits) await client.run(commit);
  await client.end("kill");
  return path;
}

function recovered(walPath: string): WalCommit | undefined {
  const fd = openSync(walPath, "r");
  try {
    const header = readWalHeader(fd, walPath);
    return header === undefined ? undefined : recoverWal(fd, header);
  } finally {
    closeSync(fd);
  }
}

const insertMany = (count: number): string =>
  `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${count}) INSERT INTO t (b) SELECT randomblob(i % 90) FROM c`;

test("finds the last whole commit wherever a log is cut off or damaged, as SQLite does", async (context) => {
  const folder = scratchFolder(context);
  const path = await leftLog(context, folder, [
    insertMany(20),
    "UPDATE t SET b = 1 WHERE a = 3",
    insertMany(60),
    "DELETE FROM t WHERE a < 10",
  ]);
  const wal = readFileSync(`${path}-wal`);
  const frames = (wal.length - walHeaderBytes) / (512 + walFrameHeaderBytes);
  assert.equal(recovered(`${path}-wal`)?.frame, frames);

  const copy = join(folder, "copy.db");
  const check = (damaged: Buffer, what: string): number => {
    copyFileSync(path, copy);
    writeFileSync(`${copy}-wal`, damaged);
    const ours = recovered(`${copy}-wal`);
    const theirs = openReadConnection(copy, 0);
    try {
      const seen = theirs.rows("PRAGMA page_count")[0][0];
      const fd = openSync(`${copy}-shm`, "r");
      const index = readWalIndexHeader(fd);
      assert.equal(ours?.frame ?? 0, index?.lastFrame, what);
      if (ours !== undefined && ours.frame > 0) {
        assert.equal(BigInt(ours.pageCount), seen, what);
        assert.deepEqual(readWalIndexPages(fd, 1, ours.frame), ours.pages.slice(), what);
      }
      closeSync(fd);
    } finally {
      theirs.close();
      truncateSync(`${copy}-shm`);
    }
    return ours?.frame ?? 0;
  };
  const found = new Set<number>();
  for (let cut = 0; cut <= wal.length; cut += 131) found.add(check(wal.subarray(0, cut), `cut at ${cut}`));
  found.add(check(wal, "whole"));
  assert.deepEqual(found.size, 5, "no commit, and each of the four");
  for (let at = 0; at < wal.length; at += 97) {
    const damaged = Buffer.from(wal);
    damaged[at] ^= 1 << (at % 8);
    // The version is no part of what SQLite falls back from: it refuses to open the log, and so do we.
    if (at >= 4 && at < 8) continue;
    check(damaged, `flipped at ${at}`);
  }
});

test("adds up checksums in either byte order", async (context) => {
  const folder = scratchFolder(context);
  const path = await leftLog(context, folder, [insertMany(30), insertMany(5)]);
  const expected = recovered(`${path}-wal`);
  const wal = readFileSync(`${path}-wal`);
  const wasBig = wal.readUInt32BE(0) === 0x377f0683;
  wal.writeUInt32BE(wasBig ? 0x377f0682 : 0x377f0683, 0);
  let sum = walChecksum(wal, 0, 24, 0, 0, !wasBig);
  wal.writeUInt32BE(sum[0], 24);
  wal.writeUInt32BE(sum[1], 28);
  const frameBytes = 512 + walFrameHeaderBytes;
  for (let at = walHeaderBytes; at < wal.length; at += frameBytes) {
    sum = walChecksum(wal, at, at + 8, sum[0], sum[1], !wasBig);
    sum = walChecksum(wal, at + walFrameHeaderBytes, at + frameBytes, sum[0], sum[1], !wasBig);
    wal.writeUInt32BE(sum[0], at + 16);
    wal.writeUInt32BE(sum[1], at + 20);
  }
  writeFileSync(`${path}-wal`, wal);
  assert.deepEqual(recovered(`${path}-wal`), expected);
  assert.deepEqual(queryRows(path, "SELECT count(*) FROM t"), [[35n]], "SQLite takes the rewritten log, too");
});

test("reads page numbers across the blocks of a wal-index", async (context) => {
  const folder = scratchFolder(context);
  const path = join(folder, "a.db");
  const client = await startClient(context, path);
  await client.run(
    "PRAGMA page_size = 512; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (a INTEGER PRIMARY KEY, b)",
  );
  await client.run("INSERT INTO t VALUES (1, zeroblob(6500000))");
  const fd = openSync(`${path}-shm`, "r");
  context.after(() => closeSync(fd));
  const index = readWalIndexHeader(fd);
  const commit = recovered(`${path}-wal`);
  assert.ok(index !== undefined && commit !== undefined);
  assert.equal(index.lastFrame, commit.frame);
  assert.ok(commit.frame > 4062 + 2 * 4096, `${commit.frame} frames`);
  assert.equal(index.pageCount, commit.pageCount);
  assert.deepEqual(readWalIndexPages(fd, 1, commit.frame), commit.pages.slice());
  for (const [from, to] of [
    [4060, 4065],
    [4062, 4062],
    [4063, 4063],
    [8158, 8160],
    [9000, 9000],
  ]) {
    assert.deepEqual(readWalIndexPages(fd, from, to), commit.pages.slice(from - 1, to));
  }
});
