import assert from "node:assert/strict";
import { test } from "node:test";
import { startRedisCluster } from "./redis-cluster.ts";
import { startSentinel } from "./redis-sentinel.ts";
import { startRedis, startRedisReplica, untilInfo } from "./redis.ts";

test("a sentinel names the new master after a failover", async () => {
  await using master = await startRedis({ password: "secret" });
  await using replica = await startRedisReplica(master, { password: "secret" });
  await using sentinel = await startSentinel(master, [replica], { password: "other" });
  await sentinel.failOver();
  await untilInfo(replica, "replication", "role:master");
});

test("three masters of a cluster share the slots", async () => {
  await using cluster = await startRedisCluster();
  for (const master of cluster.masters) {
    assert.match(await master.command("CLUSTER", "INFO"), /cluster_slots_ok:16384/);
  }
});
