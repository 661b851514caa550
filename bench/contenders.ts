import { rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { peerPath } from "../test/peers/peers.ts";
import { cairn, cairnResult } from "./cairn.ts";
import { runMeasured, type Contender } from "./measure.ts";

/** `juicefs dump --binary` into a file, which it compresses when the name ends in `.zstd`. */
export function juicefsDump(name: string, database: string, out: string, options: readonly string[]): Contender {
  return {
    name,
    prepare: () => rmSync(out, { force: true }),
    run: () => runMeasured(peerPath("juicefs-1.4"), ["dump", "--binary", ...options, `sqlite3://${database}`, out]),
    extra: () => ({ bytes: statSync(out).size }),
  };
}

/** `juicefs load --binary` into a new database. */
export function juicefsLoad(name: string, dump: string, database: string): Contender {
  return {
    name,
    prepare: () => removeDatabase(database),
    run: () => runMeasured(peerPath("juicefs-1.4"), ["load", "--binary", `sqlite3://${database}`, dump]),
    extra: () => ({ bytes: statSync(database).size }),
  };
}

const largeTables = ["node", "edge", "chunk"];

/** The limit of reading: the shell of SQLite writes the three large tables as quoted rows to nowhere. */
export function sqliteShell(database: string, folder: string): Contender {
  const script = join(folder, "read.sql");
  const selects = largeTables.map((table) => `SELECT * FROM jfs_${table};\n`).join("");
  writeFileSync(script, `.mode quote\n.output /dev/null\n${selects}`);
  return {
    name: `sqlite3 shell: ${largeTables.join(", ")}`,
    run: () => runMeasured("sqlite3", ["-batch", "-readonly", database, `.read ${script}`]),
  };
}

/** The limit of writing: SQLite copies all its own tables and indexes into a new file, without looking into a row. */
export function sqliteCopy(database: string, copy: string): Contender {
  return {
    name: "sqlite3 shell: VACUUM INTO",
    prepare: () => removeDatabase(copy),
    run: () => runMeasured("sqlite3", ["-batch", "-readonly", database, `VACUUM INTO '${copy}'`]),
    extra: () => ({ bytes: statSync(copy).size }),
  };
}

/** The first backup of a volume, into a repository made for it. */
export function cairnBackup(database: string, repository: string): Contender {
  return {
    name: "cairn backup",
    async prepare() {
      rmSync(repository, { recursive: true, force: true });
      await cairn(["init", repository]);
    },
    run: () => cairn(["--json", "--no-progress", "backup", `sqlite3://${database}`, repository]),
    extra: (measurement) => ({ bytes: Number(cairnResult(measurement)["storedBytes"]) }),
  };
}

/** A restore of a repository's newest snapshot into a new database, with proof. */
export function cairnRestore(repository: string, database: string): Contender {
  return {
    name: "cairn restore, with proof",
    prepare: () => removeDatabase(database),
    run: () => cairn(["--json", "--no-progress", "restore", `${repository}@latest`, `sqlite3://${database}`]),
    extra(measurement) {
      const result = cairnResult(measurement);
      if (result["proven"] !== true) throw new Error("cairn restore did not prove what it wrote");
      const seconds = result["seconds"] as Record<string, number>;
      return {
        bytes: statSync(database).size,
        "write ms": Math.round(1000 * seconds["write"]),
        "prove ms": Math.round(1000 * seconds["prove"]),
        "publish ms": Math.round(1000 * seconds["publish"]),
      };
    },
  };
}

function removeDatabase(path: string): void {
  for (const old of [path, `${path}-wal`, `${path}-shm`]) rmSync(old, { force: true });
}
