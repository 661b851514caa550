import { findCommand } from "./find-command.ts";

/** `"system"` is the machine's own package. */
export type RedisVersion = "system";

export interface ServerProgram {
  file: string;
  arguments: readonly string[];
}

/** How to run a Redis server of that version; throws with the command that brings it when it is not there. */
export function redisProgram(_version: RedisVersion): ServerProgram {
  const file = findCommand("redis-server");
  if (file === undefined) throw new Error('redis-server is not installed: no test was run; run "npm run setup"');
  return { file, arguments: [] };
}
