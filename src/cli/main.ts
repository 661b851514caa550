import { join } from "node:path";
import { CairnError, exitCodes, messageOf } from "../model/errors.ts";
import type { Context, GlobalOptions } from "./context.ts";
import type { World } from "./world.ts";

/** Runs one command line and returns what the process exits with. Never throws. */
export async function main(argv: readonly string[], world: World): Promise<number> {
  // Known before the parser runs, so that its complaints come in the form that was asked for.
  const wantsJson = argv.includes("--json");
  const complaints: string[] = [];
  try {
    const { buildProgram } = await import("./program.ts");
    const program = buildProgram((global, run) => runCommand(world, global, run));
    const written = {
      writeOut: (text: string) => void world.stdout.write(text),
      writeErr: (text: string) => void complaints.push(text),
      getOutHelpWidth: () => Math.min(world.stdout.columns ?? 100, 120),
    };
    for (const command of [program, ...program.commands]) command.exitOverride().configureOutput(written);
    if (argv.length === 0) {
      world.stdout.write(program.helpInformation());
      return exitCodes.done;
    }
    await program.parseAsync([...argv], { from: "user" });
    return exitCodes.done;
  } catch (error) {
    const failure = await failureOf(error, complaints, world);
    if (failure === undefined) return exitCodes.done;
    await printError(world, wantsJson, failure);
    return exitCodes[failure.exit];
  }
}

async function runCommand(
  world: World,
  global: GlobalOptions,
  run: (context: Context) => Promise<void>,
): Promise<void> {
  const [{ openOutput }, { sizeOption }] = await Promise.all([import("./output/open-output.ts"), import("./sizes.ts")]);
  const memoryBytes = sizeOption("--memory", global.memory ?? "256M", 32 * 1024 ** 2);
  const output = openOutput(world, global);
  try {
    await run({ world, output, signal: world.signal, memoryBytes });
    world.signal.throwIfAborted();
  } finally {
    await output.close();
  }
}

/** What ended the command, as the one error type; undefined when it only showed help. */
async function failureOf(error: unknown, complaints: readonly string[], world: World): Promise<CairnError | undefined> {
  if (world.signal.aborted) {
    const inner = error instanceof CairnError ? error.unharmed : undefined;
    return new CairnError("interrupted", "interrupted", {
      exit: "interrupted",
      unharmed:
        inner ??
        "repositories and published targets are as they were before, but for packs that the next backup uses again",
      next: "run the same command again",
    });
  }
  if (error instanceof CairnError) return error;
  const { CommanderError } = await import("commander");
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return undefined;
    const [complaint] = complaints.join("").split("\n");
    const message = complaint === "" ? error.message : complaint;
    return new CairnError("usage", message.replace(/^error: /, ""), {
      exit: "wrongUse",
      next: `see ${world.program} --help`,
    });
  }
  return new CairnError("unexpected", `an error that Cairn did not expect: ${messageOf(error)}`, {
    unharmed: "snapshots that are listed are not affected: a snapshot is published last and never changed",
    next: "run it again; if it fails the same way, please report it with this text",
    cause: error,
    details: error instanceof Error && error.stack !== undefined ? { stack: error.stack } : {},
  });
}

async function printError(world: World, wantsJson: boolean, failure: CairnError): Promise<void> {
  const { openOutput } = await import("./output/open-output.ts");
  const output = openOutput(world, { json: wantsJson });
  output.error(failure);
  const { stack } = failure.details;
  if (!wantsJson && stack !== undefined && world.env["CAIRN_DEBUG"] !== undefined) world.stderr.write(`${stack}\n`);
  await output.close();
}

/** The process's own world: the first SIGINT or SIGTERM aborts, the second ends it at once. */
async function processWorld(): Promise<World> {
  const { systemClock } = await import("../std/clock.ts");
  const interrupt = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      if (interrupt.signal.aborted) process.exit(exitCodes.interrupted);
      interrupt.abort(new CairnError("interrupted", "interrupted", { exit: "interrupted" }));
      if (process.stderr.isTTY) process.stderr.write("\rinterrupted: cleaning up (once more ends it at once)\n");
    });
  }
  // The reader of stdout left (`| head`): nobody wants the rest.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? exitCodes.done : exitCodes.failed);
  });
  const { stdout, stderr, env } = process;
  // Messages advise commands that work as they are: in the project's own folder the launcher lies beside.
  const program = process.cwd() === join(import.meta.dirname, "..", "..") ? "./cairn" : "cairn";
  return { stdout, stderr, env, clock: systemClock, signal: interrupt.signal, program };
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2), await processWorld());
