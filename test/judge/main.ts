import { parseArgs } from "node:util";
import { errorsOf, formatFinding } from "./finding.ts";
import { judgeVolume } from "./judge-volume.ts";

const USAGE = `usage: tools/with-node test/judge/main.ts [--table-prefix NAME] [--reference URL] [--errors-only] [--json] URL

Judges the JuiceFS volume behind a metadata URL, or in the SQLite database of that path, and prints what it finds; the exit code is 1 when there are errors.`;

/** Prints the findings for one volume; returns the exit code. */
async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      "table-prefix": { type: "string" },
      reference: { type: "string" },
      "errors-only": { type: "boolean" },
      json: { type: "boolean" },
    },
  });
  if (positionals.length !== 1) {
    console.error(USAGE);
    return 2;
  }
  const options = { tablePrefix: values["table-prefix"], reference: values.reference };
  const findings = await judgeVolume(positionals[0], options);
  const errors = errorsOf(findings);
  for (const finding of values["errors-only"] === true ? errors : findings) {
    console.log(values.json === true ? JSON.stringify(finding) : formatFinding(finding));
  }
  console.error(`${errors.length} errors, ${findings.length - errors.length} remarks`);
  return errors.length > 0 ? 1 : 0;
}

process.exitCode = await main();
