import { CairnError } from "../model/errors.ts";

/** `key=value` options as a record; a key given twice is refused. Throws `usage` naming the option. */
export function keyValues(option: string, texts: readonly string[] | undefined): Record<string, string> {
  const values: Record<string, string> = {};
  for (const text of texts ?? []) {
    const at = text.indexOf("=");
    const key = text.slice(0, at);
    if (at <= 0)
      throw new CairnError("usage", `${option} ${text} has no value`, {
        exit: "wrongUse",
        next: `write ${option} key=value`,
      });
    if (Object.hasOwn(values, key)) throw new CairnError("usage", `${option} gives ${key} twice`, { exit: "wrongUse" });
    Object.defineProperty(values, key, {
      value: text.slice(at + 1),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return values;
}
