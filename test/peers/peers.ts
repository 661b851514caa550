/**
 * The real JuiceFS programs that the tests run against, built from Go modules and kept outside the repository, one folder
 * per content of the module: a changed module file is a new folder, so nothing stale is ever run.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** `juicefs-1.4` is the whole command line; the older two are programs of our own over the `pkg/meta` of that version. */
export const peerNames = ["juicefs-1.4", "juicefs-meta-1.3", "juicefs-meta-1.2"] as const;
export type PeerName = (typeof peerNames)[number];

/** Leaves out the gateways and object stores that no test uses; every metadata engine stays. */
const buildTags = [
  "nogateway",
  "nowebdav",
  "nocos",
  "nobos",
  "nohdfs",
  "noibmcos",
  "noobs",
  "nooss",
  "noqingstor",
  "nosftp",
  "noswift",
  "noazure",
  "nogs",
  "noufile",
  "nob2",
  "nonfs",
  "nodragonfly",
  "nocifs",
  "nostorj",
  "noqiniu",
  "notos",
  "noks3",
].join(",");

/** The folder for what is costly to make again; everything in it may be deleted at any time. */
export function cacheFolder(): string {
  const own = process.env["CAIRN_CACHE"];
  if (own !== undefined && own !== "") return own;
  const shared = process.env["XDG_CACHE_HOME"];
  return join(shared !== undefined && shared !== "" ? shared : join(homedir(), ".cache"), "cairn");
}

/** Where the program is or will be, whether or not it is built yet. */
export function expectedPeerPath(name: PeerName): string {
  return join(cacheFolder(), "peers", `${name}-${moduleHash(name)}`, name);
}

/** The program's path; throws with the command that builds it when it is not there. */
export function peerPath(name: PeerName): string {
  const path = expectedPeerPath(name);
  if (!existsSync(path)) {
    throw new Error(`${name} is not built: no test was run; run "npm run setup" and try again`);
  }
  return path;
}

/**
 * Builds the program with the given `go` unless it is there, and gives its path. Several builds at once are safe: each
 * works in a folder of its own and the last rename wins.
 */
export async function buildPeer(name: PeerName, go: string): Promise<string> {
  const path = expectedPeerPath(name);
  if (existsSync(path)) return path;
  const folder = join(path, "..");
  mkdirSync(folder, { recursive: true });
  const unfinished = `${path}.${process.pid}.tmp`;
  // GOTOOLCHAIN=auto lets an older Go (1.21 or later) fetch the one that go.mod asks for.
  const toolchain = process.env["GOTOOLCHAIN"] ?? "auto";
  const flags = ["build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-tags", buildTags, "-o", unfinished, "."];
  const child = spawn(go, flags, {
    cwd: moduleFolder(name),
    env: { ...process.env, CGO_ENABLED: "1", GOTOOLCHAIN: toolchain },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let messages = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    messages = (messages + text).slice(-8192);
  });
  const code = await new Promise<number | null>((done, fail) => child.once("error", fail).once("close", done));
  if (code !== 0) {
    rmSync(unfinished, { force: true });
    throw new Error(`building ${name} failed (go exited with ${code}); the cache is unchanged; go said:\n${messages}`);
  }
  renameSync(unfinished, path);
  return path;
}

function moduleFolder(name: PeerName): string {
  return join(import.meta.dirname, name);
}

function moduleHash(name: PeerName): string {
  const hash = createHash("sha256").update(`${process.platform}-${process.arch} ${buildTags}\n`);
  const folders = [moduleFolder(name)];
  // What the two older programs share.
  if (name.startsWith("juicefs-meta-")) folders.push(join(import.meta.dirname, "juicefs-meta-volume"));
  for (const folder of folders) {
    for (const file of readdirSync(folder).toSorted())
      hash.update(`${file}\0`).update(readFileSync(join(folder, file)));
  }
  return hash.digest("hex").slice(0, 16);
}
