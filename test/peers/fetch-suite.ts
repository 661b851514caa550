/**
 * Fetches packages of another Debian release with the machine's own apt, which checks the archive's signature and every file's
 * hash, but with folders of its own: nothing is installed, and the machine's package lists stay as they are.
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { CairnError, messageOf } from "../../src/model/errors.ts";
import { debianSuites, suiteFolder } from "./debian-suites.ts";
import type { SuiteName } from "./debian-suites.ts";
import { runCommand } from "./run-command.ts";

/** Told to be installed already, for the servers depend on them but run without them. */
const notNeeded = [
  "adduser",
  "coreutils",
  "debconf",
  "dpkg",
  "init-system-helpers",
  "libllvm11",
  "libllvm19",
  "libpam-modules",
  "locales",
  "openssl",
  "openssl-provider-legacy",
  "passwd",
  "perl",
  "perl-base",
  "postgresql-client-common",
  "postgresql-common",
  "procps",
  "ssl-cert",
  "tar",
  "tzdata",
  "ucf",
] as const;

/** Fetches and unpacks the release's servers unless they are there. Several fetches at once are safe; the first one wins. */
export async function fetchSuite(name: SuiteName): Promise<void> {
  const folder = suiteFolder(name);
  if (existsSync(folder)) return;
  mkdirSync(dirname(folder), { recursive: true, mode: 0o755 });
  const unfinished = mkdtempSync(`${folder}-`);
  const tree = join(unfinished, "tree");
  const work = join(unfinished, "apt");
  try {
    mkdirSync(tree);
    for (const each of ["state/lists/partial", "cache/archives/partial"])
      mkdirSync(join(work, each), { recursive: true });
    await download(name, work);
    for (const each of globSync(join(work, "cache/archives/*.deb"))) await runCommand("dpkg-deb", ["-x", each, tree]);
    wrapPrograms(name, tree, folder);
    renameSync(tree, folder);
  } catch (error) {
    if (existsSync(folder)) return;
    throw new CairnError(
      "packages-missing",
      `fetching ${debianSuites[name].packages.join(", ")} of Debian ${name} failed: ${messageOf(error)}`,
      {
        unharmed: "nothing was installed",
        next: `see that this machine's apt reaches Debian ${name} and run this again`,
      },
    );
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

async function download(name: SuiteName, work: string): Promise<void> {
  const { mirror, architecture } = await debianMirror();
  const keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
  writeFileSync(join(work, "sources.list"), `deb [signed-by=${keys}] ${mirror} ${name} main\n`);
  writeFileSync(join(work, "status"), notNeeded.map((each) => installedStanza(each, architecture)).join("\n"));
  writeFileSync(
    join(work, "apt.conf"),
    [
      `Dir::State "${work}/state";`,
      `Dir::State::status "${work}/status";`,
      `Dir::Cache "${work}/cache";`,
      `Dir::Etc::sourcelist "${work}/sources.list";`,
      'Dir::Etc::sourceparts "/dev/null";',
      'Acquire::Languages "none";',
      'Acquire::Retries "3";',
      "#clear Acquire::IndexTargets::deb::DEP-11;",
      "#clear APT::Update::Post-Invoke;",
      "#clear APT::Update::Post-Invoke-Success;",
      'APT::Install-Recommends "false";',
      ...(process.getuid?.() === 0 ? ['APT::Sandbox::User "root";'] : []),
      "",
    ].join("\n"),
  );
  const options = ["-q", "-c", join(work, "apt.conf")];
  await runCommand("apt-get", [...options, "update"]);
  const packages = debianSuites[name].packages;
  await runCommand("apt-get", [...options, "install", "-y", "--download-only", ...packages]);
}

/** Where this machine gets Debian's packages from. */
async function debianMirror(): Promise<{ mirror: string; architecture: string }> {
  const architecture = (await runCommand("dpkg", ["--print-architecture"])).trim();
  let mirror = await knownMirror();
  if (mirror === undefined && process.getuid?.() === 0) {
    // Images come without package lists, and without them apt does not know whose archive it is.
    await runCommand("apt-get", ["-q", "update"]);
    mirror = await knownMirror();
  }
  if (mirror === undefined) throw new Error('apt knows of no archive of Debian; run "sudo apt-get update"');
  return { mirror, architecture };
}

async function knownMirror(): Promise<string | undefined> {
  const format = "$(ORIGIN) $(LABEL) $(COMPONENT) $(REPO_URI)";
  const lines = await runCommand("apt-get", ["indextargets", "--format", format, "Created-By: Packages"]);
  return /^Debian Debian main (\S+)$/m.exec(lines)?.[1];
}

function installedStanza(name: string, architecture: string): string {
  return [
    `Package: ${name}`,
    "Status: install ok installed",
    "Multi-Arch: allowed",
    `Architecture: ${architecture}`,
    "Version: 9:999",
    "Maintainer: nobody",
    "Description: not needed here",
    "",
  ].join("\n");
}

/**
 * Puts a script in place of each program that runs it through the dynamic linker and with the libraries of its own release, for
 * the machine's may be older. A program that looks for its files beside itself finds the script's folder, which is the same.
 */
function wrapPrograms(name: SuiteName, tree: string, folder: string): void {
  const linker = oneOf(globSync(join(tree, "{usr/,}lib/*-linux-gnu*/ld-linux-*.so.*")), "the dynamic linker");
  const libraries = ["lib", "usr/lib"].flatMap((each) =>
    globSync(join(tree, each, "*-linux-gnu*")).flatMap((found) => [found, ...foldersBelow(found, "private")]),
  );
  const inPlace = (path: string): string => join(folder, relative(tree, path));
  for (const program of debianSuites[name].programs.flatMap((pattern) => globSync(join(tree, pattern)))) {
    const real = join(dirname(program), `.${program.slice(program.lastIndexOf("/") + 1)}.real`);
    // Some are links to a program that does several things, depending on the name by which it is called.
    copyFileSync(program, real);
    rmSync(program);
    writeFileSync(
      program,
      `#!/bin/sh\nexec '${inPlace(linker)}' --library-path '${libraries.map(inPlace).join(":")}' '${inPlace(real)}' "$@"\n`,
    );
    chmodSync(program, 0o755);
  }
}

function foldersBelow(folder: string, name: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => globSync(join(folder, entry.name, name)));
}

function oneOf(paths: readonly string[], what: string): string {
  const [path] = paths;
  if (path === undefined) throw new Error(`${what} is not among the packages`);
  return path;
}
