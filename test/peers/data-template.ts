/**
 * A freshly initialised data folder of a server, made once, kept in the cache and copied for each server: copying takes a tenth
 * of a second, making it some seconds.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheFolder } from "./peers.ts";
import { runCommand } from "./run-command.ts";
import { serverFolder } from "./server-process.ts";
import type { SystemUser } from "./system-user.ts";

export interface DataTemplate {
  name: string;
  /** All that the content depends on: programs, their version, their options. */
  key: readonly string[];
  user: SystemUser | undefined;
  /** Fills `data` inside the given folder, which belongs to the server's user. */
  make: (folder: string) => Promise<void>;
}

/** Copies the template as `data` into a server's folder; makes it first where the cache has none. */
export async function copyDataTemplate(template: DataTemplate, folder: string): Promise<void> {
  const owner = template.user?.uid ?? process.getuid?.() ?? 0;
  const key = createHash("sha256")
    .update(JSON.stringify([template.key, owner]))
    .digest("hex")
    .slice(0, 16);
  const kept = join(cacheFolder(), "data", `${template.name}-${key}`);
  if (!existsSync(kept)) {
    mkdirSync(dirname(kept), { recursive: true });
    // The server's user may have no way into the cache of another user, so the data is made elsewhere and moved there.
    const workshop = serverFolder("template", template.user);
    const unfinished = `${kept}.${process.pid}.tmp`;
    try {
      await template.make(workshop);
      await runCommand("cp", ["-a", join(workshop, "data"), unfinished]);
      if (existsSync(kept)) rmSync(unfinished, { recursive: true });
      else renameSync(unfinished, kept);
    } finally {
      rmSync(workshop, { recursive: true, force: true });
      rmSync(unfinished, { recursive: true, force: true });
    }
  }
  await runCommand("cp", ["-a", "--reflink=auto", kept, join(folder, "data")]);
}
