import type { RedisConnection } from "../peers/redis-connection.ts";

/** JuiceFS' binary attribute, 72 bytes, with the fields that matter to a test. */
export function attribute(fields: { type: number; nlink: number; length: number; parent: number }): Buffer {
  const bytes = Buffer.alloc(72);
  bytes.writeUInt16BE((fields.type << 12) | 0o755, 1);
  bytes.writeUInt32BE(1000, 3);
  bytes.writeUInt32BE(1000, 7);
  for (const at of [11, 23, 35]) bytes.writeBigInt64BE(1_795_264_395n, at);
  bytes.writeUInt32BE(fields.nlink, 47);
  bytes.writeBigUInt64BE(BigInt(fields.length), 51);
  bytes.writeBigUInt64BE(BigInt(fields.parent), 63);
  return bytes;
}

function entry(type: number, inode: number): Buffer {
  const bytes = Buffer.alloc(9);
  bytes[0] = type;
  bytes.writeBigUInt64BE(BigInt(inode), 1);
  return bytes;
}

function slice(id: number, size: number): Buffer {
  const bytes = Buffer.alloc(24);
  bytes.writeBigUInt64BE(BigInt(id), 4);
  bytes.writeUInt32BE(size, 12);
  bytes.writeUInt32BE(size, 20);
  return bytes;
}

export const volumeSetting = JSON.stringify({
  Name: "keys",
  UUID: "5c5bd6ae-3b7a-4d0f-9d86-6f6f1f0f3a11",
  Storage: "file",
  Bucket: "/var/jfs/",
  BlockSize: 4096,
  TrashDays: 1,
  MetaVersion: 1,
});

/**
 * Writes a small volume as JuiceFS has it in Redis (`pkg/meta/redis.go`), one record of every kind at least: files in three directories, hard
 * links, a clone that shares slices, deleted files, statistics, quotas, ACLs, sessions and locks.
 */
export async function writeVolumeKeys(connection: RedisConnection, files = 40, prefix = ""): Promise<void> {
  const command = (name: string, key: string, ...words: (string | number | Uint8Array)[]): Promise<unknown> =>
    connection.command(name, prefix + key, ...words);
  await command("SET", "setting", volumeSetting);
  await command("SET", "i1", attribute({ type: 2, nlink: 3, length: 4096, parent: 1 }));
  await command("SET", "i9223372032828243968", attribute({ type: 2, nlink: 2, length: 4096, parent: 1 }));
  await command("SET", "i2", attribute({ type: 2, nlink: 2, length: 4096, parent: 1 }));
  await command("HSET", "d1", "directory", entry(2, 2));
  for (let at = 0; at < files; at++) {
    const inode = 10 + at;
    await command("SET", `i${inode}`, attribute({ type: 1, nlink: 1, length: 5000 + at, parent: 2 }));
    await command("HSET", "d2", `file ${at} \u00e4\u{1f600}`, entry(1, inode));
    await command("RPUSH", `c${inode}_0`, slice(100 + at, 5000 + at), ...(at % 5 === 0 ? [slice(900 + at, 64)] : []));
    if (at % 4 === 0) await command("HSET", `x${inode}`, "user.name", `value ${at}`, "user.empty", "");
  }
  await command("SET", "i3", attribute({ type: 3, nlink: 1, length: 6, parent: 1 }));
  await command("HSET", "d1", "link", entry(3, 3));
  await command("SET", "s3", "target");
  await command("SET", "i4", attribute({ type: 1, nlink: 3, length: 7, parent: 0 }));
  await command("HSET", "d1", "hard", entry(1, 4), "hard too", entry(1, 4));
  await command("HSET", "d2", "hard", entry(1, 4));
  await command("HSET", "p4", 1, 2, 2, 1);
  await command("RPUSH", "c4_0", slice(500, 7));
  await command("RPUSH", "c4_1", slice(500, 7));
  await command("RPUSH", "c4_2", slice(501, 7), slice(0, 0));
  await command("HSET", "sliceRef", "k500_7", 1, "k501_7", 0, "k77_8", -1);
  await command("ZADD", "delfiles", 1_795_264_395, "6:100");
  await command("SET", "i7", attribute({ type: 1, nlink: 0, length: 9, parent: 2 }));
  await command("SADD", "session5", 7);
  await command("HSET", "delSlices", "600_1795264395", slice(601, 9).subarray(4, 16));
  await command("SET", "i8", attribute({ type: 2, nlink: 2, length: 4096, parent: 2 }));
  await command("ZADD", "detachedNodes", 1_795_264_395, 8);
  await command("HSET", "dirDataLength", 1, 100, 2, 200, 99, 3);
  await command("HSET", "dirUsedSpace", 1, 4096, 2, -8192);
  await command("HSET", "dirUsedInodes", 1, 1, 2, 2);
  const limits = Buffer.alloc(16, 0xff);
  limits.writeBigInt64BE(1n << 40n);
  for (const kind of ["dir", "user", "group"]) {
    await command("HSET", `${kind}Quota`, 2, limits);
    await command("HSET", `${kind}QuotaUsedSpace`, 2, 8192, 3, 5);
    await command("HSET", `${kind}QuotaUsedInodes`, 2, 2);
  }
  await command(
    "HSET",
    "acl",
    1,
    Buffer.from("0007ffff00050000000000010000000a0006000000020000000b00040000000c0005", "hex"),
  );
  const counters = {
    usedSpace: 409_600,
    totalInodes: 47,
    nextTrash: 0,
    nextinode: 1023,
    nextchunk: 4095,
    nextsession: 5,
  };
  for (const [name, value] of Object.entries(counters)) await command("SET", name, value);
  await command("SET", "aclMaxId", 1);
  await command("SET", "lastCleanupFiles", 1_795_264_395);
  await command("ZADD", "allSessions", 1_795_264_395, 5);
  await command("HSET", "sessionInfos", 5, "{}");
  await command("SADD", "locked5", "lockf4");
  await command("HSET", "lockf4", "5_0000000000000001", "W");
  await command("HSET", "krbToken", 1, "secret");
  await command("RPUSH", "txnLog", "1.000000000|SET(1)|(5,1)", "2.000000000|SET(1)|(5,2)");
  await command("SET", "txnLastLog", 2);
}
