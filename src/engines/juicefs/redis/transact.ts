import type { RedisConnection } from "../../../protocols/redis/client.ts";
import { replyError } from "../../../protocols/redis/redis-errors.ts";
import type { Command } from "../../../protocols/redis/resp.ts";
import { RespError } from "../../../protocols/redis/resp.ts";

/**
 * Runs commands as one transaction, unless a watched key was changed since before `check`, which throws where it finds something wrong. False when one
 * was changed: nothing was done then, no more than where the server refuses a command (`RedisReplyError`). `onSent` is called just before the
 * commands are sent; a connection that fails after that leaves open whether they were done.
 */
export async function transact(
  connection: RedisConnection,
  watched: readonly string[],
  check: () => Promise<void>,
  commands: readonly Command[],
  onSent?: () => void,
): Promise<boolean> {
  await connection.call("WATCH", ...watched);
  try {
    await check();
  } catch (error) {
    // Watches no more; on a connection that is gone there is nothing to watch.
    await connection.askAll([["MULTI"], ["DISCARD"]]).catch(() => {});
    throw error;
  }
  onSent?.();
  const all: Command[] = [["MULTI"], ...commands, ["EXEC"]];
  const replies = await connection.askAll(all);
  const results = replies.at(-1);
  const refused = replies.findIndex((reply) => reply instanceof RespError);
  if (refused >= 0) throw replyError(replies[refused] as RespError, all[refused], connection);
  if (!Array.isArray(results)) return false;
  const failed = results.findIndex((reply) => reply instanceof RespError);
  if (failed >= 0) throw replyError(results[failed] as RespError, commands[failed], connection);
  return true;
}
