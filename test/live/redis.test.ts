import { test } from "node:test";
import { openBench } from "../end-to-end/bench.ts";
import { openEngine } from "../support/engines.ts";
import { backUpLive } from "./live-backups.ts";

test("backups beside a writer restore to states in which all holds, redis", async (context) => {
  await using engine = await openEngine("redis");
  await using bench = await openBench("live-redis");
  const metaUrl = await engine.newPlace();
  context.diagnostic(await backUpLive(bench, { seed: 21, metaUrl, newPlace: () => engine.newPlace() }));
});
