import type { ProgressEvent } from "../../../model/ports.ts";
import type { FullSyncWait } from "../../../protocols/redis/full-sync.ts";

/** What the reading thread says between its answers. */
export type RedisNote =
  | { readonly kind: "progress"; readonly event: ProgressEvent }
  | { readonly kind: "warning"; readonly code: string; readonly message: string }
  | { readonly kind: "waiting"; readonly what: FullSyncWait; readonly waitedMs: number };
