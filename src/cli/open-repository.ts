import { CairnError } from "../model/errors.ts";
import { openRepository } from "../repository/repository.ts";
import type { Repository } from "../repository/repository.ts";
import type { Context } from "./context.ts";
import { openStore } from "./registry.ts";

/** The repository that an argument, or else `CAIRN_REPO`, names. Throws `usage` when neither does. */
export function repositoryArgument(context: Context, given: string | undefined): string {
  const location = given ?? context.world.env["CAIRN_REPO"];
  if (location !== undefined && location !== "") return location;
  throw new CairnError("usage", "no repository was named", {
    exit: "wrongUse",
    next: "give REPO as an argument, or set CAIRN_REPO",
  });
}

/** Opens a repository for the length of a command. */
export async function openRepositoryAt(location: string): Promise<{ repository: Repository } & AsyncDisposable> {
  const store = await openStore(location);
  try {
    return { repository: await openRepository(store), [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}
