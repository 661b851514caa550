import { initRepository } from "../../repository/repository.ts";
import type { Context } from "../context.ts";
import { commandText } from "../command-text.ts";
import { repositoryArgument } from "../open-repository.ts";
import { openStore } from "../registry.ts";

/** `init [REPO]`. */
export async function init(context: Context, [repo]: readonly (string | undefined)[]): Promise<void> {
  const location = repositoryArgument(context, repo);
  await using store = await openStore(location);
  const repository = await initRepository(store);
  await context.output.text(
    `Made the repository ${store.location}\nNext: ${commandText(context.world.program, ["backup", "META-URL", location])}\n`,
  );
  await context.output.result("init", { repository: store.location, id: repository.id });
}
