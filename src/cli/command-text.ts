/** An argument as a shell takes it: quoted only where it must be. */
export function shellQuote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A command line that can be pasted into a shell. */
export function commandText(program: string, args: readonly string[]): string {
  return [program, ...args.map(shellQuote)].join(" ");
}
