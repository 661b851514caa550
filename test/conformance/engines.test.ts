import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { after, before } from "node:test";
import { openSource, openTarget } from "../../src/cli/registry.ts";
import { readVolume } from "../judge/judge-volume.ts";
import { parseMetaUrl } from "../judge/meta-url.ts";
import { openRedis } from "../judge/redis-client.ts";
import { openBench } from "../end-to-end/bench.ts";
import type { Bench, TakenSnapshot } from "../end-to-end/bench.ts";
import { quickstartVolume } from "../engines/sqlite-fixtures.ts";
import { changeVolume } from "../support/change-volume.ts";
import { engineNames, openEngines } from "../support/engines.ts";
import type { Engines } from "../support/engines.ts";
import { testSource } from "./source.ts";
import { testTarget } from "./target.ts";

let engines: Engines;
let bench: Bench;
let taken: TakenSnapshot;

before(async () => {
  bench = await openBench("conformance");
  engines = await openEngines();
  const path = quickstartVolume(bench.folder);
  const database = new DatabaseSync(path);
  // What some engine cannot hold.
  database.exec("DELETE FROM jfs_xattr WHERE name = 'user.TEXT' OR instr(CAST(name AS BLOB), x'FF') > 0");
  database.exec("UPDATE jfs_node SET rdev = rdev & 65535");
  database.close();
  taken = await bench.backUp(`sqlite3://${path}`);
});

after(async () => {
  await bench[Symbol.asyncDispose]();
  await engines[Symbol.asyncDispose]();
});

for (const name of engineNames) {
  testTarget(name, async () => ({
    newPlace: () => engines.on(name).newPlace(),
    open: (url) => openTarget(url, { line: undefined }),
    contents: (url) => engines.on(name).contents(url),
    connections: () => engines.on(name).connections(),
    isThere: (url) => name !== "sqlite" || existsSync(url.slice("sqlite3://".length)),
    release: async (url) => {
      const place = parseMetaUrl(url);
      if (place.engine !== "redis") return;
      await using client = await openRedis(place);
      await client.call("DEL", "cairn:restore-lock");
    },
    // A killed restore into a file leaves another file.
    leavesUnfinished: name !== "sqlite",
  }));

  testSource(name, async () => {
    const url = await engines.on(name).newPlace();
    await bench.restore(taken.snapshot, url);
    const { setting, nodes, edges } = await readVolume(url);
    const { Name, UUID } = JSON.parse(setting ?? "") as Record<string, string>;
    assert.ok(nodes.length > 1000);
    return {
      open: () => openSource(url, { keepSecrets: false, allowBlock: false }),
      volume: { name: Name, id: UUID, nodes: nodes.length, edges: edges.length },
      secrets: [/:\/\/[^/@]*:([^@/]+)@/.exec(url)?.[1] ?? "no password"],
      change: () => changeVolume(url),
      openClient: () => (name === "sqlite" ? sqliteClient(url) : { [Symbol.dispose]: () => undefined }),
      connections: () => engines.on(name).connections(),
    };
  });
}

/** A connection that has written, so that the database has its log beside it. */
function sqliteClient(url: string): Disposable {
  const database = new DatabaseSync(url.slice("sqlite3://".length));
  database.exec("UPDATE jfs_setting SET value = value");
  return { [Symbol.dispose]: () => database.close() };
}
