import { readFile } from "node:fs/promises";
import { CairnError, messageOf } from "../model/errors.ts";
import { keyValues } from "./key-values.ts";
import { firstLine } from "./meta-url.ts";

/** Secrets of a setting that may be given at a restore, with the variable that holds each. */
const variables: Readonly<Record<string, string>> = {
  SecretKey: "CAIRN_SECRET_KEY",
  SessionToken: "CAIRN_SESSION_TOKEN",
  EncryptKey: "CAIRN_ENCRYPT_KEY",
  KerbConf: "CAIRN_KERB_CONF",
  BucketUserInfo: "CAIRN_BUCKET_USER_INFO",
  RangerUserInfo: "CAIRN_RANGER_USER_INFO",
};

/** Secrets whose value is a text of several lines. */
const wholeFiles = new Set(["EncryptKey", "KerbConf"]);

/**
 * Secrets by setting field, from `--secret-file Field=path` and from the environment; never from arguments, which other users of the
 * machine can see. Throws `usage`, or `password-file` when a file cannot be read.
 */
export async function secretsGiven(
  files: readonly string[] | undefined,
  env: NodeJS.ProcessEnv,
): Promise<Record<string, string>> {
  const secrets: Record<string, string> = {};
  for (const [field, variable] of Object.entries(variables)) {
    const value = env[variable];
    if (value !== undefined && value !== "") secrets[field] = value;
  }
  for (const [field, path] of Object.entries(keyValues("--secret-file", files))) {
    if (!Object.hasOwn(variables, field)) {
      throw new CairnError("usage", `--secret-file: ${field} is not the name of a secret`, {
        exit: "wrongUse",
        next: `give one of ${Object.keys(variables).join(", ")}`,
      });
    }
    secrets[field] = wholeFiles.has(field) ? await wholeFile(path) : await firstLine(path, `--secret-file ${field}`);
  }
  return secrets;
}

/**
 * Refuses secrets that are records of the snapshot, as an encryption key is that a passphrase protects: the restored volume has to hold the
 * snapshot's, and a proof at the very end would find another one.
 */
export function requireNotHeld(given: Readonly<Record<string, string>>, held: { has(field: string): boolean }): void {
  const field = Object.keys(given).find((name) => held.has(name));
  if (field === undefined) return;
  throw new CairnError("usage", `the snapshot holds ${field} itself, so a restore takes no other`, {
    exit: "wrongUse",
    unharmed: "nothing was written",
    next: `leave out --secret-file ${field}, and unset ${variables[field]}`,
  });
}

async function wholeFile(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new CairnError("password-file", `cannot read a file of --secret-file: ${messageOf(error)}`, {
      exit: "wrongUse",
      cause: error,
    });
  }
}

/** Secrets that a volume had and a restore was not given: from the snapshot's facts. */
export function secretsMissing(
  removed: string | number | boolean | undefined,
  given: Readonly<Record<string, string>>,
): string[] {
  const names = typeof removed === "string" && removed !== "" ? removed.split(",") : [];
  return names.filter((name) => !Object.hasOwn(given, name));
}

/** How to give a restored volume the secrets that it lacks. */
export function howToSetSecrets(missing: readonly string[], metaUrl: string): string[] {
  const options: Readonly<Record<string, string>> = {
    SecretKey: `juicefs config ${metaUrl} --secret-key …`,
    SessionToken: `juicefs config ${metaUrl} --session-token …`,
  };
  return missing.map(
    (name) =>
      `  ${name}: ${options[name] ?? `restore again with --secret-file ${name}=FILE or ${variables[name] ?? "its variable"}`}`,
  );
}
