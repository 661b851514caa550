import { CairnError, messageOf } from "../model/errors.ts";
import { doomedPrefix } from "./layout.ts";
import type { Repository } from "./repository.ts";

/** What else lies in that folder is nobody's list. */
const doomedName = /^doomed\/\d{8}t\d{6}\.\d{3}z-[0-9a-f]{32}$/;

/**
 * Ids of all packs that a prune has announced to delete (docs/format.md, "Doomed lists"). A backup must not rely on them: it reads
 * this again right before it publishes.
 */
export async function readDoomedPacks(repository: Repository): Promise<ReadonlySet<string>> {
  const packs = new Set<string>();
  for (const name of await repository.store.list(doomedPrefix)) {
    if (!doomedName.test(name)) continue;
    const bytes = await repository.store.get(name);
    if (bytes === undefined) continue;
    try {
      const list = JSON.parse(Buffer.from(bytes).toString("utf8")) as { format: unknown; packs: unknown[] };
      if (list.format !== 1) throw new Error(`its format version is ${String(list.format)}`);
      for (const pack of list.packs) {
        if (typeof pack !== "string" || !/^[0-9a-f]{32}$/.test(pack)) throw new Error("it names what is no pack");
        packs.add(pack);
      }
    } catch (error) {
      throw new CairnError("doomed-list-damaged", `cannot read the list of doomed packs ${name}: ${messageOf(error)}`, {
        exit: "repositoryDamaged",
        unharmed: "no snapshot is affected",
        next: "if no prune is running, remove this list; the packs it named stay",
        cause: error,
      });
    }
  }
  return packs;
}
