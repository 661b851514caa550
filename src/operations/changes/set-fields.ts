import type { Row } from "../../model/batch.ts";
import { CairnError } from "../../model/errors.ts";
import { settingType } from "../../model/juicefs.ts";
import type { Kind } from "../../model/schema.ts";
import type { RestoreChange } from "../restore-change.ts";
import { changeRows } from "./change-records.ts";
import type { SettingValue } from "./read-small-table.ts";

/** Fields that `--set` changes: where the data is, not what it is. */
const fields = ["Bucket", "Storage", "StorageClass", "AccessKey"];
/** A volume without these cannot be mounted. */
const required = ["Bucket", "Storage"];
const secrets = ["SecretKey", "SessionToken", "EncryptKey", "KerbConf", "BucketUserInfo", "RangerUserInfo"];

/**
 * `--set Field=value`: the volume's setting with another bucket, storage, storage class or access key. Undefined when it has these values
 * already. Throws `usage` or `secret-on-command-line`, without repeating what may be a secret.
 */
export function setFields(
  kind: Kind,
  setting: ReadonlyMap<string, SettingValue>,
  set: Readonly<Record<string, string>>,
): RestoreChange | undefined {
  for (const [field, value] of Object.entries(set)) check(field, value);
  const wanted = new Map(Object.entries(set));
  const storage = wanted.get("Storage") ?? setting.get("Storage")?.text ?? "";
  const bucket = wanted.get("Bucket");
  if (bucket !== undefined && storage === "file") wanted.set("Bucket", fileBucket(bucket));
  const put: Row[] = [];
  const drop: Row[] = [];
  const descriptions: string[] = [];
  for (const [field, value] of wanted) {
    const tiers = field === "StorageClass" ? setting.get("Tiers") : undefined;
    const before = tiers === undefined ? setting.get(field)?.text : classOfTiers(tiers.text);
    if ((before ?? "") !== value) {
      descriptions.push(
        field === "AccessKey"
          ? `AccessKey is ${value === "" ? "removed" : "replaced"}`
          : `${field} ${JSON.stringify(before ?? "")} becomes ${JSON.stringify(value)}`,
      );
    }
    // JuiceFS 1.4 has the default storage class in tier 0, and reads the old field only where there are no tiers.
    if (tiers !== undefined) {
      const text = withClass(tiers.text, value);
      if (text !== tiers.text) put.push([Buffer.from("Tiers"), settingType.json, Buffer.from(text)]);
      if (!setting.has(field)) continue;
    }
    const stored = setting.get(field)?.text ?? "";
    if (stored === value) continue;
    if (value === "") drop.push([Buffer.from(field), 0, Buffer.alloc(0)]);
    else put.push([Buffer.from(field), settingType.string, Buffer.from(value)]);
  }
  if (put.length === 0 && drop.length === 0) return undefined;
  const description = descriptions.join("; ") || "the stored StorageClass follows that of tier 0";
  return changeRows({ name: "set", description, kind, table: "setting" }, put, drop);
}

function check(field: string, value: string): void {
  if (secrets.includes(field)) throw secretGiven(`--set does not take ${field}: it is a secret`);
  if (!fields.includes(field)) {
    const near = fields.find((known) => known.toLowerCase() === field.toLowerCase());
    throw wrongUse(
      `--set does not know the field ${JSON.stringify(field)}`,
      near === undefined ? `set one of ${fields.join(", ")}` : `write it as ${near}`,
    );
  }
  if (value === "" && required.includes(field)) {
    throw wrongUse(`--set ${field}= is empty`, "give the value that clients are to use; without it nobody can mount");
  }
  if (!value.isWellFormed() || /\p{Cc}/u.test(value) || value.trim() !== value) {
    throw wrongUse(
      `the value of --set ${field} has control characters or spaces around it`,
      "give it as one plain text",
    );
  }
  if (field === "Bucket" && hasUserInfo(value)) {
    throw secretGiven("the Bucket of --set holds a user or password in front of its host: these are secrets");
  }
}

/** `user:password@` before the host, also in a URL without a scheme (`user:password@(host:port)/db`). */
function hasUserInfo(bucket: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*@/i.test(bucket) || /^[^/@:]+:[^/@]*@/.test(bucket);
}

/** As `juicefs config --bucket` has it: without the slash at the end, blocks would be written beside the folder. */
function fileBucket(bucket: string): string {
  if (!/^(?:\/|[a-z]:[\\/])/i.test(bucket)) {
    throw wrongUse(
      `the Bucket ${JSON.stringify(bucket)} is no absolute path, and the volume's storage is "file"`,
      "give the path from the root: clients run in other folders",
    );
  }
  return bucket.endsWith("/") ? bucket : `${bucket}/`;
}

interface Tier {
  StorageClass?: unknown;
}

function tiersOf(text: string): Record<string, Tier> {
  return JSON.parse(text) as Record<string, Tier>;
}

function classOfTiers(text: string): string {
  const stored = tiersOf(text)["0"]?.StorageClass;
  return typeof stored === "string" ? stored : "";
}

/** The tiers with another class in tier 0, in the canonical form: compact, keys sorted. */
function withClass(text: string, storageClass: string): string {
  const tiers = tiersOf(text);
  if (canonical(tiers) !== text) {
    throw wrongUse(
      "the volume's tiers are written in a way that --set StorageClass cannot change without loss",
      "restore without it, then run: juicefs config META-URL --storage-class CLASS",
    );
  }
  if (classOfTiers(text) === storageClass) return text;
  tiers["0"] = { ID: 0, Tag: "", ...tiers["0"], StorageClass: storageClass } as Tier;
  return canonical(tiers);
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join(",")}}`;
}

function wrongUse(message: string, next: string): CairnError {
  return new CairnError("usage", message, { exit: "wrongUse", unharmed: "nothing was restored", next });
}

function secretGiven(message: string): CairnError {
  return new CairnError("secret-on-command-line", message, {
    exit: "wrongUse",
    unharmed: "nothing was restored",
    next:
      "secrets do not belong on the command line, where others can read them: give them with --secret-file FIELD=PATH or by the environment, " +
      "or set them afterwards with juicefs config",
  });
}
