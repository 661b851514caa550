import type { SourceDescription } from "../../../model/ports.ts";
import { splitSecrets } from "../secrets.ts";
import { parseSetting, settingText } from "../setting.ts";
import { findVolumeInRdb, openRdbFile } from "./rdb-file.ts";

/** Cheap facts about a volume in an RDB file, which is read up to the volume's setting. */
export function describeRdbFile(path: string, database: number): SourceDescription {
  using file = openRdbFile(path);
  const volume = findVolumeInRdb(file, database);
  const { fields } = splitSecrets(parseSetting(volume.setting));
  return {
    kind: "juicefs",
    system: "JuiceFS",
    engine: "Redis RDB file",
    engineVersion: volume.serverVersion ?? "of an unknown version",
    volumeName: settingText(fields, "Name") ?? "",
    volumeId: settingText(fields, "UUID") ?? "",
    estimates: {},
    estimatedBytes: file.bytes,
    consistency: { level: "snapshot", method: "an RDB file, the server's state at one moment" },
    problems: [],
    facts: {
      database: volume.database,
      ...(volume.prefix === "" ? {} : { keyPrefix: volume.prefix }),
      ...(volume.savedAt === undefined ? {} : { savedAt: volume.savedAt }),
    },
  };
}
