/** JuiceFS' release lines whose layout differs; a target writes what that line's clients create. */
export const juicefsLines = ["1.2", "1.3", "1.4"] as const;

export type JuicefsLine = (typeof juicefsLines)[number];

export const newestLine: JuicefsLine = "1.4";

/** Whether a line is at least as new as another. */
export function lineReaches(line: JuicefsLine, since: JuicefsLine): boolean {
  return juicefsLines.indexOf(line) >= juicefsLines.indexOf(since);
}
