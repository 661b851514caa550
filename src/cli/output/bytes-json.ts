import { bytesToText } from "../../std/byte-text.ts";
import type { JsonObject } from "./output.ts";

/** Bytes in JSON: `name` is the text as it is typed on the command line, `nameBase64` the bytes, where they are not that text in UTF-8. */
export function bytesJson(name: string, bytes: Uint8Array): JsonObject {
  const text = bytesToText(bytes);
  const isSame = Buffer.compare(Buffer.from(text, "utf8"), bytes) === 0;
  return isSame ? { [name]: text } : { [name]: text, [`${name}Base64`]: Buffer.from(bytes).toString("base64") };
}

/** A 64-bit number in JSON: as a number where that is exact, else as a decimal string. */
export function bigJson(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
}
