import type { Progress } from "../../src/model/ports.ts";

/** Collects warnings and drops progress. */
export function quietProgress(): Progress & { warnings: string[] } {
  const warnings: string[] = [];
  return { warnings, report: () => undefined, warn: (code) => warnings.push(code) };
}
