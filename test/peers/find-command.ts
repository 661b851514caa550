import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** The path of a command, or `undefined`; also looks where system tools lie that are not on every user's PATH. */
export function findCommand(name: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  for (const folder of folders) {
    if (folder !== "" && isExecutable(join(folder, name))) return join(folder, name);
  }
  return undefined;
}

/** Whether this process may run the file. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
