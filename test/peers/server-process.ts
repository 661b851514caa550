/**
 * A database server as a child of the test: its own folder below the system's temporary one, its own port on 127.0.0.1, ended by
 * its process id. Should the test be killed, the kernel kills the server with it (`setpriv --pdeathsig`).
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { chownSync, closeSync, existsSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../src/model/errors.ts";
import type { SystemUser } from "./system-user.ts";

export interface ServerCommand {
  /** What messages call it. */
  name: string;
  file: string;
  arguments: readonly string[];
  /** Made by {@link serverFolder}; removed when the server is disposed of. */
  folder: string;
  user?: SystemUser | undefined;
  environment?: Record<string, string>;
  /** Whether the server takes commands yet; an error counts as no. */
  isReady: () => Promise<boolean>;
  /** What ends it at once and still lets it give back what outlives a process; SIGKILL when absent. */
  stopSignal?: NodeJS.Signals;
}

export interface ServerProcess extends AsyncDisposable {
  readonly pid: number;
  readonly folder: string;
  /** Kills the server and all its processes with SIGKILL, as a power cut would; its folder stays. */
  crash: () => Promise<void>;
  /** Starts it again in its folder and on its port, after {@link crash} or {@link stop}. */
  restart: () => Promise<void>;
  /** Ends it; its folder stays. */
  stop: () => Promise<void>;
  /** Stops all its processes where they are (SIGSTOP): connections stay open and nothing answers. */
  freeze: () => void;
  thaw: () => void;
  /** The end of what it logged. */
  log: () => string;
}

/** Of util-linux, which Debian always has. */
const setpriv = "/usr/bin/setpriv";
const readySecondsMax = 30;

/** An empty folder that the server's user may write. Its path is short, for the sake of Unix sockets. */
export function serverFolder(name: string, user: SystemUser | undefined): string {
  const folder = mkdtempSync(join(tmpdir(), `cairn-${name}-`));
  if (user !== undefined) chownSync(folder, user.uid, user.gid);
  return folder;
}

/** Starts a server and waits until it takes commands; removes its folder and throws with its log when it does not. */
export async function startServer(command: ServerCommand): Promise<ServerProcess> {
  let child = launch(command);
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    const pids = treeOf(child.pid);
    if (signal === "SIGKILL") {
      for (const pid of pids) sendSignal(pid, "SIGKILL");
    } else {
      for (const pid of pids) sendSignal(pid, "SIGCONT");
      sendSignal(child.pid, signal);
    }
    await ended(child);
  };
  const server: ServerProcess = {
    get pid() {
      return child.pid ?? 0;
    },
    folder: command.folder,
    crash: () => stop("SIGKILL"),
    stop: () => stop(command.stopSignal ?? "SIGKILL"),
    restart: async () => {
      child = launch(command);
      await untilReady(command, child);
    },
    freeze: () => treeOf(child.pid).forEach((pid) => sendSignal(pid, "SIGSTOP")),
    thaw: () => treeOf(child.pid).forEach((pid) => sendSignal(pid, "SIGCONT")),
    log: () => logOf(command.folder),
    [Symbol.asyncDispose]: async () => {
      await stop(command.stopSignal ?? "SIGKILL");
      rmSync(command.folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
  try {
    await untilReady(command, child);
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
  return server;
}

function launch(command: ServerCommand): ChildProcess {
  const log = openSync(join(command.folder, "log"), "a");
  try {
    const tied = existsSync(setpriv);
    const own = tied ? ["--pdeathsig", "KILL", command.file] : [];
    const child = spawn(tied ? setpriv : command.file, [...own, ...command.arguments], {
      ...(command.user === undefined ? {} : command.user),
      cwd: command.folder,
      env: {
        PATH: process.env["PATH"] ?? "",
        HOME: command.folder,
        LC_ALL: "C.UTF-8",
        TZ: "UTC",
        ...command.environment,
      },
      stdio: ["ignore", log, log],
    });
    // A test that fails before it disposes of its server must still be able to end.
    child.unref();
    child.on("error", () => undefined);
    return child;
  } finally {
    closeSync(log);
  }
}

async function untilReady(command: ServerCommand, child: ChildProcess): Promise<void> {
  const start = performance.now();
  let reason = "it gave no answer";
  while (performance.now() - start < readySecondsMax * 1000) {
    if (hasEnded(child)) {
      throw new Error(`${command.name} ended before it was ready; it logged:\n${logOf(command.folder)}`);
    }
    try {
      if (await command.isReady()) return;
    } catch (error) {
      reason = messageOf(error);
    }
    await sleep(20);
  }
  throw new Error(
    `${command.name} was not ready after ${readySecondsMax} s (${reason}); it logged:\n${logOf(command.folder)}`,
  );
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

async function ended(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  child.ref();
  await new Promise<void>((done) => {
    child.once("exit", () => done());
  });
}

function sendSignal(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself meanwhile.
  }
}

/** The process and all below it, parents first. */
function treeOf(pid: number | undefined): number[] {
  if (pid === undefined) return [];
  try {
    const children = readdirSync(`/proc/${pid}/task`)
      .flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" "))
      .filter((text) => text !== "")
      .map(Number);
    return [pid, ...children.flatMap(treeOf)];
  } catch {
    return [];
  }
}

function logOf(folder: string): string {
  try {
    return readFileSync(join(folder, "log"), "utf8").slice(-4096);
  } catch {
    return "(nothing)";
  }
}
