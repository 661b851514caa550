/** The Debian packages that the tests need, each found by a command or file that it brings. */
import { spawnSync } from "node:child_process";
import { existsSync, globSync, rmSync, writeFileSync } from "node:fs";
import { CairnError } from "../../src/model/errors.ts";
import { findCommand } from "../../test/peers/find-command.ts";

interface NeededPackage {
  package: string;
  command?: string;
  /** A pattern of paths. */
  file?: string;
}

const needed: readonly NeededPackage[] = [
  { command: "fusermount3", package: "fuse3" },
  { command: "sqlite3", package: "sqlite3" },
  { command: "setfacl", package: "acl" },
  { command: "umount", package: "mount" },
  { command: "python3", package: "python3" },
  { command: "openssl", package: "openssl" },
  { command: "redis-server", package: "redis-server" },
  { command: "redis-cli", package: "redis-tools" },
  { file: "/usr/lib/postgresql/*/bin/initdb", package: "postgresql" },
  { command: "psql", package: "postgresql-client" },
  { command: "mariadbd", package: "mariadb-server" },
  { command: "mariadb", package: "mariadb-client" },
];

/** Only building needs these, so a machine with a filled cache does without. */
const neededToBuild: readonly NeededPackage[] = [
  { command: "gcc", package: "gcc" },
  { file: "/usr/include/stdio.h", package: "libc6-dev" },
  { file: "/etc/ssl/certs/ca-certificates.crt", package: "ca-certificates" },
];

/** The names of those that are not installed. */
export function missingPackages({ toBuild }: { toBuild: boolean }): string[] {
  return [...needed, ...(toBuild ? neededToBuild : [])].filter((each) => !isThere(each)).map((each) => each.package);
}

function isThere({ command, file }: NeededPackage): boolean {
  if (command !== undefined) return findCommand(command) !== undefined;
  return file !== undefined && globSync(file).length > 0;
}

/** Installs packages with apt, as root; throws a {@link CairnError} that says what to install where it cannot. */
export function installPackages(packages: readonly string[], say: (line: string) => void): void {
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
  withoutServices((environment) => {
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
  });
}

/** The tests start servers of their own, so the packages are to start none: Debian's ask policy-rc.d first. */
function withoutServices(install: (environment: NodeJS.ProcessEnv) => void): void {
  const policy = "/usr/sbin/policy-rc.d";
  const isOurs = !existsSync(policy);
  if (isOurs) writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    install({ ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" });
  } finally {
    if (isOurs) rmSync(policy, { force: true });
  }
}
