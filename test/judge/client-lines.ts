import { spawn } from "node:child_process";
import { once } from "node:events";

/**
 * Runs an engine's own command line client with a script on its standard input and gives what it prints, line by line, as Latin-1 text. Throws with
 * the client's words when it fails.
 */
export async function* clientLines(
  program: string,
  args: readonly string[],
  script: string,
  environment: NodeJS.ProcessEnv,
): AsyncGenerator<string> {
  const child = spawn(program, args, { env: { ...process.env, ...environment } });
  const ended = once(child, "close");
  let messages = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (messages = (messages + text).slice(-4000)));
  // A client that ends early closes its input: what it says then is told by its exit code.
  child.stdin.on("error", () => undefined).end(script);
  let rest = "";
  for await (const text of child.stdout.setEncoding("latin1") as AsyncIterable<string>) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  const [code] = (await ended) as [number | null];
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${messages}`);
  if (rest !== "") yield rest;
}
