/**
 * Sorts `order[from … to)` stably by a 32-bit word of each element, least byte first; bytes in which no words differ cost nothing.
 * The word of element `e` is `words[e * stride + offset]`. `scratch` is at least as long as `order`.
 */
export function radixSort(
  order: Uint32Array,
  scratch: Uint32Array,
  from: number,
  to: number,
  words: Uint32Array,
  stride: number,
  offset: number,
): void {
  if (to - from < 2) return;
  const first = words[order[from] * stride + offset];
  let differ = 0;
  for (let at = from + 1; at < to; at += 1) differ |= words[order[at] * stride + offset] ^ first;
  for (let shift = 0; shift < 32; shift += 8) {
    if (((differ >>> shift) & 255) === 0) continue;
    counts.fill(0);
    for (let at = from; at < to; at += 1) counts[(words[order[at] * stride + offset] >>> shift) & 255] += 1;
    let sum = from;
    for (let digit = 0; digit < 256; digit += 1) {
      const count = counts[digit];
      counts[digit] = sum;
      sum += count;
    }
    for (let at = from; at < to; at += 1) {
      const element = order[at];
      const digit = (words[element * stride + offset] >>> shift) & 255;
      scratch[counts[digit]] = element;
      counts[digit] += 1;
    }
    order.set(scratch.subarray(from, to), from);
  }
}

const counts = new Uint32Array(256);
