/**
 * Expands LZF (liblzf, as Redis compresses strings in an RDB) from `input[at … end)` into the first `length` bytes of `output`, which must
 * be that long. Returns whether the input was whole and gave exactly `length` bytes; every offset is checked.
 */
export function expandLzf(input: Uint8Array, at: number, end: number, output: Uint8Array, length: number): boolean {
  let from = at;
  let to = 0;
  while (from < end) {
    const control = input[from++];
    if (control < 32) {
      // A run of literals.
      const last = to + control + 1;
      if (last > length || from + control + 1 > end) return false;
      while (to < last) output[to++] = input[from++];
      continue;
    }
    let count = control >> 5;
    if (count === 7) {
      if (from >= end) return false;
      count += input[from++];
    }
    if (from >= end) return false;
    let back = to - ((control & 31) << 8) - input[from++] - 1;
    const last = to + count + 2;
    if (back < 0 || last > length) return false;
    // May overlap what it writes: byte by byte.
    while (to < last) output[to++] = output[back++];
  }
  return to === length;
}
