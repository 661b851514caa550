import type { Style } from "./names.ts";
import type { Random } from "./random.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const fileBytesMax = 32 * 1024 * MiB;

/** The length of a file in a directory of this style: log-normal, most files small, a few very large. */
export function drawSize(style: Style, random: Random): number {
  if (random.chance(0.015)) {
    return 0;
  }
  return Math.min(fileBytesMax, Math.max(1, Math.floor(sizeOf(style, random))));
}

function sizeOf(style: Style, random: Random): number {
  switch (style) {
    case "camera": {
      const kind = random.unit();
      if (kind < 0.03) {
        return random.logNormal(120 * MiB, 1);
      }
      return kind < 0.18 ? random.logNormal(24 * MiB, 0.25) : random.logNormal(3.2 * MiB, 0.6);
    }
    case "hash":
      return random.logNormal(40 * KiB, 2);
    case "logs":
      return random.logNormal(150 * KiB, 1.9);
    case "words":
      return random.logNormal(40 * KiB, 1.5);
    case "unicode":
      return random.logNormal(200 * KiB, 2);
    case "parts":
      return random.logNormal(6 * MiB, 1.2);
    case "source":
      return random.logNormal(3.5 * KiB, 1.3);
  }
}

const sourceModes = [0o644, 0o644, 0o644, 0o644, 0o644, 0o644, 0o644, 0o755, 0o664];
const documentModes = [0o644, 0o644, 0o644, 0o644, 0o664, 0o664, 0o640, 0o600];
const dataModes = [0o644, 0o644, 0o644, 0o644, 0o644, 0o664, 0o444, 0o640];

/** The permission bits of a file in a directory of this style. */
export function drawMode(style: Style, random: Random): number {
  switch (style) {
    case "source":
      return random.pick(sourceModes);
    case "words":
    case "unicode":
      return random.pick(documentModes);
    default:
      return random.pick(dataModes);
  }
}
