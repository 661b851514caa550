import { readdirSync } from "node:fs";
import { join } from "node:path";

/**
 * `bench/run.ts NAME [ARGUMENT…]` runs the benchmark `bench/cases/NAME.ts`: its exported `run(arguments)`. Without a name the
 * cases are listed, each with the line that it exports as `about`.
 */
interface Case {
  about: string;
  run(args: string[]): Promise<void>;
}

const folder = join(import.meta.dirname, "cases");
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
  .map((file) => file.slice(0, -".ts".length))
  .toSorted();
const name = process.argv[2];

if (name === undefined) {
  console.log("usage: npm run bench -- NAME [ARGUMENT…]\n");
  for (const each of names) {
    console.log(`  ${each.padEnd(20)} ${(await load(each)).about}`);
  }
} else if (names.includes(name)) {
  await (await load(name)).run(process.argv.slice(3));
} else {
  console.error(`bench: no benchmark is called ${name}; there are: ${names.join(", ")}`);
  process.exitCode = 2;
}

async function load(each: string): Promise<Case> {
  return (await import(join(folder, `${each}.ts`))) as Case;
}
