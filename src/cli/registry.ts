import { resolve } from "node:path";
import { CairnError } from "../model/errors.ts";
import { juicefs } from "../model/juicefs.ts";
import type { ObjectStore } from "../model/object-store.ts";
import type { Source, Target } from "../model/ports.ts";
import type { Kind } from "../model/schema.ts";

/*
 * The only place that names concrete engines and stores. Each is loaded when it is asked for, so that one engine's driver costs
 * the others nothing.
 */

/** Data models that this Cairn can read. */
export const kinds: readonly Kind[] = [juicefs];

export interface SourceChoices {
  keepSecrets: boolean;
  allowBlock: boolean;
}

/** The engine behind a metadata URL, for reading. Throws `engine-unknown`, or `meta-url-invalid` from the engine. */
export async function openSource(url: string, choices: SourceChoices): Promise<Source> {
  switch (schemeOf(url)) {
    case "sqlite3": {
      const { openSqliteSource } = await import("../engines/juicefs/sqlite/source.ts");
      return openSqliteSource(url, choices);
    }
    default:
      throw engineUnknown(url);
  }
}

export interface TargetChoices {
  /** JuiceFS' line, `1.2` … ; the newest when undefined. */
  line: string | undefined;
}

/** The engine behind a metadata URL, for one restore. */
export async function openTarget(url: string, { line }: TargetChoices): Promise<Target> {
  switch (schemeOf(url)) {
    case "sqlite3": {
      const [{ openSqliteTarget }, { juicefsLines }] = await Promise.all([
        import("../engines/juicefs/sqlite/target.ts"),
        import("../engines/juicefs/lines.ts"),
      ]);
      const known = juicefsLines.find((candidate) => candidate === line);
      if (line !== undefined && known === undefined) {
        throw new CairnError("usage", `--line ${line} is not a line of JuiceFS that Cairn knows`, {
          exit: "wrongUse",
          next: `give one of ${juicefsLines.join(", ")}`,
        });
      }
      return openSqliteTarget(url, known === undefined ? {} : { line: known });
    }
    default:
      throw engineUnknown(url);
  }
}

function schemeOf(url: string): string {
  // JuiceFS takes a URL without a scheme for Redis.
  return /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1].toLowerCase() ?? "redis";
}

function engineUnknown(url: string): CairnError {
  return new CairnError("engine-unknown", `no engine for ${schemeOf(url)}:// in this version of Cairn`, {
    exit: "wrongUse",
    unharmed: "nothing was read or written",
    next: "give a sqlite3:// URL",
  });
}

/** The store of a repository. Throws `store-unknown` for a URL whose scheme has no store yet. */
export async function openStore(location: string): Promise<ObjectStore & AsyncDisposable> {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(location)?.[1].toLowerCase();
  if (scheme !== undefined && scheme !== "file") {
    throw new CairnError("store-unknown", `no store for ${scheme}:// in this version of Cairn`, {
      exit: "wrongUse",
      next: "name a folder",
    });
  }
  const { FolderStore } = await import("../repository/stores/folder.ts");
  const store = new FolderStore(
    resolve(scheme === undefined ? location : decodeURIComponent(new URL(location).pathname)),
  );
  return Object.assign(store, { [Symbol.asyncDispose]: () => store.close() });
}
