/** A seeded source of random numbers; the same seed gives the same numbers on every machine. */
export interface Random {
  /** A whole number from 0 to 2^32 - 1. */
  word(): number;
  /** A number from 0 (included) to 1 (excluded). */
  unit(): number;
  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number;
  /** True in `share` of all calls. */
  chance(share: number): boolean;
  pick<T>(items: readonly T[]): T;
  /** Exponentially distributed around `mean`: waiting times. */
  exponential(mean: number): number;
  /** Log-normally distributed: `median` times e^(`sigma` times a normal deviate): sizes. */
  logNormal(median: number, sigma: number): number;
  /** `count` random bytes in lower-case hex. */
  hex(count: number): string;
  /** Fills `bytes` with random bytes. */
  fill(bytes: Uint8Array): void;
}

const hexWords = Array.from({ length: 65536 }, (_, value) => value.toString(16).padStart(4, "0"));

/** Chris Doty-Humphrey's sfc32 (PractRand), seeded with a number and a stream name, so that streams are independent. */
export function openRandom(seed: number, stream: string): Random {
  let a = seed >>> 0;
  let b = Math.floor(seed / 0x1_0000_0000) >>> 0;
  let c = 0x9e3779b9;
  let counter = 1;
  for (let i = 0; i < stream.length; i++) {
    c = Math.imul(c ^ stream.charCodeAt(i), 0x01000193) >>> 0;
  }

  function word(): number {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    c |= 0;
    return sum >>> 0;
  }

  for (let i = 0; i < 20; i++) {
    word();
  }

  const unit = () => (word() * 0x20_0000 + (word() >>> 11)) / 0x20_0000_0000_0000;
  // Box-Muller; the second deviate is thrown away, which keeps the stream's position independent of who asks.
  const normal = () => Math.sqrt(-2 * Math.log(1 - unit())) * Math.cos(2 * Math.PI * unit());
  const below = (limit: number) => Math.floor((word() / 0x1_0000_0000) * limit);
  return {
    word,
    unit,
    below,
    chance: (share) => word() < share * 0x1_0000_0000,
    pick: (items) => items[below(items.length)],
    exponential: (mean) => -mean * Math.log(1 - unit()),
    logNormal: (median, sigma) => median * Math.exp(sigma * normal()),
    hex(count) {
      let text = "";
      for (let i = 0; i < count; i += 2) {
        text += hexWords[word() >>> 16];
      }
      return text.slice(0, count * 2);
    },
    fill(bytes) {
      for (let i = 0; i < bytes.length; i++) {
        bytes[i] = word() >>> 24;
      }
    },
  };
}
