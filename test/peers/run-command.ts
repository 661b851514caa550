import { spawn } from "node:child_process";
import type { SystemUser } from "./system-user.ts";

export interface RunOptions {
  user?: SystemUser | undefined;
  environment?: Record<string, string>;
  input?: string;
  cwd?: string;
}

/** Runs a program to its end and gives what it printed; throws with the end of what it said when it fails. */
export async function runCommand(
  file: string,
  commandArguments: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const child = spawn(file, commandArguments, {
    ...(options.user === undefined ? {} : options.user),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.environment },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const output: Buffer[] = [];
  let messages = "";
  child.stdout.on("data", (bytes: Buffer) => output.push(bytes));
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    messages = (messages + text).slice(-8192);
  });
  // A program that ends before it has read its input closes the pipe; its exit code tells why.
  child.stdin.on("error", () => undefined).end(options.input ?? "");
  const code = await new Promise<number | null>((done, fail) => child.once("error", fail).once("close", done));
  const printed = Buffer.concat(output).toString("utf8");
  if (code !== 0) throw new Error(`${file} exited with ${code}:\n${messages}${printed.slice(-4096)}`);
  return printed;
}
