/** Runs the real JuiceFS command line: its commands, and volumes mounted through FUSE. */
import { execFile, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { peerPath } from "../peers/peers.ts";

const execFileAsync = promisify(execFile);

export interface JuicefsOutput {
  stdout: string;
  stderr: string;
}

/** Runs one `juicefs` command to its end; throws with the end of its messages when it fails. */
export async function runJuicefs(args: readonly string[]): Promise<JuicefsOutput> {
  try {
    return await execFileAsync(peerPath("juicefs-1.4"), ["--no-agent", "--no-color", ...args], {
      encoding: "utf8",
      maxBuffer: 1 << 28,
    });
  } catch (error) {
    const { stdout = "", stderr = "" } = error as Partial<JuicefsOutput>;
    throw new Error(`juicefs ${args.join(" ")} failed: ${(stdout + stderr).slice(-3000)}`, { cause: error });
  }
}

export interface MountOptions {
  /** Where log and block cache go; the mountpoint's parent unless said. */
  workFolder?: string;
  readOnly?: boolean;
  /** No clean-up jobs: what is due for deletion stays. Always use it, with `readOnly`, for a copy that shares a bucket. */
  noBackgroundJobs?: boolean;
  /** Seconds between heartbeats; a session counts as dead after five of them. */
  heartbeatSeconds?: number;
  /** Further options of `juicefs mount`. */
  extra?: readonly string[];
  /** A command that runs the mount in its place, such as `unshare`; it must end in `exec` of its arguments. */
  launcher?: readonly string[];
}

export interface MountedVolume {
  readonly mountpoint: string;
  /** The mount's process (JuiceFS' supervisor; its worker is in the same process group). */
  readonly pid: number;
  /** Unmounts in order and waits for the process to end. Twice is harmless. */
  unmount(): Promise<void>;
  /** Ends the processes at once as a crash would, so sessions, open files and locks stay in the metadata. */
  crash(): Promise<void>;
}

const liveMounts = new Set<{ pid: number; mountpoint: string }>();

function endLiveMounts(): void {
  for (const { pid, mountpoint } of liveMounts) {
    killGroup(pid);
    spawnSync("umount", ["--lazy", mountpoint], { stdio: "ignore" });
  }
  liveMounts.clear();
}

// A mount outlives the process that forgot it, and then whoever clears the temporary folder clears the volume.
process.once("exit", endLiveMounts);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => {
    endLiveMounts();
    process.kill(process.pid, signal);
  });
}

/** Mounts a volume as a child process in the foreground and returns once its root answers. Needs root. */
export async function mountVolume(
  metaUrl: string,
  mountpoint: string,
  options: MountOptions = {},
): Promise<MountedVolume> {
  const workFolder = options.workFolder ?? dirname(mountpoint);
  mkdirSync(mountpoint, { recursive: true });
  mkdirSync(workFolder, { recursive: true });
  const logPath = join(workFolder, "mount.log");
  const log = openSync(logPath, "a");
  const [command, ...args] = [
    ...(options.launcher ?? []),
    peerPath("juicefs-1.4"),
    "--no-agent",
    "--no-color",
    "mount",
    "--no-syslog",
    "--no-usage-report",
    "--backup-meta=0",
    `--cache-dir=${join(workFolder, "cache")}`,
    "--cache-size=32",
    `--heartbeat=${options.heartbeatSeconds ?? 12}s`,
    "--enable-xattr",
    "--enable-ioctl",
    // Not listed where only reading is meant: a walk that reads every file would wait in .accesslog for ever.
    ...(options.readOnly === true ? ["--read-only", "--hide-internal"] : []),
    ...(options.noBackgroundJobs === true ? ["--no-bgjob"] : []),
    ...(options.extra ?? []),
    metaUrl,
    mountpoint,
  ];
  // A process group of its own, so that supervisor and worker can be ended together.
  const child = spawn(command, args, { stdio: ["ignore", log, log], detached: true });
  closeSync(log);
  const ended = new Promise<void>((done) => child.once("exit", done).once("error", () => done()));
  await waitForRoot(mountpoint, child, logPath);
  const pid = child.pid;
  if (pid === undefined) throw new Error("the mount has no process id");
  const live = { pid, mountpoint };
  liveMounts.add(live);

  async function unmount(): Promise<void> {
    if (!liveMounts.has(live)) return;
    await unmountPath(mountpoint);
    const lingering = await Promise.race([ended.then(() => false), sleep(20_000, true, { ref: false })]);
    if (lingering) killGroup(live.pid);
    await ended;
    liveMounts.delete(live);
  }

  async function crash(): Promise<void> {
    if (!liveMounts.has(live)) return;
    killGroup(live.pid);
    await ended;
    await execFileAsync("umount", ["--lazy", mountpoint]);
    liveMounts.delete(live);
  }

  return { mountpoint, pid, unmount, crash };
}

/** Unmounts whatever is mounted there, trying again while something still uses it. */
async function unmountPath(mountpoint: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await execFileAsync("umount", [mountpoint]);
      return;
    } catch (error) {
      if (attempt === 20) throw new Error(`${mountpoint} stays in use and cannot be unmounted`, { cause: error });
      await sleep(250);
    }
  }
}

async function waitForRoot(mountpoint: string, child: ChildProcess, logPath: string): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
      throw new Error(`juicefs mount ended at once: ${readFileSync(logPath, "utf8").slice(-3000)}`);
    }
    const outside = await stat(dirname(mountpoint));
    const root = await stat(mountpoint);
    if (root.ino === 1 && root.dev !== outside.dev) return;
    if (performance.now() > deadline) {
      killGroup(child.pid);
      throw new Error(`juicefs mount did not come up in a minute: ${readFileSync(logPath, "utf8").slice(-3000)}`);
    }
    await sleep(50);
  }
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, "SIGKILL");
  } catch {
    // Gone already.
  }
}
