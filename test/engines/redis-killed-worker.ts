/** A restore that is killed at a given moment: the newest snapshot of a repository, into a URL. Run by `redis-target.test.ts`. */
import { setTimeout as sleep } from "node:timers/promises";
import { kinds, openStore, openTarget } from "../../src/cli/registry.ts";
import type { Target } from "../../src/model/ports.ts";
import { restore } from "../../src/operations/restore.ts";
import { openRepository } from "../../src/repository/repository.ts";
import { openSnapshot } from "../../src/repository/snapshot.ts";
import { listSnapshots, readManifest } from "../../src/repository/snapshots.ts";
import { quietProgress } from "../support/quiet-progress.ts";

const wanted = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
};

const store = await openStore(wanted("RESTORE_REPOSITORY"));
const repository = await openRepository(store);
const [name] = await listSnapshots(repository);
const moment = wanted("RESTORE_MOMENT");
const target = await openTarget(wanted("RESTORE_URL"), {
  line: undefined,
  dedicated: wanted("RESTORE_WAY") === "dedicated",
});

async function die(): Promise<never> {
  process.kill(process.pid, "SIGKILL");
  await sleep(10_000);
  throw new Error("still alive");
}

const deadly: Target = {
  engine: target.engine,
  location: target.location,
  async begin(plan, options) {
    const writer = await target.begin(plan, options);
    return {
      ...writer,
      async write(batch) {
        await writer.write(batch);
        // So that the server has begun to take what it is sent.
        if (moment === "write") {
          await sleep(300);
          await die();
        }
      },
      async finish() {
        if (wanted("RESTORE_WAY") === "commands") await writer.finish();
        else void writer.finish();
        await sleep(300);
        await die();
      },
      [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
    };
  },
};

await restore({
  snapshot: openSnapshot(repository, await readManifest(repository, name), kinds),
  target: deadly,
  changes: [],
  secrets: {},
  memoryBytes: 64 << 20,
  temporaryFolder: wanted("RESTORE_FOLDER"),
  progress: quietProgress(),
  signal: new AbortController().signal,
});
