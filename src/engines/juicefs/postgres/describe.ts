import { juicefs } from "../../../model/juicefs.ts";
import type { SourceDescription } from "../../../model/ports.ts";
import { canonicalCounters } from "../counters.ts";
import { settingText } from "../setting.ts";
import { chunkTable, delayedSliceTable, edgeTable, nodeTable, plainTables } from "../sql/canonical-tables.ts";
import type { Place, StoredTable } from "./catalogue.ts";
import { findPlace, readTables, requireVolume } from "./catalogue.ts";
import { connectServer, sideOf } from "./connect.ts";
import { postgresError } from "./errors.ts";
import type { PostgresUrl } from "./url.ts";
import { readCounters, readSetting } from "./volume-reader.ts";

/** Cheap facts about a volume. Throws what a backup would throw: missing rights, an unknown layout, no volume. */
export async function describeVolume(url: PostgresUrl): Promise<SourceDescription> {
  const side = sideOf(url, false);
  const { session } = await connectServer(url, side);
  await using _ = session;
  try {
    const place = await findPlace(session, url);
    const prefix = url.tablePrefix;
    const stored = await readTables(session, place.schema);
    const volume = requireVolume(stored, { place, prefix, side });
    const setting = await readSetting(session, stored, { place, prefix, side });
    const counters = await readCounters(session, place, prefix, side.location);
    const canonical = canonicalCounters(counters);
    const valueOf = (name: string): string =>
      String(canonical.rows.find(([key]) => Buffer.from(key as Uint8Array).toString() === name)?.[1] ?? 0n);
    return {
      kind: juicefs.name,
      system: `JuiceFS (schema of ${volume.schema.line})`,
      engine: "PostgreSQL",
      engineVersion: place.version,
      volumeName: settingText(setting.fields, "Name") ?? "",
      volumeId: settingText(setting.fields, "UUID") ?? "",
      estimates: estimatesOf(volume.tables, prefix),
      estimatedBytes: volume.tables.reduce((sum, table) => sum + table.bytes, 0),
      consistency: {
        level: "snapshot",
        method: `one exported snapshot (REPEATABLE READ${place.isStandby ? ", on a standby" : ""})`,
      },
      problems: problemsOf(place),
      facts: {
        schemaLine: volume.schema.line,
        schema: place.schema,
        standby: place.isStandby,
        encoding: place.encoding,
        nextInode: valueOf("nextInode"),
        usedSpace: valueOf("usedSpace"),
        totalInodes: valueOf("totalInodes"),
      },
    };
  } catch (error) {
    throw postgresError(side, error);
  }
}

const oldestVersion = 100000;

function problemsOf(place: Place): SourceDescription["problems"] {
  if (place.versionNumber >= oldestVersion) return [];
  return [
    {
      message: `PostgreSQL ${place.version} is older than what was tested (10)`,
      next: "upgrade the server",
    },
  ];
}

/** Tables whose rows are records. Reference counts of 1 are no records. */
const estimated = [nodeTable, edgeTable, chunkTable, delayedSliceTable, ...plainTables];

/** Bytes of a row where the server has not analysed the table yet. */
const usualRowBytes = 100;

function estimatesOf(tables: readonly StoredTable[], prefix: string): Record<string, number> {
  const estimates: Record<string, number> = {};
  for (const { table, canonicalTable } of estimated) {
    const stored = tables.find(({ name }) => name === prefix + table);
    if (stored === undefined) continue;
    const { name } = juicefs.tables[canonicalTable];
    const isUnknown = stored.estimatedRows < 0 || (stored.estimatedRows === 0 && stored.bytes > 0);
    const rows = isUnknown ? Math.round(stored.bytes / usualRowBytes) : stored.estimatedRows;
    estimates[name] = (estimates[name] ?? 0) + rows;
  }
  return estimates;
}
