/** Begins a restore into PostgreSQL, writes some records of every kind, says so, and waits to be killed. Arguments: URL, folder. */
import { mkdirSync } from "node:fs";
import { openPostgresTarget } from "../../src/engines/juicefs/postgres/target.ts";
import { batchFromRows } from "../../src/model/batch.ts";
import { juicefs } from "../../src/model/juicefs.ts";
import { quietProgress } from "../support/quiet-progress.ts";

const [url, folder] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const writer = await openPostgresTarget(url).begin(
  {
    kind: juicefs,
    volumeId: "00000000-0000-0000-0000-000000000002",
    volumeName: "killed",
    facts: {},
    counts: {},
    extremes: {},
    secrets: {},
    async *read() {},
  },
  {
    signal: new AbortController().signal,
    temporaryFolder: folder,
    memoryBytes: 8 << 20,
    progress: quietProgress(),
  },
);
const rowOf = (table: number) =>
  juicefs.tables[table].columns.map(({ type }) => (type === "bytes" ? Buffer.from("x") : 1));
for (const table of [2, 3, 4, 5, 6]) await writer.write(batchFromRows(juicefs.tables[table], table, [rowOf(table)]));
await writer.finish();
process.stdout.write("written\n");
setInterval(() => {}, 1000);
