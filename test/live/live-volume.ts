/** A volume on which a writer works in a process of its own, through a FUSE mount. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mountVolume, runJuicefs } from "../volumes/juicefs-cli.ts";
import type { WriterReport } from "./writer.ts";

/** The folder of the mounted volume that the writer works in. */
export const writerFolder = "work";

export interface LiveVolume extends AsyncDisposable {
  readonly metaUrl: string;
  /** Ends the writer; fails when it had an error, or its mount complained of one. */
  stop(): Promise<WriterReport>;
}

/** Makes a volume at an empty place, with some thousand files beside the writer's, mounts it as users do, and starts the writer. */
export async function startLiveVolume(dir: string, metaUrl: string): Promise<LiveVolume> {
  mkdirSync(dir, { recursive: true });
  const bucket = `${join(dir, "bucket")}/`;
  await runJuicefs(["format", "--storage=file", `--bucket=${bucket}`, "--trash-days=1", metaUrl, "live"]);
  const mount = await mountVolume(metaUrl, join(dir, "mnt"), { workFolder: dir, heartbeatSeconds: 2 });
  try {
    await makeRest(mount.mountpoint);
    const folder = join(mount.mountpoint, writerFolder);
    mkdirSync(folder);
    const writer = startWriter(folder);
    await writer.ready;
    return {
      metaUrl,
      async stop() {
        const report = await writer.stop();
        const complaints = readFileSync(join(dir, "mount.log"), "utf8")
          .split("\n")
          .filter((line) => /<(ERROR|FATAL)>|database is locked/.test(line));
        assert.deepEqual(complaints, []);
        return report;
      },
      async [Symbol.asyncDispose]() {
        writer.kill();
        await mount.unmount();
      },
    };
  } catch (error) {
    await mount.unmount();
    throw error;
  }
}

/** What lies in the volume beside the writer's files: a folder of 200 files, and clones of it. */
async function makeRest(mountpoint: string): Promise<void> {
  const rest = join(mountpoint, "rest");
  const first = join(rest, "clone-0");
  mkdirSync(first, { recursive: true });
  for (let file = 0; file < 200; file += 1) writeFileSync(join(first, `file-${file}`), `file ${file}\n`);
  for (let clone = 1; clone < 20; clone += 1) await runJuicefs(["clone", first, join(rest, `clone-${clone}`)]);
}

function startWriter(folder: string): { ready: Promise<void>; stop(): Promise<WriterReport>; kill(): void } {
  const child = fork(join(import.meta.dirname, "writer.ts"), [folder], { stdio: ["ignore", "inherit", "pipe", "ipc"] });
  let messages = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (messages += text));
  let report: WriterReport | undefined;
  const ended = new Promise<number | null>((done) => child.once("close", done));
  const ready = new Promise<void>((done, fail) => {
    child.on("message", (message) => {
      if (message === "ready") done();
      else report = message as WriterReport;
    });
    child.once("close", () => fail(new Error(`the writer ended before it began: ${messages}`)));
  });
  return {
    ready,
    async stop() {
      if (child.connected) child.send("stop");
      const code = await ended;
      assert.equal(messages, "", "the writer met no error");
      assert.equal(code, 0);
      assert.ok(report !== undefined);
      return report;
    },
    kill: () => void child.kill("SIGKILL"),
  };
}
