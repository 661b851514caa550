import { DatabaseSync } from "node:sqlite";
import { parseMetaUrl } from "../judge/meta-url.ts";
import { mysqlClient } from "../judge/read-mysql.ts";
import { psql } from "../judge/read-postgres.ts";
import { openRedis } from "../judge/redis-client.ts";

/** Changes a counter, adds a name and takes a record away, as a client beside a reader does; again and again if called so. */
export async function changeVolume(url: string): Promise<void> {
  const place = parseMetaUrl(url);
  const name = `changed-${Math.trunc(performance.now() * 1000)}`;
  if (place.engine === "redis") {
    await using client = await openRedis(place);
    await client.call("INCRBY", "usedSpace", "4096");
    await client.call("HSET", "d1", name, Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 99]));
    await client.call("HDEL", "dirUsedSpace", "1");
    return;
  }
  const bytes = { sqlite: `CAST('${name}' AS BLOB)`, postgres: `'${name}'::bytea`, mysql: `'${name}'` }[place.engine];
  const sql = [
    "UPDATE jfs_counter SET value = value + 4096 WHERE name = 'usedSpace'",
    `INSERT INTO jfs_edge (parent, name, inode, type) VALUES (1, ${bytes}, 99, 1)`,
    "DELETE FROM jfs_dir_stats WHERE inode = 1",
  ].join(";\n");
  if (place.engine === "sqlite") {
    const database = new DatabaseSync(place.path, { timeout: 5000 });
    database.exec(sql);
    database.close();
    return;
  }
  const lines = place.engine === "postgres" ? psql(place, `${sql};\n`) : mysqlClient(place, `${sql};\n`);
  for await (const line of lines) void line;
}
