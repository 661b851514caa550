import { createDecipheriv, createHash } from "node:crypto";
import type { Report } from "./finding.ts";
import type { RawVolume } from "./raw-volume.ts";

/** What the other checks need of the setting (§1.5). */
export interface JudgedSetting {
  readonly trashDays: number;
  readonly dirStats: boolean;
  /** The tier numbers, or null for a setting of a JuiceFS without tiers. */
  readonly tiers: ReadonlySet<number> | null;
}

const DEFAULTS: JudgedSetting = { trashDays: 0, dirStats: false, tiers: null };
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const SECRET_FIELDS = ["SecretKey", "SessionToken", "EncryptKey"] as const;
const META_VERSION_MAX = 1;

/** Checks the setting; where it is missing or unreadable the other checks go on with defaults. */
export function checkSetting(volume: RawVolume, report: Report): JudgedSetting {
  if (volume.setting === null) {
    report("setting-missing", "setting format", 'there is no setting: JuiceFS calls such a database "not formatted"');
    return DEFAULTS;
  }
  const fields = parseObject(volume.setting);
  if (fields === null) {
    report("setting-unparsable", "setting format", "the text is not a JSON object");
    return DEFAULTS;
  }
  checkFields(fields, report);
  checkSecrets(fields, report);
  const tiers = fields.get("Tiers");
  return {
    trashDays: numberOf(fields.get("TrashDays")) ?? 0,
    dirStats: fields.get("DirStats") === true,
    tiers: isObject(tiers) ? new Set(Object.keys(tiers).map(Number)) : null,
  };
}

/** The object's fields, or null where the text is no JSON object. */
function parseObject(text: string): Map<string, unknown> | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  return isObject(value) ? new Map(Object.entries(value)) : null;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function checkFields(fields: ReadonlyMap<string, unknown>, report: Report): void {
  const wrong = (field: string, what: string): void => report("setting-field", `setting ${field}`, what);
  for (const field of ["Name", "UUID", "Storage", "Bucket"]) {
    if (typeof fields.get(field) !== "string") {
      wrong(field, "is not a text");
    }
  }
  const name = fields.get("Name");
  if (name === "") {
    wrong("Name", "is empty");
  }
  const uuid = fields.get("UUID");
  if (typeof uuid === "string" && !UUID.test(uuid)) {
    wrong("UUID", `"${uuid}" is not a UUID`);
  }
  if ((numberOf(fields.get("BlockSize")) ?? 0) <= 0) {
    wrong("BlockSize", "is not above 0");
  }
  if (!((numberOf(fields.get("TrashDays")) ?? -1) >= 0)) {
    wrong("TrashDays", "is not a number of days");
  }
  const metaVersion = fields.get("MetaVersion") ?? 0;
  if (typeof metaVersion !== "number" || metaVersion < 0 || metaVersion > META_VERSION_MAX) {
    wrong(
      "MetaVersion",
      `${JSON.stringify(metaVersion)} is not a version that JuiceFS opens (at most ${META_VERSION_MAX})`,
    );
  }
  for (const field of ["Capacity", "Inodes"]) {
    const limit = fields.get(field) ?? 0;
    if (typeof limit !== "number" || limit < 0) {
      wrong(field, "is not a limit");
    }
  }
  for (const field of ["KeyEncrypted", "DirStats", "EnableACL", "HashPrefix", "UserGroupQuota", "ChangeLog"]) {
    const flag = fields.get(field) ?? false;
    if (typeof flag !== "boolean") {
      wrong(field, "is neither true nor false");
    }
  }
}

/** Secrets wrapped with AES under the UUID must open (§1.5); those of `sm4gcm` are left, Node's OpenSSL may lack the cipher. */
function checkSecrets(fields: ReadonlyMap<string, unknown>, report: Report): void {
  const uuid = fields.get("UUID");
  for (const field of SECRET_FIELDS) {
    const secret = fields.get(field) ?? "";
    if (typeof secret !== "string") {
      report("setting-field", `setting ${field}`, "is not a text");
    } else if (secret === "removed") {
      report(
        "setting-secret-removed",
        `setting ${field}`,
        "was removed: JuiceFS refuses to mount until it is set again",
      );
    } else if (secret !== "" && fields.get("KeyEncrypted") === true && fields.get("EncryptAlgo") !== "sm4gcm") {
      if (typeof uuid === "string" && !opens(secret, uuid)) {
        report("setting-secret", `setting ${field}`, "does not open with the UUID of this setting");
      }
    }
  }
}

function opens(secret: string, uuid: string): boolean {
  const bytes = Buffer.from(secret, "base64");
  if (bytes.length < 28) {
    return false;
  }
  const key = createHash("md5").update(uuid).digest();
  const decipher = createDecipheriv("aes-128-gcm", key, bytes.subarray(0, 12));
  decipher.setAuthTag(bytes.subarray(-16));
  try {
    decipher.update(bytes.subarray(12, -16));
    decipher.final();
    return true;
  } catch {
    return false;
  }
}
