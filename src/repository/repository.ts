import { randomBytes } from "node:crypto";
import { CairnError, messageOf } from "../model/errors.ts";
import type { ObjectStore } from "../model/object-store.ts";
import { checkFormat, formatVersion } from "../format/manifest.ts";
import { headerName } from "./layout.ts";

/** A repository whose header was read and understood. */
export interface Repository {
  readonly store: ObjectStore;
  readonly id: string;
}

/** Makes a repository in an empty store; refuses one that holds anything. */
export async function initRepository(store: ObjectStore): Promise<Repository> {
  if ((await store.size(headerName)) !== undefined) {
    throw new CairnError("repository-exists", `${store.location} is a repository already`, {
      exit: "targetRefused",
      unharmed: "it was left as it is",
      next: "use it as it is: several volumes share a repository",
    });
  }
  const others = await store.list("", 1);
  if (others.length > 0) {
    throw new CairnError(
      "repository-not-empty",
      `${store.location} is no repository and not empty (it holds ${others[0]})`,
      {
        exit: "targetRefused",
        unharmed: "nothing was written",
        next: "name an empty or a new folder",
      },
    );
  }
  const id = randomBytes(16).toString("hex");
  const header = { cairn: "repository", format: formatVersion, features: [], id };
  await store.put(headerName, Buffer.from(`${JSON.stringify(header, undefined, 2)}\n`));
  return { store, id };
}

/** Opens a repository; a store without a header is `repository-not-found`, one of another format version is refused by name. */
export async function openRepository(store: ObjectStore): Promise<Repository> {
  const bytes = await store.get(headerName);
  if (bytes === undefined) {
    throw new CairnError("repository-not-found", `${store.location} is no repository: it has no ${headerName}`, {
      exit: "notFound",
      unharmed: "nothing was changed",
      next: `make one with: cairn init ${store.location}`,
    });
  }
  let header: { format?: unknown; features?: unknown; id?: unknown };
  try {
    header = (JSON.parse(Buffer.from(bytes).toString("utf8")) as typeof header | null) ?? {};
  } catch (error) {
    throw new CairnError(
      "repository-damaged",
      `the header ${headerName} of ${store.location} cannot be read: ${messageOf(error)}`,
      {
        exit: "repositoryDamaged",
        unharmed: "snapshots and packs do not depend on its content",
        next: "restore this small file from a copy of the repository; docs/format.md says what it holds",
        cause: error,
      },
    );
  }
  if (typeof header.id !== "string") {
    throw new CairnError("repository-damaged", `the header ${headerName} of ${store.location} has no id`, {
      exit: "repositoryDamaged",
    });
  }
  checkFormat({ format: header.format, features: header.features }, `repository ${store.location}`);
  return { store, id: header.id };
}
