import { openBulkSender } from "../../../protocols/redis/bulk-sender.ts";
import { commandWriter } from "../../../protocols/redis/command-writer.ts";
import { SpillOutput } from "../../../protocols/redis/spill-output.ts";
import { openRedisSite } from "./connect.ts";
import type { Fill } from "./fill.ts";
import { listKeys } from "./key-list.ts";
import type { LayoutOptions } from "./layout-writer.ts";
import { openLayoutWriter } from "./layout-writer.ts";
import { requireClaim } from "./restore-claim.ts";
import type { RedisUrl } from "./url.ts";

export interface ServerFillRequest {
  readonly way: "commands";
  readonly url: RedisUrl;
  readonly sentinelPassword: string | undefined;
  /** Of the claim on the database, which must still stand. */
  readonly token: string;
  /** Where the names of the keys are noted, for reading them back. */
  readonly keyList: string | undefined;
  readonly layout: LayoutOptions;
}

/** Longer than a server takes for its slowest command here; a disk that is busy with the append-only file can make it wait. */
const bulkTimeoutMs = 120_000;

/** Fills a database through one connection with commands that are sent without waiting for replies. */
export async function openServerFill(request: ServerFillRequest, signal: AbortSignal): Promise<Fill> {
  const { url, sentinelPassword, token, layout: layoutOptions } = request;
  const site = await openRedisSite(url, { signal, sentinelPassword });
  const connection = await site.connect();
  await requireClaim(connection, site.keyPrefix, token);
  const sender = openBulkSender(connection, { timeoutMs: Math.max(bulkTimeoutMs, url.readTimeoutMs) });
  const output = new SpillOutput(layoutOptions.temporaryFolder);
  const keys = commandWriter(output);
  const listing = request.keyList === undefined ? undefined : listKeys(keys, request.keyList);
  const layout = openLayoutWriter(listing ?? keys, layoutOptions);

  async function ship(all: boolean): Promise<void> {
    for (let bytes = output.take(all); bytes !== undefined; bytes = output.take(all)) {
      const taken = bytes;
      await sender.send(taken, () => output.recycle(taken));
    }
  }
  return {
    async write(batch) {
      layout.write(batch);
      await ship(false);
    },
    async finish() {
      layout.finish();
      listing?.close();
      keys.flush();
      await ship(true);
      await sender.finish(keys.commands);
    },
    async close() {
      sender[Symbol.dispose]();
      layout[Symbol.dispose]();
      listing?.close();
      output[Symbol.dispose]();
    },
  };
}
