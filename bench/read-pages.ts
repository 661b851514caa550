import { DatabaseSync } from "node:sqlite";

/**
 * `bench/read-pages.ts DATABASE`: reads the three large tables of a JuiceFS volume as a program can without code of its own in C:
 * keyset pages of arrays. Prints the number of rows.
 */
const pageRows = 5_000;
const tables = { node: "inode", edge: "id", chunk: "id" };
const database = new DatabaseSync(process.argv[2], { readOnly: true });
database.exec("BEGIN");
let rows = 0;
for (const [table, key] of Object.entries(tables)) {
  // The key comes first in each of the three tables.
  const page = database.prepare(`SELECT * FROM jfs_${table} WHERE ${key} > ? ORDER BY ${key} LIMIT ${pageRows}`);
  page.setReturnArrays(true);
  page.setReadBigInts(true);
  for (let after = 0n, more = true; more;) {
    const read = page.all(after) as unknown as bigint[][];
    rows += read.length;
    more = read.length === pageRows;
    after = read.at(-1)?.[0] ?? after;
  }
}
database.close();
console.log(rows);
