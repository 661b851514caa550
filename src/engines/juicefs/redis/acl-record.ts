import type { RecordRows } from "./record-rows.ts";

const entryBytes = 6;

/**
 * Writes the columns of an ACL rule from JuiceFS' binary one (`pkg/acl/acl.go`, `Rule.Encode`), big-endian: owner, group, mask, other u16, a
 * count u32 and so many users, a count u32 and so many groups, 6 bytes each. Returns what is wrong with it, if anything.
 */
export function putAclRule(rows: RecordRows, bytes: Uint8Array, start: number, end: number): string | undefined {
  const wrong = "is no ACL rule: its length is not what it says";
  if (end - start < 16) return wrong;
  for (let column = 0; column < 4; column++) {
    rows.u32(1 + column, (bytes[start + 2 * column] << 8) | bytes[start + 2 * column + 1]);
  }
  const users = start + 12;
  const usersEnd = users + entryBytes * word(bytes, start + 8);
  if (usersEnd + 4 > end) return wrong;
  const groupsEnd = usersEnd + 4 + entryBytes * word(bytes, usersEnd);
  if (groupsEnd !== end) return wrong;
  rows.bytes(5, bytes, users, usersEnd);
  rows.bytes(6, bytes, usersEnd + 4, groupsEnd);
  return undefined;
}

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}
