import type { Finding } from "../../model/ports.ts";

const samplesMax = 10;

/** A finding that is counted up: the first ten samples stay. `name` is called only for those. */
export class FindingCount {
  readonly #code: string;
  readonly #severity: Finding["severity"];
  readonly #message: (count: number) => string;
  readonly #samples: string[] = [];
  #count = 0;

  constructor(code: string, severity: Finding["severity"], message: (count: number) => string) {
    this.#code = code;
    this.#severity = severity;
    this.#message = message;
  }

  add(name: () => string): void {
    if (this.#count++ < samplesMax) this.#samples.push(name());
  }

  /** The finding, or nothing when it never occurred. */
  toFindings(): Finding[] {
    if (this.#count === 0) return [];
    return [
      {
        code: this.#code,
        severity: this.#severity,
        message: this.#message(this.#count),
        count: this.#count,
        samples: [...this.#samples],
      },
    ];
  }
}

/** A finding about the volume as a whole. */
export function singleFinding(
  code: string,
  severity: Finding["severity"],
  message: string,
  samples: string[] = [],
): Finding {
  return { code, severity, message, count: 1, samples };
}
