import { bytesToText } from "../std/byte-text.ts";
import type { TableSchema } from "../model/schema.ts";
import { decodeKey } from "./key.ts";

/** A key for people: `parent=1 name=a.txt`. */
export function describeKey(schema: TableSchema, key: Uint8Array): string {
  return decodeKey(schema, key)
    .map((value, index) => `${schema.columns[index].name}=${typeof value === "bigint" ? value : bytesToText(value)}`)
    .join(" ");
}
