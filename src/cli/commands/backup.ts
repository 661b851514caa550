import { CairnError } from "../../model/errors.ts";
import { backup as runBackup } from "../../operations/backup.ts";
import type { BackupResult } from "../../operations/backup.ts";
import { commandText } from "../command-text.ts";
import type { Context } from "../context.ts";
import { keyValues } from "../key-values.ts";
import { withPassword } from "../meta-url.ts";
import { openRepositoryAt, repositoryArgument } from "../open-repository.ts";
import { findingLines } from "../output/findings.ts";
import { formatBytes, formatCount, formatSeconds } from "../output/format.ts";
import type { JsonObject } from "../output/output.ts";
import { paceGiven } from "../pace.ts";
import type { PaceOptions } from "../pace.ts";
import { redisChoices } from "../redis-choices.ts";
import type { RedisSourceOptions } from "../redis-choices.ts";
import { openSource } from "../registry.ts";
import { ownTagPrefix } from "../replaced-tag.ts";
import { openTemporaryFolder } from "../temporary-folder.ts";
import { tool } from "../tool.ts";
import { snapshotSummary } from "./snapshots.ts";

export interface BackupCommandOptions extends PaceOptions, RedisSourceOptions {
  note?: string;
  tag?: string[];
  keepSecrets?: boolean;
  allowBlock?: boolean;
  full?: boolean;
}

/** `backup META-URL [REPO]`. */
export async function backup(
  context: Context,
  [url, repo]: readonly (string | undefined)[],
  options: BackupCommandOptions,
): Promise<void> {
  const { output, signal, world, memoryBytes } = context;
  const location = repositoryArgument(context, repo);
  const tags = keyValues("--tag", options.tag);
  const own = Object.keys(tags).find((key) => key.startsWith(ownTagPrefix));
  if (own !== undefined) {
    throw new CairnError("usage", `--tag ${own}: tags that begin with ${ownTagPrefix} are Cairn's own`, {
      exit: "wrongUse",
      next: "give it another name",
    });
  }
  const keepSecrets = options.keepSecrets === true;
  if (keepSecrets) {
    output.progress.warn(
      "secrets-kept",
      "--keep-secrets stores the volume's secrets in the snapshot, and repositories are not encrypted: whoever can read the repository can read them",
    );
  }
  const pace = paceGiven(options);
  const source = await openSource(await withPassword(url ?? "", world.env), {
    keepSecrets,
    allowBlock: options.allowBlock === true,
    ...redisChoices(options, world.env),
  });
  await using opened = await openRepositoryAt(location);
  await using temporary = await openTemporaryFolder();
  const result = await runBackup({
    repository: opened.repository,
    source,
    note: options.note ?? "",
    tags,
    keepSecrets,
    full: options.full === true,
    ...(pace === undefined ? {} : { pace }),
    memoryBytes,
    temporaryFolder: temporary.path,
    progress: output.progress,
    signal,
    clock: world.clock,
    tool,
  });
  for (const { code, severity, message } of result.manifest.findings) {
    if (severity !== "info") output.progress.warn(code, message);
  }
  await output.text(`${describe(result, location, world.program).join("\n")}\n`);
  await output.result("backup", {
    ...snapshotSummary(result.manifest),
    repository: opened.repository.store.location,
    pagesWritten: result.pagesWritten,
    pagesPatched: result.pagesPatched,
    pagesReused: result.pagesReused,
    seconds: result.seconds,
    findings: result.manifest.findings as unknown as JsonObject[],
    omitted: result.manifest.omitted,
    restoreCommand: restoreCommand(result, location, world.program),
  });
}

function restoreCommand({ manifest }: BackupResult, location: string, program: string): string {
  return commandText(program, ["restore", `${location}@${manifest.id.slice(0, 12)}`, "sqlite3:///PATH/TO/NEW.db"]);
}

function describe(result: BackupResult, location: string, program: string): string[] {
  const { manifest, seconds } = result;
  const { consistency, parent } = manifest;
  const count = (table: string): string =>
    formatCount(manifest.tables.find(({ name }) => name === table)?.records ?? 0);
  const share = manifest.logicalBytes === 0 ? 0 : (100 * manifest.storedBytes) / manifest.logicalBytes;
  const base = parent === null ? "" : `, on top of snapshot ${parent.slice(0, 8)}`;
  const lines = [
    `Saved volume ${manifest.volumeName} as snapshot ${manifest.id.slice(0, 12)}`,
    `  what        ${count("node")} inodes, ${count("edge")} names, ${count("chunk")} chunks`,
    `  consistent  ${consistency.level === "snapshot" ? "yes" : "NO, this is not a snapshot"}: ${consistency.method}`,
    `  size        ${formatBytes(manifest.storedBytes)} new, ${share.toFixed(1)}% of ${formatBytes(manifest.logicalBytes)}${base}`,
    `  pages       ${formatCount(result.pagesWritten)} stored whole, ${formatCount(result.pagesPatched)} as patches, ${formatCount(result.pagesReused)} reused`,
    `  took        ${formatSeconds(seconds)}`,
    `  root        ${manifest.root}`,
  ];
  if (manifest.findings.length > 0)
    lines.push("  noticed", ...findingLines(manifest.findings).map((line) => `  ${line}`));
  lines.push(`Restore it with: ${restoreCommand(result, location, program)}`);
  return lines;
}
