import { textToBytes } from "../std/byte-text.ts";
import { CairnError } from "../model/errors.ts";
import { parseDuration, parseTime, timePattern } from "./times.ts";

/** Which snapshot of a repository is meant. */
export type Selector =
  | { kind: "latest" }
  /** Hex digits that its id begins with. */
  | { kind: "id"; prefix: string }
  /** The newest that is not later; milliseconds since 1970. */
  | { kind: "time"; notAfter: number };

/** A snapshot address taken apart: `REPO@SELECTOR[:/PATH]`. */
export interface Address {
  /** As given, or from `CAIRN_REPO`. */
  repository: string;
  selector: Selector;
  /** The selector as the user wrote it, for messages. */
  selectorText: string;
  /** Bytes of the path, beginning with `/`; undefined when the address names none. */
  path: Uint8Array<ArrayBuffer> | undefined;
}

const selectorPattern = String.raw`latest|[0-9a-f]{4,32}|-\d{1,9}[smhdw]|${timePattern}`;
const addressPattern = new RegExp(String.raw`@(${selectorPattern})(?=:\/|$)`);

/**
 * Takes an address apart at its first `@` that is followed by a selector which `:/` or the end of the address ends. So a repository's
 * path may hold `@` and `:`, and the path inside the snapshot may hold anything: `/srv/a@b/repo@latest:/x@y:/z` is the path `/x@y:/z`
 * in the newest snapshot of `/srv/a@b/repo`. Without a repository before the `@`, `CAIRN_REPO` names it.
 * Throws `address-invalid`, saying what is missing.
 */
export function parseAddress(text: string, now: number, defaultRepository: string | undefined): Address {
  const match = addressPattern.exec(text);
  if (match === null) throw invalid(text);
  const path = text.slice(match.index + match[0].length);
  return {
    repository: requireRepository(text.slice(0, match.index), text, defaultRepository),
    selector: parseSelector(match[1], now, text),
    selectorText: match[1],
    path: path === "" ? undefined : textToBytes(path.slice(1)),
  };
}

/** Whether a text names a snapshot, not a whole repository: for commands that take both. */
export function isAddress(text: string): boolean {
  return addressPattern.test(text);
}

function requireRepository(given: string, text: string, defaultRepository: string | undefined): string {
  const repository = given === "" ? defaultRepository : given;
  if (repository !== undefined && repository !== "") return repository;
  throw new CairnError("address-invalid", `${text} names no repository`, {
    exit: "wrongUse",
    next: "write REPO@SELECTOR, or set CAIRN_REPO",
  });
}

function parseSelector(text: string, now: number, address: string): Selector {
  if (text === "latest") return { kind: "latest" };
  if (text.startsWith("-")) return { kind: "time", notAfter: now - (parseDuration(text.slice(1)) as number) };
  if (/^[0-9a-f]+$/.test(text)) return { kind: "id", prefix: text };
  const notAfter = parseTime(text);
  if (notAfter !== undefined) return { kind: "time", notAfter };
  throw new CairnError("address-invalid", `${address}: ${text} is not a date or time that exists`, {
    exit: "wrongUse",
  });
}

/** Says what is wrong with an address by what stands where the selector should. */
function invalid(text: string): CairnError {
  const pathStart = /(?<!^[a-z][a-z0-9+.-]*):\/(?!\/)/i.exec(text)?.index ?? text.length;
  const at = text.lastIndexOf("@", pathStart);
  const found = at < 0 ? "" : text.slice(at + 1, pathStart);
  const reason = found === "" ? "it says no snapshot" : `${JSON.stringify(found)} selects no snapshot`;
  const repository = at <= 0 ? text.slice(0, pathStart) : text.slice(0, at);
  return new CairnError("address-invalid", `${text} is no snapshot address: ${reason}`, {
    exit: "wrongUse",
    next: `write ${repository === "" ? "REPO" : repository}@latest, @ and at least 4 hex digits of an id, @2026-11-20T10:00 or @-2h, then :/PATH where a path is wanted`,
  });
}
