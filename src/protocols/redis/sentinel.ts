import { CairnError, messageOf } from "../../model/errors.ts";
import type { RedisConnection } from "./client.ts";
import { connectRedis, textOf } from "./client.ts";
import type { RedisAddress, RedisTls } from "./dial.ts";
import { RedisReplyError } from "./redis-errors.ts";

export interface SentinelOptions {
  readonly sentinels: readonly RedisAddress[];
  readonly masterName: string;
  readonly signal: AbortSignal;
  /** Of the sentinels, not of the servers behind them. */
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly tls?: RedisTls | undefined;
}

/**
 * The address of the master that the sentinels watch under a name: they are asked in turn until one answers. Throws
 * `engine-unreachable` when none does, `login-failed`, and `sentinel-unknown-master`.
 */
export function findMaster(options: SentinelOptions): Promise<RedisAddress> {
  return askInTurn(options, async (sentinel) => {
    const reply = await sentinel.call("SENTINEL", "get-master-addr-by-name", options.masterName);
    if (reply === null) throw unknownMaster(options, sentinel.address);
    const [host, port] = Array.isArray(reply) ? reply.map(textOf) : [];
    if (host === undefined || port === undefined) throw unexpected(sentinel.address);
    return { host, port: Number(port) };
  });
}

async function askInTurn<Answer>(
  options: SentinelOptions,
  ask: (sentinel: RedisConnection) => Promise<Answer>,
): Promise<Answer> {
  const { sentinels, signal } = options;
  const failures: string[] = [];
  let unknown: CairnError | undefined;
  for (const address of sentinels) {
    try {
      await using sentinel = await connectRedis({ ...options, address, connectTimeoutMs: 3000, timeoutMs: 5000 });
      return await ask(sentinel);
    } catch (error) {
      signal.throwIfAborted();
      // One that refuses the login speaks for the others; one that is gone, or knows nothing of the master, does not.
      if (error instanceof RedisReplyError && error.code !== "engine-refused") throw asSentinel(error);
      if (error instanceof CairnError && error.code === "sentinel-unknown-master") unknown = error;
      failures.push(messageOf(error));
    }
  }
  if (unknown !== undefined) throw unknown;
  throw new CairnError(
    "engine-unreachable",
    `none of ${sentinels.length} sentinels gave an address for ${JSON.stringify(options.masterName)}: ${failures.join("; ")}`,
    {
      exit: "sourceUnreachable",
      unharmed: "nothing was read or written",
      next: "check the sentinels' addresses and the master's name in the metadata URL",
    },
  );
}

function asSentinel(error: RedisReplyError): CairnError {
  if (error.code !== "login-failed") return error;
  return new CairnError("login-failed", `the sentinel refused the login: ${error.message}`, {
    exit: "sourceUnreachable",
    unharmed: "nothing was read or written",
    next: "give the sentinels' password in SENTINEL_PASSWORD; it is not that of the servers",
  });
}

function unknownMaster({ masterName }: SentinelOptions, address: string): CairnError {
  return new CairnError(
    "sentinel-unknown-master",
    `the sentinel at ${address} watches no master of the name ${JSON.stringify(masterName)}`,
    {
      exit: "sourceUnreachable",
      unharmed: "nothing was read or written",
      next: "take the name from the sentinels' configuration (SENTINEL masters)",
    },
  );
}

function unexpected(address: string): Error {
  return new Error(`the sentinel at ${address} gave an answer of an unknown form`);
}
