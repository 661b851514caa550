/**
 * JSON as text, cut without loss: numbers above 2^53 and the exact spelling of unknown values survive. The functions expect text that
 * `JSON.parse` has accepted.
 */
export interface JsonMember {
  readonly key: string;
  /** The value as it stands in the text. */
  readonly raw: string;
}

/** Nesting beyond this is refused where values are taken apart; JuiceFS' own need three levels. */
const depthMax = 64;

/** The members of a valid JSON object, in their order; a key that occurs twice occurs twice here. */
export function membersOf(text: string): JsonMember[] {
  const members: JsonMember[] = [];
  let at = skipSpace(text, skipSpace(text, 0) + 1);
  while (text[at] !== "}") {
    const keyEnd = endOfValue(text, at);
    const key = JSON.parse(text.slice(at, keyEnd)) as string;
    const start = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const end = endOfValue(text, start);
    members.push({ key, raw: text.slice(start, end) });
    at = skipSpace(text, end);
    if (text[at] === ",") at = skipSpace(text, at + 1);
  }
  return members;
}

/** The elements of a valid JSON array, as they stand in the text. */
export function elementsOf(text: string): string[] {
  const elements: string[] = [];
  let at = skipSpace(text, skipSpace(text, 0) + 1);
  while (text[at] !== "]") {
    const end = endOfValue(text, at);
    elements.push(text.slice(at, end));
    at = skipSpace(text, end);
    if (text[at] === ",") at = skipSpace(text, at + 1);
  }
  return elements;
}

/** A key that an object of the text has twice, at any depth. */
export function duplicateKey(text: string, depth = 0): string | undefined {
  if (depth > depthMax) throw new RangeError(`JSON is nested deeper than ${depthMax} levels`);
  const first = text[skipSpace(text, 0)];
  if (first === "[") return firstOf(elementsOf(text), (raw) => duplicateKey(raw, depth + 1));
  if (first !== "{") return undefined;
  const members = membersOf(text);
  const seen = new Set<string>();
  for (const { key } of members) {
    if (seen.has(key)) return key;
    seen.add(key);
  }
  return firstOf(members, ({ raw }) => duplicateKey(raw, depth + 1));
}

/** The same value without white space, keys sorted by code point, strings spelled as `JSON.stringify` does, numbers as they are. */
export function canonicalJson(text: string, depth = 0): string {
  if (depth > depthMax) throw new RangeError(`JSON is nested deeper than ${depthMax} levels`);
  const start = skipSpace(text, 0);
  const raw = text.slice(start, endOfValue(text, start));
  if (raw[0] === '"') return JSON.stringify(JSON.parse(raw));
  if (raw[0] === "[")
    return `[${elementsOf(raw)
      .map((element) => canonicalJson(element, depth + 1))
      .join(",")}]`;
  if (raw[0] !== "{") return raw;
  const members = membersOf(raw).toSorted((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
  return `{${members.map((member) => `${JSON.stringify(member.key)}:${canonicalJson(member.raw, depth + 1)}`).join(",")}}`;
}

/** The value as Go's `json.MarshalIndent(value, "", "")` lays it out: every member and element on a line of its own, no indent. */
export function goIndented(text: string): string {
  const start = skipSpace(text, 0);
  const raw = text.slice(start, endOfValue(text, start));
  if (raw[0] === "[") {
    const elements = elementsOf(raw);
    return elements.length === 0 ? "[]" : `[\n${elements.map(goIndented).join(",\n")}\n]`;
  }
  if (raw[0] === "{") {
    const members = membersOf(raw);
    if (members.length === 0) return "{}";
    return `{\n${members.map(({ key, raw: value }) => `${goString(key)}: ${goIndented(value)}`).join(",\n")}\n}`;
  }
  return raw[0] === '"' ? goString(JSON.parse(raw) as string) : raw;
}

/** A string as Go's encoding/json spells it: also `<`, `>`, `&` and the two line separators of Unicode are escaped. */
export function goString(text: string): string {
  return JSON.stringify(text.toWellFormed()).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function firstOf<Item, Found>(items: readonly Item[], find: (item: Item) => Found | undefined): Found | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

function skipSpace(text: string, at: number): number {
  let position = at;
  while (text[position] === " " || text[position] === "\n" || text[position] === "\r" || text[position] === "\t")
    position++;
  return position;
}

function endOfValue(text: string, start: number): number {
  let depth = 0;
  let at = start;
  do {
    const character = text[at];
    if (character === '"') at = endOfString(text, at);
    else {
      if (character === "{" || character === "[") depth++;
      else if (character === "}" || character === "]") depth--;
      at++;
      if (depth === 0 && character !== "}" && character !== "]") {
        while (at < text.length && !/[\s,\]}]/.test(text[at])) at++;
      }
    }
  } while (depth > 0);
  return at;
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}
