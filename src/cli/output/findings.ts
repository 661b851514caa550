import type { Finding } from "../../model/ports.ts";
import { formatCount } from "./format.ts";

/** What a source noticed, for people: one line each, then its samples. */
export function findingLines(findings: readonly Finding[]): string[] {
  return findings.flatMap(({ code, severity, message, count, samples }) => [
    `  ${severity}: ${message} (${code}${count > 1 ? `, ${formatCount(count)} times` : ""})`,
    ...samples.slice(0, 3).map((sample) => `    ${sample}`),
    ...(count > 3 && samples.length > 3 ? [`    … and ${formatCount(count - 3)} more`] : []),
  ]);
}
