/** The key, or the beginning of a key, that one inode makes: 8 bytes big-endian. */
export function inodeKey(inode: bigint): Uint8Array<ArrayBuffer> {
  const key = new Uint8Array(8);
  new DataView(key.buffer).setBigUint64(0, inode);
  return key;
}

/** The same from two halves. */
export function inodeKeyOf(low: number, high: number): Uint8Array<ArrayBuffer> {
  const key = new Uint8Array(8);
  const view = new DataView(key.buffer);
  view.setUint32(0, high);
  view.setUint32(4, low);
  return key;
}
