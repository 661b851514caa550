import { resolve } from "node:path";
import type { SourceChoices } from "./registry.ts";

/** Options of commands that read a Redis. */
export interface RedisSourceOptions {
  replica?: string;
  fromRdb?: string;
  scan?: boolean;
}

/** What the options and the environment say of a Redis source. */
export function redisChoices(
  { replica, fromRdb, scan }: RedisSourceOptions,
  env: NodeJS.ProcessEnv,
): Pick<SourceChoices, "replica" | "fromRdb" | "scan" | "sentinelPassword"> {
  return {
    replica,
    fromRdb: fromRdb === undefined ? undefined : resolve(fromRdb),
    scan: scan === true,
    sentinelPassword: env["SENTINEL_PASSWORD"],
  };
}
