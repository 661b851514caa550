/** Volumes of many files, made by the servers themselves in seconds: as large as a test of memory needs them. */
import { parseMetaUrl } from "../judge/meta-url.ts";
import { mysqlClient } from "../judge/read-mysql.ts";
import { psql } from "../judge/read-postgres.ts";
import { openRedis } from "../judge/redis-client.ts";
import { runJuicefs } from "../volumes/juicefs-cli.ts";

/**
 * Formats a volume at an empty place of a server and fills it with files of one chunk each: half of them in one directory, the others spread over a
 * thousand. All is as a client would leave it, but for counters and statistics of usage.
 */
export async function fillVolume(url: string, files: number, bucket: string): Promise<void> {
  await runJuicefs(["format", "--storage=file", `--bucket=${bucket}/`, "--trash-days=0", url, "many"]);
  const place = parseMetaUrl(url);
  if (place.engine === "redis") {
    await using client = await openRedis(place);
    // A script blocks the server, and with it the test's own questions: so not all at once.
    for (let from = 0; from < files; from += 100_000) {
      await client.call("EVAL", redisScript, "0", String(from), String(Math.min(files, from + 100_000)), String(files));
    }
    return;
  }
  if (place.engine === "sqlite") throw new Error("no server fills a volume in SQLite");
  const statements = place.engine === "postgres" ? postgresStatements(files) : mysqlStatements(files);
  const script = `${statements.join(";\n")};\n`;
  for await (const line of place.engine === "postgres" ? psql(place, script) : mysqlClient(place, script)) void line;
}

/** Inodes of the files; below them are those of the directories, 2 to 1002, the first of which is the large one. */
const firstFile = 2000;
const directories = 1001;

function postgresStatements(files: number): string[] {
  const parent = `CASE WHEN n % 2 = 0 THEN 2 ELSE 3 + n % ${directories - 1} END`;
  const range = `generate_series(${firstFile}, ${firstFile + files - 1}) AS n`;
  return [
    ...directoryRows(
      (from, to) => `generate_series(${from}, ${to}) AS n`,
      (text) => `convert_to('${text}' || n, 'UTF8')`,
    ),
    `INSERT INTO jfs_node (${nodeColumns}) SELECT n, 1, 0, 420, n % 50, 100, 1760000000000000 + n::bigint * 7919, 1760000000000000 + n::bigint * 7919, 1760000000000000 + n::bigint * 7919,
       n % 1000, n % 1000, n % 1000, 1, 4096 + n % 100000, 0, ${parent}, 0, 0, 0 FROM ${range}`,
    `INSERT INTO jfs_edge (parent, name, inode, type) SELECT ${parent}, convert_to('report-' || md5(n::text) || '.json', 'UTF8'), n, 1 FROM ${range}`,
    `INSERT INTO jfs_chunk (inode, indx, slices) SELECT n, 0,
       int4send(0) || int8send(n::bigint) || int4send(4096 + n % 100000) || int4send(0) || int4send(4096 + n % 100000) FROM ${range}`,
    `INSERT INTO jfs_chunk_ref (chunkid, size, refs) SELECT n, 4096 + n % 100000, 1 FROM ${range}`,
    ...counterStatements(files),
  ];
}

function mysqlStatements(files: number): string[] {
  const parent = `IF(seq % 2 = 0, 2, 3 + seq % ${directories - 1})`;
  const range = `seq_${firstFile}_to_${firstFile + files - 1}`;
  const time = "1760000000000000 + seq * 7919";
  const size = "(4096 + seq % 100000)";
  const slice = `UNHEX(CONCAT('00000000', LPAD(HEX(seq), 16, '0'), LPAD(HEX(${size}), 8, '0'), '00000000', LPAD(HEX(${size}), 8, '0')))`;
  return [
    ...directoryRows(
      (from, to) => `(SELECT seq AS n FROM seq_${from}_to_${to}) AS numbers`,
      (text) => `CONCAT('${text}', n)`,
    ),
    `INSERT INTO jfs_node (${nodeColumns}) SELECT seq, 1, 0, 420, seq % 50, 100, ${time}, ${time}, ${time},
       seq % 1000, seq % 1000, seq % 1000, 1, ${size}, 0, ${parent}, 0, 0, 0 FROM ${range}`,
    `INSERT INTO jfs_edge (parent, name, inode, type) SELECT ${parent}, CONCAT('report-', MD5(seq), '.json'), seq, 1 FROM ${range}`,
    `INSERT INTO jfs_chunk (inode, indx, slices) SELECT seq, 0, ${slice} FROM ${range}`,
    `INSERT INTO jfs_chunk_ref (chunkid, size, refs) SELECT seq, ${size}, 1 FROM ${range}`,
    ...counterStatements(files),
  ];
}

const nodeColumns =
  "inode, type, flags, mode, uid, gid, atime, mtime, ctime, atimensec, mtimensec, ctimensec, nlink, length, rdev, parent, access_acl_id, default_acl_id, tier_id";

function directoryRows(series: (from: number, to: number) => string, name: (text: string) => string): string[] {
  const range = series(2, directories + 1);
  const time = 1_760_000_000_000_000;
  return [
    `INSERT INTO jfs_node (${nodeColumns}) SELECT n, 2, 0, 493, 0, 0, ${time}, ${time}, ${time}, 0, 0, 0, 2, 4096, 0, 1, 0, 0, 0 FROM ${range}`,
    `INSERT INTO jfs_edge (parent, name, inode, type) SELECT 1, ${name("directory-")}, n, 2 FROM ${range}`,
    `UPDATE jfs_node SET nlink = ${directories + 2} WHERE inode = 1`,
  ];
}

function counterStatements(files: number): string[] {
  const next = firstFile + files;
  return [`UPDATE jfs_counter SET value = ${next} WHERE name IN ('nextInode', 'nextChunk')`];
}

/** The same for Redis: KEYS none, ARGV from, to (of the files' places) and how many there are in all. */
const redisScript = `
local function attr(kind, mode, nlink, length, parent, n)
  local time = struct.pack('>I8I4', 1760000000 + n % 9999991, n % 1000000000)
  return struct.pack('>I1I2I4I4', 0, kind * 4096 + mode, n % 50, 100) .. time .. time .. time ..
    struct.pack('>I4I8I4I8I1', nlink, length, 0, parent, 0)
end
if ARGV[1] == '0' then
  redis.call('SET', 'i1', attr(2, 511, ${directories + 2}, 4096, 1, 0))
  for n = 2, ${directories + 1} do
    redis.call('SET', 'i' .. n, attr(2, 493, 2, 4096, 1, 0))
    redis.call('HSET', 'd1', 'directory-' .. n, struct.pack('>I1I8', 2, n))
  end
  local last = string.format('%.0f', ${firstFile} + tonumber(ARGV[3]) - 1)
  redis.call('MSET', 'nextinode', last, 'nextchunk', last)
end
for at = tonumber(ARGV[1]), tonumber(ARGV[2]) - 1 do
  local n = ${firstFile} + at
  local parent = 2
  if n % 2 == 1 then parent = 3 + n % ${directories - 1} end
  local id = string.format('%.0f', n)
  local size = 4096 + n % 100000
  redis.call('SET', 'i' .. id, attr(1, 420, 1, size, parent, n))
  redis.call('HSET', 'd' .. parent, 'report-' .. redis.sha1hex(id) .. '.json', struct.pack('>I1I8', 1, n))
  redis.call('RPUSH', 'c' .. id .. '_0', struct.pack('>I4I8I4I4I4', 0, n, size, 0, size))
end
return 'done'
`;
