import type { JuicefsLine } from "./lines.ts";

/** One field of JuiceFS' `Format` (`pkg/meta/config.go`, v1.4.1), in the order in which it is written. */
export interface SettingFieldSpec {
  readonly name: string;
  readonly type: "string" | "integer" | "boolean" | "json";
  /** The line from which on the field is written even when it is zero; without it, zero is omitted. */
  readonly alwaysSince?: JuicefsLine;
}

const text = (name: string): SettingFieldSpec => ({ name, type: "string" });
const integer = (name: string): SettingFieldSpec => ({ name, type: "integer" });
const flag = (name: string): SettingFieldSpec => ({ name, type: "boolean" });
const always = (spec: SettingFieldSpec, since: JuicefsLine = "1.2"): SettingFieldSpec => ({
  ...spec,
  alwaysSince: since,
});

export const settingFields: readonly SettingFieldSpec[] = [
  always(text("Name")),
  always(text("UUID")),
  always(text("Storage")),
  text("StorageClass"),
  always({ name: "Tiers", type: "json" }, "1.4"),
  always(text("Bucket")),
  text("AccessKey"),
  text("SecretKey"),
  text("SessionToken"),
  always(integer("BlockSize")),
  text("Compression"),
  integer("Shards"),
  flag("HashPrefix"),
  integer("Capacity"),
  integer("Inodes"),
  text("EncryptKey"),
  text("EncryptAlgo"),
  flag("KeyEncrypted"),
  integer("UploadLimit"),
  integer("DownloadLimit"),
  always(integer("TrashDays")),
  integer("MetaVersion"),
  text("MinClientVersion"),
  text("MaxClientVersion"),
  flag("DirStats"),
  flag("UserGroupQuota"),
  always(flag("EnableACL")),
  text("RangerRestUrl"),
  text("RangerService"),
  flag("ChangeLog"),
  integer("ChangeLogMaxAge"),
  integer("ChangeLogMaxLines"),
  text("KerbConf"),
];
