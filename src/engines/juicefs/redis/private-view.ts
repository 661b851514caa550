import type { SourceOptions, SourceView } from "../../../model/ports.ts";
import type { SettingField } from "../setting.ts";
import { openRedisView } from "./source.ts";

/** Where a restore wrote to. */
export type PrivatePlace =
  | {
      /** The metadata URL of the database. */
      readonly url: string;
      readonly sentinelPassword?: string | undefined;
      /** The names of all keys that were written, where they were noted: then they are read by their names. */
      readonly keyList?: string | undefined;
      /** Tables whose keys then come in the order of their records. */
      readonly sortedTables?: readonly string[];
    }
  | {
      readonly rdbFile: string;
      readonly database: number;
      /** What each key begins with, in a file for a cluster. */
      readonly prefix?: string | undefined;
    };

/**
 * Reads back what this process has written and nobody else writes to, with the setting that is held back: a database by the names of its
 * keys or a full synchronisation, or with SCAN where that is not allowed; an RDB file as it stands.
 */
export function openPrivateRedisView(
  place: PrivatePlace,
  options: SourceOptions,
  heldSetting: readonly SettingField[],
): Promise<SourceView> {
  if ("url" in place) {
    const { url, sentinelPassword, keyList, sortedTables = [] } = place;
    const request = { keepSecrets: false, held: { setting: heldSetting, keyList } };
    return openRedisView({ url, sentinelPassword, scan: false }, options, request, sortedTables);
  }
  const { rdbFile, database, prefix } = place;
  const request = { keepSecrets: false, held: { setting: heldSetting, prefix } };
  return openRedisView({ url: `redis://localhost/${database}`, rdbFile, scan: false }, options, request, inFileOrder);
}

/** A file that this process wrote has keys and fields in the order of the records. */
const inFileOrder = ["node", "edge", "chunk", "symlink", "xattr"];
