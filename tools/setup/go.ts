/** The Go that builds the real JuiceFS. */
import { execFileSync, spawnSync } from "node:child_process";
import { CairnError } from "../../src/model/errors.ts";
import { findCommand, isExecutable } from "../../test/peers/find-command.ts";
import { installPackages } from "./packages.ts";

/** The first Go that can fetch a newer one by itself when a module asks for it. */
const goMinimum = [1, 21] as const;

/** The path of a usable `go`; as root, installs Debian's where that one is new enough. */
export function findGo(say: (line: string) => void): string {
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
