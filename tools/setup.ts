/**
 * Makes a bare Debian machine ready for the tests: system packages (when root), the Go toolchain's presence, and the real
 * JuiceFS programs in the cache folder. A second run finds everything and takes a fraction of a second.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { CairnError, messageOf } from "../src/model/errors.ts";
import { buildPeer, expectedPeerPath, peerNames } from "../test/peers/peers.ts";

/** A command that the tests or the builds run, and the Debian package that brings it. */
const needed = [
  { command: "fusermount3", package: "fuse3" },
  { command: "sqlite3", package: "sqlite3" },
  { command: "setfacl", package: "acl" },
  { command: "umount", package: "mount" },
  { command: "python3", package: "python3" },
] as const;

/** Only building needs these, so a machine with a filled cache does without. */
const neededToBuild = [
  { command: "gcc", package: "gcc" },
  { command: "gcc", package: "libc6-dev", file: "/usr/include/stdio.h" },
  { command: "gcc", package: "ca-certificates", file: "/etc/ssl/certs/ca-certificates.crt" },
] as const;

/** The first Go that can fetch a newer one by itself when a module asks for it. */
const goMinimum = [1, 21] as const;

/** Installs and builds what is missing; throws a {@link CairnError} that says what to do where it cannot. */
export async function setUp(say: (line: string) => void): Promise<void> {
  const missingPeers = peerNames.filter((name) => !existsSync(expectedPeerPath(name)));
  const packages = new Set<string>();
  for (const each of needed) {
    if (findCommand(each.command) === undefined) packages.add(each.package);
  }
  if (missingPeers.length > 0) {
    for (const each of neededToBuild) {
      const there = "file" in each ? existsSync(each.file) : findCommand(each.command) !== undefined;
      if (!there) packages.add(each.package);
    }
  }
  if (packages.size > 0) installPackages([...packages], say);
  if (missingPeers.length === 0) return;
  const go = findGo(say);
  for (const name of missingPeers) {
    say(`building ${name} (once; up to some minutes)`);
    await buildPeer(name, go);
  }
}

/** The path of a command, or `undefined`; also looks where system tools lie that are not on every user's PATH. */
export function findCommand(name: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  for (const folder of folders) {
    if (folder !== "" && isExecutable(join(folder, name))) return join(folder, name);
  }
  return undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function installPackages(packages: readonly string[], say: (line: string) => void): void {
  const list = packages.join(" ");
  const unharmed = "nothing was changed";
  if (findCommand("apt-get") === undefined) {
    throw new CairnError("packages-missing", `the tests need what Debian calls: ${list}`, {
      unharmed,
      next: "install these with the system's package manager and run this again",
    });
  }
  if (process.getuid?.() !== 0) {
    throw new CairnError("packages-missing", `the tests need these Debian packages: ${list}`, {
      unharmed,
      next: `run "sudo apt-get install ${list}" and run this again`,
    });
  }
  say(`installing Debian packages: ${list}`);
  const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  for (const step of [["update"], ["install", "-y", "--no-install-recommends", ...packages]]) {
    const result = spawnSync("apt-get", ["-q", ...step], { env: environment, encoding: "utf8" });
    if (result.status !== 0) {
      throw new CairnError(
        "packages-missing",
        `apt-get ${step[0]} failed: ${(result.stderr ?? "").trim().slice(-2000)}`,
        {
          unharmed: "no test was run",
          next: `install ${list} by hand and run this again`,
        },
      );
    }
  }
}

function findGo(say: (line: string) => void): string {
  let go = findUsableGo();
  if (go === undefined && process.getuid?.() === 0 && debianGoIsUsable()) {
    installPackages(["golang-go"], say);
    go = findUsableGo();
  }
  if (go === undefined) {
    throw new CairnError("go-missing", `building the real JuiceFS needs Go ${goMinimum.join(".")} or later`, {
      unharmed: "no test was run",
      next: "install it from https://go.dev/dl/ into /usr/local/go (or anywhere on PATH) and run this again",
    });
  }
  return go;
}

function findUsableGo(): string | undefined {
  for (const candidate of [findCommand("go"), "/usr/local/go/bin/go"]) {
    if (candidate === undefined || !isExecutable(candidate)) continue;
    const version = execFileSync(candidate, ["env", "GOVERSION"], {
      cwd: "/",
      env: { ...process.env, GOTOOLCHAIN: "local" },
      encoding: "utf8",
    });
    if (isGoUsable(version.trim())) return candidate;
  }
  return undefined;
}

function debianGoIsUsable(): boolean {
  const policy = spawnSync("apt-cache", ["policy", "golang-go"], { encoding: "utf8" });
  const candidate = /Candidate:\s*(?:\d+:)?(\d+\.\d+)/.exec(policy.stdout ?? "")?.[1];
  return candidate !== undefined && isGoUsable(`go${candidate}`);
}

function isGoUsable(version: string): boolean {
  const match = /^go(\d+)\.(\d+)/.exec(version);
  if (match === null) return false;
  const [major, minor] = [Number(match[1]), Number(match[2])];
  return major > goMinimum[0] || (major === goMinimum[0] && minor >= goMinimum[1]);
}

if (import.meta.main) {
  try {
    await setUp((line) => process.stderr.write(`setup: ${line}\n`));
  } catch (error) {
    process.stderr.write(`setup: ${messageOf(error)}\n`);
    if (error instanceof CairnError) process.stderr.write(`setup: ${error.unharmed}; ${error.next}\n`);
    process.exitCode = 1;
  }
}
