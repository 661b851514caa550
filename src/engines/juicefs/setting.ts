import type { Batch, BytesColumn, Row } from "../../model/batch.ts";
import { bytesAt, bytesOf, integersOf } from "../../model/batch.ts";
import { CairnError, messageOf } from "../../model/errors.ts";
import { settingType } from "../../model/juicefs.ts";
import { canonicalJson, duplicateKey, goIndented, goString, membersOf } from "./json-text.ts";
import type { JuicefsLine } from "./lines.ts";
import { lineReaches } from "./lines.ts";
import type { SettingFieldSpec } from "./setting-fields.ts";
import { settingFields } from "./setting-fields.ts";

/**
 * One field of the setting in canonical form: a record of table `setting`. `text` is the string itself, a decimal number, `true`, or
 * JSON: compact with sorted keys for a known field, as it stands in the source for an unknown one.
 */
export interface SettingField {
  readonly name: string;
  readonly type: number;
  readonly text: string;
}

const specOf = new Map(settingFields.map((spec) => [spec.name, spec]));

/**
 * Takes JuiceFS' setting JSON apart. A known field that holds its zero value is absent, since Go omits or writes it depending on the
 * version; an unknown field is kept verbatim, even when zero. Throws `setting-invalid`.
 */
export function parseSetting(json: string): SettingField[] {
  requireObject(json);
  const fields: SettingField[] = [];
  for (const { key, raw } of membersOf(json)) {
    const spec = specOf.get(key);
    if (spec === undefined) fields.push({ name: key, type: settingType.json, text: raw });
    else {
      const field = knownField(spec, raw);
      if (field !== undefined) fields.push(field);
    }
  }
  return fields;
}

function requireObject(json: string): void {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    // V8's message quotes the surroundings of the mistake, which may be a secret.
    throw invalid(`it is not JSON (${json.length} characters)`);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) throw invalid("it is not a JSON object");
  let twice: string | undefined;
  try {
    twice = duplicateKey(json);
  } catch (error) {
    throw invalid(messageOf(error));
  }
  if (twice !== undefined) throw invalid(`it has the field ${JSON.stringify(twice)} twice`);
}

function invalid(what: string): CairnError {
  return new CairnError("setting-invalid", `the volume's setting cannot be read: ${what}`, {
    next: "compare it with `juicefs config META-URL`, which reads the same record",
  });
}

function knownField(spec: SettingFieldSpec, raw: string): SettingField | undefined {
  if (raw === "null") return undefined;
  switch (spec.type) {
    case "string": {
      if (raw[0] !== '"') throw invalid(`field ${spec.name} is not a string`);
      const text = (JSON.parse(raw) as string).toWellFormed();
      return text === "" ? undefined : { name: spec.name, type: settingType.string, text };
    }
    case "integer": {
      if (!/^-?[0-9]+$/.test(raw)) throw invalid(`field ${spec.name} is not a whole number`);
      const text = BigInt(raw).toString();
      return text === "0" ? undefined : { name: spec.name, type: settingType.integer, text };
    }
    case "boolean": {
      if (raw !== "true" && raw !== "false") throw invalid(`field ${spec.name} is neither true nor false`);
      return raw === "false" ? undefined : { name: spec.name, type: settingType.boolean, text: raw };
    }
    case "json": {
      if (raw[0] !== "{") throw invalid(`field ${spec.name} is not an object`);
      const text = canonicalJson(raw);
      return text === "{}" ? undefined : { name: spec.name, type: settingType.json, text };
    }
  }
}

/**
 * The setting JSON as a client of the line writes it (Go's `MarshalIndent(format, "", "")`): known fields in Go's order, zero ones only
 * where that line always writes them, then the unknown fields as they were.
 */
export function formatSetting(fields: readonly SettingField[], line: JuicefsLine): string {
  const byName = new Map(fields.map((field) => [field.name, field]));
  const lines: string[] = [];
  for (const spec of settingFields) {
    const field = byName.get(spec.name);
    byName.delete(spec.name);
    if (field !== undefined) lines.push(`${goString(spec.name)}: ${jsonOf(field)}`);
    else if (spec.alwaysSince !== undefined && lineReaches(line, spec.alwaysSince)) {
      lines.push(`${goString(spec.name)}: ${zeroOf(spec)}`);
    }
  }
  for (const field of byName.values()) lines.push(`${goString(field.name)}: ${field.text}`);
  return `{\n${lines.join(",\n")}\n}`;
}

function jsonOf(field: SettingField): string {
  if (field.type === settingType.string) return goString(field.text);
  return field.type === settingType.json ? goIndented(field.text) : field.text;
}

function zeroOf(spec: SettingFieldSpec): string {
  return { string: '""', integer: "0", boolean: "false", json: "null" }[spec.type];
}

/** The text of a field, or nothing when it is absent. */
export function settingText(fields: readonly SettingField[], name: string): string | undefined {
  return fields.find((field) => field.name === name)?.text;
}

/** Records of table `setting`, sorted by their key. */
export function settingRows(fields: readonly SettingField[]): Row[] {
  return fields
    .map((field): [Buffer, number, Buffer] => [Buffer.from(field.name), field.type, Buffer.from(field.text)])
    .toSorted((a, b) => Buffer.compare(a[0], b[0]));
}

/** The fields that a batch of table `setting` holds. Throws `setting-invalid` on a type that no source writes. */
export function settingFieldsOf(batch: Batch): SettingField[] {
  const names = bytesOf(batch, 0);
  const types = batch.columns[1] === undefined ? undefined : integersOf(batch, 1);
  const values = batch.columns[2] as BytesColumn | undefined;
  return Array.from({ length: batch.count }, (_, row) => {
    const type = types?.[row] ?? 0;
    if (type > settingType.json) throw invalid(`record ${textOf(bytesAt(names, row))} has the unknown type ${type}`);
    return { name: textOf(bytesAt(names, row)), type, text: values === undefined ? "" : textOf(bytesAt(values, row)) };
  });
}

/** UTF-8 text, strictly: JuiceFS' setting is written by Go's JSON encoder, which writes no other. */
function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid("it is not UTF-8");
  }
}
