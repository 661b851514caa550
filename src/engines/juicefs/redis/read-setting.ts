import { CairnError } from "../../../model/errors.ts";
import type { RedisConnection } from "../../../protocols/redis/client.ts";
import type { SplitSetting } from "../secrets.ts";
import { splitSecrets } from "../secrets.ts";
import { parseSetting } from "../setting.ts";
import type { RedisSite } from "./connect.ts";

/**
 * The volume's setting, read with GET. Throws `not-formatted`, `not-a-volume`, `setting-invalid`, and what the connection throws.
 */
export async function readSetting(
  connection: RedisConnection,
  site: RedisSite,
  location: string,
): Promise<SplitSetting> {
  const value = await connection.call("GET", `${site.keyPrefix}setting`);
  if (Buffer.isBuffer(value)) return splitSecrets(parseSetting(value.toString("utf8")));
  const hasRoot = (await connection.call("EXISTS", `${site.keyPrefix}i1`)) === 1;
  if (hasRoot) {
    throw new CairnError("not-formatted", `${location} has JuiceFS' records, but no setting: nobody can mount it`, {
      unharmed: "the database was only read",
      next: "format the volume with juicefs, or check the database number; a restore that was not finished looks like this, too",
      exit: "sourceUnreachable",
    });
  }
  throw new CairnError("not-a-volume", `${location} holds no JuiceFS volume: it has no key ${site.keyPrefix}setting`, {
    unharmed: "the database was only read",
    next: "check the database number at the end of the URL",
    exit: "sourceUnreachable",
  });
}
