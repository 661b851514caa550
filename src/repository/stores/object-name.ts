import { CairnError } from "../../model/errors.ts";

/** Refuses a name that no object may have. Names come from manifests as well: none may lead out of the store. */
export function checkObjectName(name: string): void {
  if (!/^[a-z0-9_-][a-z0-9._-]*(\/[a-z0-9_-][a-z0-9._-]*)*$/.test(name)) refuse(name);
}

/** Refuses a prefix that is neither empty nor a name followed by `/`. */
export function checkObjectPrefix(prefix: string): void {
  if (prefix === "") return;
  if (!prefix.endsWith("/")) refuse(prefix);
  checkObjectName(prefix.slice(0, -1));
}

function refuse(name: string): never {
  throw new CairnError("object-name", `"${name}" is no name of an object`, { exit: "repositoryDamaged" });
}
