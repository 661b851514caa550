import { rmSync, statSync } from "node:fs";
import { parseArgs } from "node:util";
import { peerPath } from "../../test/peers/peers.ts";
import { startRedis } from "../../test/peers/redis.ts";
import { cairn, cairnResult } from "../cairn.ts";
import { interleave, printResults, runMeasured } from "../measure.ts";
import type { Contender, Measurement } from "../measure.ts";
import { openBenchServer, serverNames } from "../servers.ts";
import type { BenchServer } from "../servers.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { benchVolume } from "../volumes.ts";

export const about =
  "backup and restore of volumes on PostgreSQL, MariaDB and Redis, against juicefs and the engine's own client";

/**
 * `--engine NAME` (postgres, mariadb or redis; all), `--files N` (1,000,000), `--rounds R` (3), `--no-backup`, `--no-restore`. The contenders take
 * turns on one server; every backup goes into a new repository, every restore and load into an empty place.
 */
export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    allowNegative: true,
    options: {
      engine: { type: "string", multiple: true, default: [...serverNames] },
      files: { type: "string", default: "1000000" },
      rounds: { type: "string", default: "3" },
      backup: { type: "boolean", default: true },
      restore: { type: "boolean", default: true },
    },
  });
  using folder = temporaryFolder();
  const dump = folder.join("volume.bin");
  const database = await benchVolume(Number(values.files));
  await runMeasured(peerPath("juicefs-1.4"), ["dump", "--binary", `sqlite3://${database}`, dump]);
  for (const name of serverNames.filter((each) => values.engine.includes(each))) {
    await using server = await openBenchServer(name, dump);
    const title = `${values.files} files, ${name}`;
    const rounds = Number(values.rounds);
    const repository = folder.join(`repository-${name}`);
    if (values.backup) {
      const contenders = [
        dumpBinary(server, folder.join("dump.bin")),
        backUp(server, repository),
        server.limit(folder.path),
      ];
      printResults(`backup, ${title}`, await interleave(contenders, rounds));
    } else {
      const contender = backUp(server, repository);
      await contender.prepare?.();
      await contender.run();
    }
    if (values.restore)
      await compareRestores(server, { title, rounds, repository, dump, rdbFile: folder.join("volume.rdb") });
    rmSync(repository, { recursive: true, force: true });
  }
}

interface RestoreBench {
  readonly title: string;
  readonly rounds: number;
  readonly repository: string;
  readonly dump: string;
  readonly rdbFile: string;
}

async function compareRestores(server: BenchServer, bench: RestoreBench): Promise<void> {
  const { repository, dump, rdbFile } = bench;
  let place = "";
  const prepare = async (): Promise<void> => void (place = await server.emptyPlace());
  const contenders: Contender[] = [
    {
      name: "juicefs load --binary",
      prepare,
      run: () => runMeasured(peerPath("juicefs-1.4"), ["load", "--binary", place, dump]),
    },
    restoreTo("cairn restore, with proof", repository, () => [place], prepare),
  ];
  if (server.name !== "redis") {
    printResults(`restore, ${bench.title}`, await interleave(contenders, bench.rounds));
    return;
  }
  await using dedicated = await startRedis();
  contenders.push(
    restoreTo(
      "cairn restore --dedicated, with proof",
      repository,
      () => [dedicated.url(0), "--dedicated"],
      async () => void (await dedicated.command("FLUSHALL")),
    ),
    restoreTo(
      "cairn restore to an .rdb file, with proof",
      repository,
      () => [rdbFile],
      async () => rmSync(rdbFile, { force: true }),
    ),
  );
  printResults(`restore, ${bench.title}`, await interleave(contenders, bench.rounds));
}

function dumpBinary(server: BenchServer, out: string): Contender {
  return {
    name: "juicefs dump --binary",
    prepare: () => rmSync(out, { force: true }),
    run: () => runMeasured(peerPath("juicefs-1.4"), ["dump", "--binary", server.url, out]),
    extra: () => ({ bytes: statSync(out).size }),
  };
}

function backUp(server: BenchServer, repository: string): Contender {
  return {
    name: "cairn backup",
    async prepare() {
      rmSync(repository, { recursive: true, force: true });
      await cairn(["init", repository]);
    },
    run: () => cairn(["--json", "--no-progress", "backup", server.url, repository]),
    extra: (measurement) => ({ bytes: Number(cairnResult(measurement)["storedBytes"]) }),
  };
}

function restoreTo(
  name: string,
  repository: string,
  target: () => readonly string[],
  prepare: () => Promise<void>,
): Contender {
  return {
    name,
    prepare,
    run: () => cairn(["--json", "--no-progress", "restore", `${repository}@latest`, ...target()]),
    extra(measurement: Measurement) {
      const result = cairnResult(measurement);
      if (result["proven"] !== true) throw new Error(`${name} did not prove what it wrote`);
      const seconds = result["seconds"] as Record<string, number>;
      return {
        "write ms": Math.round(1000 * seconds["write"]),
        "prove ms": Math.round(1000 * seconds["prove"]),
        "publish ms": Math.round(1000 * seconds["publish"]),
      };
    },
  };
}
