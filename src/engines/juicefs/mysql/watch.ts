import { setTimeout as sleep } from "node:timers/promises";
import { MysqlServerError } from "../../../protocols/mysql/server-error.ts";
import type { EngineContext } from "./engine-error.ts";
import { openSession } from "./session.ts";
import type { MysqlUrl } from "./url.ts";

const askMs = 10_000;
/** No room for another connection: then nothing is watched. */
const tooManyConnections = new Set([1040, 1203, 1226]);

/**
 * Does something that the server may work on for long without a word, such as building an index, and asks on another connection meanwhile whether the
 * server lives: a frozen one ends it with an error.
 */
export async function watched<Result>(
  url: MysqlUrl,
  context: EngineContext,
  run: () => Promise<Result>,
): Promise<Result> {
  const ended = new AbortController();
  const watching = watch(url, context, ended.signal);
  const running = run();
  // Whichever fails later is not waited for.
  running.catch(() => {});
  watching.catch(() => {});
  try {
    return await Promise.race([running, watching]);
  } finally {
    ended.abort();
  }
}

async function watch(url: MysqlUrl, context: EngineContext, ended: AbortSignal): Promise<never> {
  try {
    using connection = await openSession(url, context);
    while (!ended.aborted) {
      await sleep(askMs, undefined, { signal: ended }).catch(() => {});
      if (!ended.aborted) await connection.query("SELECT 1");
    }
  } catch (error) {
    if (!(error instanceof MysqlServerError) || !tooManyConnections.has(error.number)) throw error;
  }
  return await new Promise<never>(() => {});
}
