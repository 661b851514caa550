/** A pattern over names as bytes. */
export type Glob = (names: Uint8Array, from: number, to: number) => boolean;

type Token =
  | { kind: "byte"; byte: number }
  | { kind: "one" }
  | { kind: "any" }
  | { kind: "set"; negated: boolean; ranges: readonly (readonly [number, number])[] };

/**
 * A shell pattern for one name: `*` any bytes, `?` one character, `[a-z]` and `[!a-z]` one of a set, `\` takes the next character as it
 * is, `%XX` is a byte. A character is a UTF-8 sequence, or one byte where the name is not UTF-8.
 */
export function compileGlob(pattern: string): Glob {
  const tokens = parse(pattern);
  return (names, from, to) => matches(tokens, names, from, to);
}

function parse(pattern: string): Token[] {
  const tokens: Token[] = [];
  const characters = [...pattern];
  const addText = (text: string): void => {
    for (const byte of Buffer.from(text)) tokens.push({ kind: "byte", byte });
  };
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at];
    const hex = characters.slice(at + 1, at + 3).join("");
    if (character === "*") tokens.push({ kind: "any" });
    else if (character === "?") tokens.push({ kind: "one" });
    else if (character === "\\" && at + 1 < characters.length) addText(characters[(at += 1)]);
    else if (character === "%" && /^[0-9A-Fa-f]{2}$/.test(hex)) {
      tokens.push({ kind: "byte", byte: Number.parseInt(hex, 16) });
      at += 2;
    } else if (character === "[") {
      const set = parseSet(characters, at);
      if (set === undefined) addText(character);
      else {
        tokens.push(set.token);
        at = set.end;
      }
    } else addText(character);
  }
  return tokens;
}

/** A set from its `[`; undefined when no `]` ends it. */
function parseSet(characters: readonly string[], start: number): { token: Token; end: number } | undefined {
  const negated = characters[start + 1] === "!" || characters[start + 1] === "^";
  const first = start + (negated ? 2 : 1);
  const ranges: [number, number][] = [];
  for (let at = first; at < characters.length; at += 1) {
    if (characters[at] === "]" && at > first) return { token: { kind: "set", negated, ranges }, end: at };
    const low = characters[at].codePointAt(0) as number;
    if (characters[at + 1] === "-" && at + 2 < characters.length && characters[at + 2] !== "]") {
      ranges.push([low, characters[at + 2].codePointAt(0) as number]);
      at += 2;
    } else ranges.push([low, low]);
  }
  return undefined;
}

/** Backtracks to the latest `*` only, so that the time is bounded by name times pattern. */
function matches(tokens: readonly Token[], names: Uint8Array, from: number, to: number): boolean {
  let at = from;
  let token = 0;
  let starToken = -1;
  let starAt = from;
  while (at < to) {
    const now = tokens[token] as Token | undefined;
    if (now?.kind === "any") {
      starToken = token;
      starAt = at;
      token += 1;
      continue;
    }
    const length = now === undefined ? 0 : matchOne(now, names, at, to);
    if (length > 0) {
      at += length;
      token += 1;
    } else if (starToken >= 0) {
      starAt += 1;
      at = starAt;
      token = starToken + 1;
    } else return false;
  }
  while (tokens[token]?.kind === "any") token += 1;
  return token === tokens.length;
}

/** Bytes that one token takes, or 0. */
function matchOne(token: Token, names: Uint8Array, at: number, to: number): number {
  if (token.kind === "byte") return names[at] === token.byte ? 1 : 0;
  const length = characterLength(names, at, to);
  if (token.kind !== "set") return length;
  const code = length === 1 ? names[at] : codePoint(names, at, length);
  // A lone byte above 0x7f is no character of a set.
  const isIn = (length > 1 || code < 0x80) && token.ranges.some(([low, high]) => code >= low && code <= high);
  return isIn === token.negated ? 0 : length;
}

function characterLength(names: Uint8Array, at: number, to: number): number {
  const byte = names[at];
  const length = byte < 0xc2 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : byte < 0xf5 ? 4 : 1;
  if (at + length > to) return 1;
  for (let next = 1; next < length; next += 1) if ((names[at + next] & 0xc0) !== 0x80) return 1;
  return length;
}

function codePoint(names: Uint8Array, at: number, length: number): number {
  let code = names[at] & (0x7f >> length);
  for (let next = 1; next < length; next += 1) code = (code << 6) | (names[at + next] & 0x3f);
  return code;
}
