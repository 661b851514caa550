import { openSnapshot } from "../repository/snapshot.ts";
import type { Snapshot } from "../repository/snapshot.ts";
import { parseAddress } from "./address.ts";
import type { Address } from "./address.ts";
import { chooseSnapshot } from "./choose-snapshot.ts";
import type { Context } from "./context.ts";
import { openRepositoryAt } from "./open-repository.ts";
import { kinds } from "./registry.ts";

export interface VolumeOptions {
  volume?: string;
}

export interface OpenedSnapshot extends AsyncDisposable {
  snapshot: Snapshot;
  address: Address;
}

/** Opens the snapshot that an address names, for the length of a command. */
export async function openSnapshotAt(
  context: Context,
  text: string,
  options: VolumeOptions,
  defaultRepository = context.world.env["CAIRN_REPO"],
): Promise<OpenedSnapshot> {
  const address = parseAddress(text, context.world.clock.now(), defaultRepository);
  const opened = await openRepositoryAt(address.repository);
  try {
    const manifest = await chooseSnapshot(opened.repository, address, options.volume);
    return {
      snapshot: openSnapshot(opened.repository, manifest, kinds),
      address,
      [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
    };
  } catch (error) {
    await opened[Symbol.asyncDispose]();
    throw error;
  }
}
