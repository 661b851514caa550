import type { RedisConnection } from "../../../protocols/redis/client.ts";
import type { RedisSite } from "./connect.ts";

export interface LatencyProbe extends AsyncDisposable {
  /** For `openPacer`: asks the server something that costs it nothing. Also where PING is not allowed, the answer takes as long. */
  readonly ask: () => Promise<unknown>;
}

/** A question on a connection of its own, so that it does not wait behind the transfer. */
export async function openLatencyProbe(site: RedisSite): Promise<LatencyProbe> {
  const connection: RedisConnection = await site.connect();
  return {
    ask: () => connection.ask("PING"),
    async [Symbol.asyncDispose]() {
      connection.close();
    },
  };
}
