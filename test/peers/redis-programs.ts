import { execFileSync } from "node:child_process";
import { suiteFile } from "./debian-suites.ts";
import { findCommand } from "./find-command.ts";

/** `"system"` is the machine's own package; `"7"` is too, and its version is checked. */
export const redisVersions = ["system", "6", "7", "8", "valkey-8"] as const;
export type RedisVersion = (typeof redisVersions)[number];

/** The path of a Redis server of that version; throws with the command that brings it when it is not there. */
export function redisProgram(version: RedisVersion): string {
  switch (version) {
    case "6":
      return suiteFile("bullseye", "usr/bin/redis-server");
    case "8":
      return suiteFile("trixie", "usr/bin/redis-server");
    case "valkey-8":
      return suiteFile("trixie", "usr/bin/valkey-server");
    case "7":
    case "system": {
      const path = findCommand("redis-server");
      if (path === undefined) throw new Error('redis-server is not installed: no test was run; run "npm run setup"');
      const found = /v=(\d+)/.exec(execFileSync(path, ["--version"], { encoding: "utf8" }))?.[1];
      if (version === "7" && found !== "7") {
        throw new Error(
          `redis-server is version ${found ?? "?"}: no test was run; install Redis 7, as Debian 12 has it`,
        );
      }
      return path;
    }
  }
}
