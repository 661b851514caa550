import { CairnError, messageOf } from "../model/errors.ts";
import type { Manifest } from "../format/manifest.ts";
import { backup } from "../operations/backup.ts";
import type { Repository } from "../repository/repository.ts";
import type { Context } from "./context.ts";
import { openSource } from "./registry.ts";
import { replacedTag } from "./replaced-tag.ts";
import { tool } from "./tool.ts";

export interface ReplacedTarget {
  repository: Repository;
  /** With its password. */
  url: string;
  /** Without secrets: the snapshot is tagged with it. */
  location: string;
  /** What `--replace` names. */
  volumeId: string;
  temporaryFolder: string;
}

/**
 * Backs up what a restore with `--replace` is about to replace, into the repository that is restored from; undefined where there is nothing, or
 * another volume, which the restore then refuses. The tag keeps `@latest` from meaning this snapshot. A target that is too broken to be backed up is warned of: that it is broken is why it
 * is replaced, and its file is kept.
 */
export async function backUpReplaced(
  { output, world, signal, memoryBytes }: Context,
  { repository, url, location, volumeId, temporaryFolder }: ReplacedTarget,
): Promise<Manifest | undefined> {
  const { progress } = output;
  try {
    const source = await openSource(url, { keepSecrets: false, allowBlock: false });
    if ((await source.describe(signal)).volumeId !== volumeId) return undefined;
    const note = "what a restore with --replace found";
    const shared = { repository, memoryBytes, temporaryFolder, progress, signal, clock: world.clock, tool };
    return (await backup({ ...shared, source, note, tags: { [replacedTag]: location }, keepSecrets: false })).manifest;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof CairnError && error.code === "source-not-found") return undefined;
    progress.warn(
      "replaced-not-backed-up",
      `what the target holds cannot be backed up: ${messageOf(error)}; if it is replaced, its database is kept beside the new one`,
    );
    return undefined;
  }
}
