import type { Manifest } from "../format/manifest.ts";

/** The tag of a snapshot that `restore --replace` takes of what it replaces; its value is the target, without secrets. */
export const replacedTag = "cairn.replaced";

/** Tags that begin so are Cairn's own. */
export const ownTagPrefix = "cairn.";

/**
 * Whether a snapshot holds what a restore was about to replace: most likely a broken state, which `@latest` and times never mean, or a
 * restore that is run again would restore it.
 */
export function holdsReplaced({ tags }: Pick<Manifest, "tags">): boolean {
  return Object.hasOwn(tags, replacedTag);
}
