import type { Manifest } from "../format/manifest.ts";
import type { FrameLocation } from "../format/index-page.ts";
import {
  checkPackHeader,
  decodePackFooter,
  decodePackTrailer,
  packFooterBytes,
  packHeaderBytes,
} from "../format/pack.ts";
import { CairnError } from "../model/errors.ts";
import { packName, packsPrefix, packTime } from "./layout.ts";
import type { Repository } from "./repository.ts";

/** A stored page that no index names: where it lies. */
export interface KnownPage {
  location: FrameLocation;
  chain: FrameLocation[];
  rawBytes: number;
}

/**
 * Pages in packs that were written after the parent snapshot and are not its own: those of an interrupted backup, which the next
 * one reuses. A pack that cannot be read is left alone, for it is of no use here and nothing depends on it.
 */
export async function readInterruptedPages(
  repository: Repository,
  volume: string,
  parent: Manifest | undefined,
  doomed: ReadonlySet<string>,
): Promise<Map<string, KnownPage>> {
  const pages = new Map<string, KnownPage>();
  const since = parent === undefined ? 0 : Date.parse(parent.time);
  for (const name of await repository.store.list(packsPrefix(volume))) {
    const pack = name.slice(name.lastIndexOf("/") + 1);
    if (!/^[0-9a-f]{32}$/.test(pack) || packTime(pack) < since) continue;
    if (doomed.has(pack) || parent?.packs.includes(pack) === true) continue;
    try {
      for (const entry of await readPackEntries(repository, volume, pack)) {
        const location = { pack, offset: entry.offset, length: entry.length };
        pages.set(entry.id, { location, chain: entry.chain, rawBytes: entry.rawBytes });
      }
    } catch (error) {
      if (!(error instanceof CairnError) || error.exit !== "repositoryDamaged") throw error;
    }
  }
  return pages;
}

/** The trailer of a pack; throws `pack-damaged` or `pack-missing`. */
async function readPackEntries(
  repository: Repository,
  volume: string,
  pack: string,
): Promise<ReturnType<typeof decodePackTrailer>> {
  const name = packName(volume, pack);
  const size = await repository.store.size(name);
  if (size === undefined)
    throw new CairnError("pack-missing", `pack ${pack} is missing`, { exit: "repositoryDamaged" });
  const read = async (offset: number, length: number): Promise<Uint8Array> =>
    (await repository.store.get(name, { offset: Math.max(0, offset), length })) ?? new Uint8Array(0);
  checkPackHeader(await read(0, packHeaderBytes), pack);
  const footer = decodePackFooter(await read(size - packFooterBytes, packFooterBytes), pack);
  if (footer.offset + footer.length + packFooterBytes !== size) {
    throw new CairnError("pack-damaged", `pack ${pack} is damaged: its trailer is not where its end says`, {
      exit: "repositoryDamaged",
      details: { pack },
    });
  }
  return decodePackTrailer(await read(footer.offset, footer.length), footer.hash, pack);
}
