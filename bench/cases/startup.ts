import { parseArgs } from "node:util";
import { cairn, cairnLauncher } from "../cairn.ts";
import { interleave, printResults, runMeasured, type Contender } from "../measure.ts";

export const about = "what starting the command costs: --help, against an empty script on the same Node";

/** `--rounds R` (21), after two warm-up rounds. */
export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: { rounds: { type: "string", default: "21" } } });
  const contenders: Contender[] = [
    { name: `${cairnLauncher.split("/").at(-1)} --help`, run: () => cairn(["--help"]) },
    { name: "node -e 0", run: () => runMeasured(process.execPath, ["-e", "0"]) },
  ];
  printResults("start-up", await interleave(contenders, Number(values.rounds), 2));
}
