import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { CairnError, exitCodes, messageOf } from "../model/errors.ts";
import type { Context, GlobalOptions } from "./context.ts";
import { openProcessStream, readerLeft } from "./process-stream.ts";
import type { Purpose } from "./program.ts";
import type { World } from "./world.ts";

/** Runs one command line and returns what the process exits with. Never throws. */
export async function main(argv: readonly string[], world: World): Promise<number> {
  // Known before the parser runs, so that its complaints come in the form that was asked for.
  const wantsJson = argv.includes("--json");
  const complaints: string[] = [];
  try {
    const { buildProgram } = await import("./program.ts");
    const program = buildProgram((global, purpose, run) => runCommand(world, global, purpose, run));
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
  purpose: Purpose,
  run: (context: Context) => Promise<void>,
): Promise<void> {
  const [{ openOutput }, { sizeOption }] = await Promise.all([import("./output/open-output.ts"), import("./sizes.ts")]);
  const memoryBytes = sizeOption("--memory", global.memory ?? "256M", 32 * 1024 ** 2);
  const output = openOutput(world, global);
  const { stdoutLost } = world;
  const signal = purpose === "shows" ? AbortSignal.any([world.signal, stdoutLost]) : world.signal;
  try {
    await run({ world, output, signal, memoryBytes });
  } catch (error) {
    if (purpose === "shows" && !world.signal.aborted) stdoutLost.throwIfAborted();
    throw error;
  } finally {
    await output.close();
  }
  // A stream says a turn later that it failed.
  await setImmediate();
  if (!stdoutLost.aborted) return;
  if (purpose === "shows") stdoutLost.throwIfAborted();
  const loss = stdoutLost.reason as CairnError;
  if (loss.code !== readerLeft) world.stderr.write(`warning: ${loss.message} (${loss.code})\n`);
}

/** What ended the command, as the one error type; undefined when it only showed help. */
async function failureOf(error: unknown, complaints: readonly string[], world: World): Promise<CairnError | undefined> {
  if (world.signal.aborted) {
    const inner = error instanceof CairnError ? error : undefined;
    return new CairnError("interrupted", "interrupted", {
      exit: "interrupted",
      unharmed:
        inner?.unharmed ??
        "nothing half is published: listed snapshots are whole, and what else was stored is used again by the next backup",
      next: (inner?.code === "interrupted" ? inner.next : undefined) ?? "run the same command again",
    });
  }
  if (error instanceof CairnError && error.code === readerLeft) return undefined;
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
  const output = openOutput(world, { json: wantsJson && !world.stdoutLost.aborted });
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
  const stdout = openProcessStream(process.stdout, "stdout");
  // Losing messages is no reason to leave work undone.
  const stderr = openProcessStream(process.stderr, "stderr").stream;
  // Messages advise commands that work as they are: in the project's own folder the launcher lies beside.
  const program = process.cwd() === join(import.meta.dirname, "..", "..") ? "./cairn" : "cairn";
  return {
    stdout: stdout.stream,
    stdoutLost: stdout.lost,
    stderr,
    env: process.env,
    clock: systemClock,
    signal: interrupt.signal,
    program,
  };
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2), await processWorld());
