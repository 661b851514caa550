/**
 * Bytes as text that a terminal shows safely and a user can type again: printable UTF-8 stays, every other byte, and `%`
 * itself, becomes `%XX`.
 */
export function bytesToText(bytes: Uint8Array): string {
  let plain = true;
  for (const byte of bytes) {
    if (byte < 0x20 || byte >= 0x7f || byte === 0x25) {
      plain = false;
      break;
    }
  }
  if (plain) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  let text = "";
  let at = 0;
  while (at < bytes.length) {
    const length = printableLength(bytes, at);
    if (length === 0) {
      text += `%${bytes[at].toString(16).toUpperCase().padStart(2, "0")}`;
      at += 1;
    } else {
      text += Buffer.from(bytes.subarray(at, at + length)).toString("utf8");
      at += length;
    }
  }
  return text;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Length of the printable UTF-8 character at a position, or 0 where a byte must be escaped. */
function printableLength(bytes: Uint8Array, at: number): number {
  const byte = bytes[at];
  if (byte < 0x80) return byte < 0x20 || byte === 0x7f || byte === 0x25 ? 0 : 1;
  const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
  if (byte < 0xc2 || at + length > bytes.length) return 0;
  let character: string;
  try {
    character = decoder.decode(bytes.subarray(at, at + length));
  } catch {
    return 0;
  }
  // Controls, separators that break lines, directional marks and unassigned code points must not reach a terminal.
  return [...character].length === 1 && !/[\p{C}\p{Zl}\p{Zp}]/u.test(character) ? length : 0;
}

/** The reverse of `bytesToText`: `%XX` is a byte, anything else is UTF-8. A `%` without two hex digits stands for itself. */
export function textToBytes(text: string): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  for (const part of text.split(/(%[0-9A-Fa-f]{2})/)) {
    parts.push(
      /^%[0-9A-Fa-f]{2}$/.test(part) ? Uint8Array.of(Number.parseInt(part.slice(1), 16)) : Buffer.from(part, "utf8"),
    );
  }
  return new Uint8Array(Buffer.concat(parts));
}
