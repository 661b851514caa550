import { fileType } from "../../model/juicefs.ts";

const letters: Readonly<Record<number, string>> = {
  [fileType.regular]: "-",
  [fileType.directory]: "d",
  [fileType.symlink]: "l",
  [fileType.fifo]: "p",
  [fileType.blockDevice]: "b",
  [fileType.charDevice]: "c",
  [fileType.socket]: "s",
};

const typeNames: Readonly<Record<number, string>> = {
  [fileType.regular]: "regular",
  [fileType.directory]: "directory",
  [fileType.symlink]: "symlink",
  [fileType.fifo]: "fifo",
  [fileType.blockDevice]: "blockdev",
  [fileType.charDevice]: "chardev",
  [fileType.socket]: "socket",
};

const bits = "rwxrwxrwx";

/** `-rwsr-x--T` as ls prints it. */
export function modeString(type: number, mode: number): string {
  let text = letters[type] ?? "?";
  for (let at = 0; at < 9; at += 1) text += (mode & (256 >> at)) === 0 ? "-" : bits[at];
  const special = [
    { bit: 0o4000, at: 3, letter: "s" },
    { bit: 0o2000, at: 6, letter: "s" },
    { bit: 0o1000, at: 9, letter: "t" },
  ];
  for (const { bit, at, letter } of special) {
    if ((mode & bit) === 0) continue;
    text = text.slice(0, at) + (text[at] === "x" ? letter : letter.toUpperCase()) + text.slice(at + 1);
  }
  return text;
}

/** JuiceFS' own word for a type, as in its dumps. */
export function typeName(type: number): string {
  return typeNames[type] ?? `type ${type}`;
}

/** `8, 1`: major and minor number of a device, as Linux packs them. */
export function deviceNumbers(rdev: number): string {
  const major = (rdev >>> 8) & 0xfff;
  const minor = (rdev & 0xff) | ((rdev >>> 12) & 0xfff00);
  return `${major}, ${minor}`;
}
