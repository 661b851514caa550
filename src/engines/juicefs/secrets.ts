import { settingType } from "../../model/juicefs.ts";
import { unwrapSecret, wrapSecret } from "./key-wrapping.ts";
import type { SettingField } from "./setting.ts";
import { settingText } from "./setting.ts";

/** What JuiceFS itself writes in place of a secret that it left out. */
const removedSecret = "removed";

/** Fields that are addresses, and the names under which the user info in them is handed on. */
const addressFields = new Map([
  ["Bucket", "BucketUserInfo"],
  ["RangerRestUrl", "RangerUserInfo"],
]);

/** Fields that `KeyEncrypted` wraps. */
const wrappedFields = ["EncryptKey", "SecretKey", "SessionToken"];

/** Fields that never enter the table. */
const secretFields = ["SecretKey", "SessionToken", "KerbConf"];

export interface SplitSetting {
  /** The fields for the table: no secrets; an encryption key only when a passphrase protects it, unwrapped. */
  readonly fields: SettingField[];
  /** The secrets by field name, unwrapped; without those that the volume itself holds as `removed`. */
  readonly secrets: Record<string, string>;
  /** Names of all secrets that the setting has and the table has not, sorted, comma-separated: for the facts. */
  readonly removed: string;
}

/** Takes the secrets out of a setting. Throws `secret-unreadable`, `sm4-unsupported`. */
export function splitSecrets(fields: readonly SettingField[]): SplitSetting {
  const open = unwrapAll(fields);
  const kept: SettingField[] = [];
  const secrets: Record<string, string> = {};
  const removed: string[] = [];
  const take = (name: string, text: string): void => {
    removed.push(name);
    if (text !== removedSecret) secrets[name] = text;
  };
  for (const field of open) {
    const userInfoName = addressFields.get(field.name);
    if (secretFields.includes(field.name)) take(field.name, field.text);
    else if (field.name === "EncryptKey" && !isPassphraseProtected(field.text)) take(field.name, field.text);
    else if (userInfoName !== undefined) {
      const { address, userInfo } = splitAddress(field.text);
      if (userInfo !== undefined) take(userInfoName, userInfo);
      kept.push({ ...field, text: address });
    } else kept.push(field);
  }
  return { fields: kept, secrets, removed: removed.toSorted().join(",") };
}

/** Whether the passphrase of an encrypted PEM, not the PEM alone, opens the volume. */
function isPassphraseProtected(pem: string): boolean {
  return pem.startsWith("-----BEGIN") && pem.includes("ENCRYPTED");
}

function unwrapAll(fields: readonly SettingField[]): SettingField[] {
  if (settingText(fields, "KeyEncrypted") !== "true") return [...fields];
  const uuid = settingText(fields, "UUID") ?? "";
  const algorithm = settingText(fields, "EncryptAlgo") ?? "";
  return fields.map((field) =>
    wrappedFields.includes(field.name) && field.text !== removedSecret
      ? { ...field, text: unwrapSecret(field.name, field.text, uuid, algorithm) }
      : field,
  );
}

/**
 * The setting as a client expects it: secrets put back and wrapped where the setting says `KeyEncrypted`; a secret that the volume had
 * and that is not at hand becomes `removed`, as `juicefs dump` leaves it, so that `juicefs config` can set it.
 */
export function joinSecrets(
  fields: readonly SettingField[],
  secrets: Record<string, string>,
  removed: string,
): SettingField[] {
  const had = removed === "" ? [] : removed.split(",");
  const userInfoNames = new Set(addressFields.values());
  const names = new Set([...had, ...Object.keys(secrets)].filter((name) => !userInfoNames.has(name)));
  const joined = fields.filter((field) => !names.has(field.name)).map((field) => withUserInfo(field, secrets));
  for (const name of names) joined.push({ name, type: settingType.string, text: secrets[name] ?? removedSecret });
  return wrapAll(joined);
}

function wrapAll(fields: readonly SettingField[]): SettingField[] {
  if (settingText(fields, "KeyEncrypted") !== "true") return [...fields];
  const uuid = settingText(fields, "UUID") ?? "";
  const algorithm = settingText(fields, "EncryptAlgo") ?? "";
  return fields.map((field) =>
    wrappedFields.includes(field.name) && field.text !== removedSecret
      ? { ...field, text: wrapSecret(field.text, uuid, algorithm) }
      : field,
  );
}

function withUserInfo(field: SettingField, secrets: Record<string, string>): SettingField {
  const userInfo = secrets[addressFields.get(field.name) ?? ""];
  if (userInfo === undefined) return field;
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(field.text)?.[0] ?? "";
  return { ...field, text: `${scheme}${userInfo}@${field.text.slice(scheme.length)}` };
}

/** Splits `user:password@` off a URL, also off one without scheme (`user:password@(host)/db`); a path is never split. */
export function splitAddress(text: string): { address: string; userInfo: string | undefined } {
  const withScheme = /^([a-z][a-z0-9+.-]*:\/\/)([^/?#]*)@/i.exec(text);
  if (withScheme !== null) {
    return { address: withScheme[1] + text.slice(withScheme[0].length), userInfo: withScheme[2] };
  }
  // A database address, `user:password@(host:3306)/db`, takes any password; elsewhere it has neither `/` nor `@`.
  const bare = /^([^/@:]+:.*)@(?=\w*\()/.exec(text) ?? /^([^/@:]+:[^/@]*)@/.exec(text);
  if (bare === null || /^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return { address: text, userInfo: undefined };
  return { address: text.slice(bare[0].length), userInfo: bare[1] };
}
