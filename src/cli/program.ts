import { Command, Option } from "commander";
import type { Context, GlobalOptions } from "./context.ts";
import { tool } from "./tool.ts";

/** Whether a command is there for its output alone, or for what it does or finds out, which its exit code tells of. */
export type Purpose = "shows" | "does";

/** Runs one command: opens its output, hands it a context, and closes what it opened. Given by `main.ts`. */
export type Runner = (
  global: GlobalOptions,
  purpose: Purpose,
  run: (context: Context) => Promise<void>,
) => Promise<void>;

/**
 * The whole command line as commander takes it: names, arguments, options, help. Each action loads its command when it is called, so
 * that `--help` costs the parser and nothing else.
 */
export function buildProgram(run: Runner): Command {
  const program = new Command("cairn")
    .description("Backs up, looks into, verifies and restores the metadata of JuiceFS volumes.")
    .option("--json", "print JSON lines on stdout (docs/json.md)")
    .option("--quiet", "print no results and no progress, only warnings and errors")
    .option("--no-progress", "show no progress")
    .option("--memory <size>", "memory to work in, beyond start-up", "256M")
    .version(tool.version, "--version", "print the version")
    .helpCommand("help [command]", "show help for a command")
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError("(--help shows what is possible)");
  /** An action whose last two arguments, as commander gives them, are the options and the command. */
  const action =
    (
      purpose: Purpose,
      start: (context: Context, args: readonly (string | undefined)[], options: never) => Promise<void>,
    ) =>
    async (...all: unknown[]): Promise<void> => {
      const command = all.at(-1) as Command;
      const options = command.optsWithGlobals();
      await run(options, purpose, (context) => start(context, command.args, options as never));
    };
  const metaUrl = "as for juicefs: redis://HOST/1, postgres://…, mysql://…, sqlite3:///path/to.db";
  const volume = (): Option => new Option("--volume <name|uuid>", "the volume, where the repository holds several");

  program
    .command("quickstart")
    .description("try everything on a small volume that comes with Cairn, in a temporary folder")
    .option("--keep", "leave the folder behind")
    .action(action("does", async (...given) => (await import("./commands/quickstart.ts")).quickstart(...given)));
  program
    .command("doctor")
    .description("say what a volume's metadata engine holds and how it can be backed up; reads only")
    .argument("<meta-url>", metaUrl)
    .option("--replica <host:port|url>", "Redis: look at this replica")
    .option("--from-rdb <file>", "Redis: look at this saved RDB file instead of the server")
    .option("--scan", "Redis: say what a backup with --scan would be")
    .action(action("does", async (...given) => (await import("./commands/doctor.ts")).doctor(...given)));
  program
    .command("init")
    .description("make a repository in an empty or new folder")
    .argument("[repo]", "the folder (or CAIRN_REPO)")
    .action(action("does", async (context, args) => (await import("./commands/init.ts")).init(context, args)));
  program
    .command("backup")
    .description("store a snapshot of a volume's metadata")
    .argument("<meta-url>", metaUrl)
    .argument("[repo]", "the repository (or CAIRN_REPO)")
    .option("--note <text>", "words to find the snapshot by")
    .option("--tag <key=value>", "a tag; may be given more than once", gather)
    .option(
      "--keep-secrets",
      "keep the object store's secret key and session token in the snapshot, which is not encrypted",
    )
    .option("--allow-block", "let writers wait for longer than 3 s where a consistent read needs it")
    .option("--full", "build on no earlier snapshot: store every page again")
    .option("--read-rate <bytes>", "read at most this much from the engine each second: 20M")
    .option(
      "--pause-above <ms>",
      "stop reading while the engine answers a small question later than this (1000 unless given), or off",
    )
    .option("--replica <host:port|url>", "Redis: read from this replica of the server")
    .option("--from-rdb <file>", "Redis: read this saved RDB file instead of the server")
    .option("--scan", "Redis: read key by key where replication is forbidden; the result is NOT a snapshot")
    .action(action("does", async (...given) => (await import("./commands/backup.ts")).backup(...given)));
  program
    .command("snapshots")
    .description("list the snapshots of a repository")
    .argument("[repo]", "the repository (or CAIRN_REPO)")
    .addOption(volume())
    .action(action("shows", async (...given) => (await import("./commands/snapshots.ts")).snapshots(...given)));
  program
    .command("show")
    .description("show all that a snapshot says of itself")
    .argument("<snapshot>", "REPO@latest, REPO@ID, REPO@2026-11-20T10:00, REPO@-2h")
    .addOption(volume())
    .action(action("shows", async (...given) => (await import("./commands/show.ts")).show(...given)));
  program
    .command("ls")
    .description("list a directory of a snapshot")
    .argument("<snapshot[:/path]>", "the directory or file")
    .option("-l, --long", "one entry a line, with mode, links, owner, group, size and time")
    .option("-R, --recursive", "sub-directories too")
    .addOption(volume())
    .action(action("shows", async (...given) => (await import("./commands/ls.ts")).ls(...given)));
  program
    .command("stat")
    .description("show all that a snapshot holds of one file")
    .argument("<snapshot:/path>", "the file")
    .addOption(volume())
    .action(action("shows", async (...given) => (await import("./commands/stat.ts")).stat(...given)));
  program
    .command("find")
    .description("find files of a snapshot")
    .argument("<snapshot[:/path]>", "where to begin")
    .option("--name <glob>", "the last part of the path matches: * ? [a-z] [!a-z] and \\ as in a shell")
    .option("--type <letters>", "any of f d l p b c s: file, directory, link, pipe, block, character, socket")
    .option("--size <size>", "+10M: more than, -10M: less than, 10M: exactly; may be given more than once", gather)
    .option("--newer <time>", "changed (mtime) after: 2026-11-20T10:00, or 2h for the last two hours before now")
    .option("--older <time>", "changed (mtime) before, in the same forms")
    .option("--uid <id>", "owner, as a number")
    .option("--gid <id>", "group, as a number")
    .addOption(volume())
    .action(action("shows", async (...given) => (await import("./commands/find.ts")).find(...given)));
  program
    .command("du")
    .description("sum up directories of a snapshot, largest first")
    .argument("<snapshot[:/path]>", "where to begin")
    .option("--depth <levels>", "directories this deep below", "1")
    .option("--ncdu", "print the whole tree in ncdu's export format, for: ncdu -f -")
    .addOption(volume())
    .action(action("shows", async (...given) => (await import("./commands/du.ts")).du(...given)));
  program
    .command("verify")
    .description("read every page of a snapshot, or of all snapshots, and prove it whole")
    .argument("[snapshot|repo]", "REPO@latest for one, REPO for all (or CAIRN_REPO)")
    .addOption(volume())
    .action(action("does", async (...given) => (await import("./commands/verify.ts")).verify(...given)));
  program
    .command("restore")
    .description("restore a snapshot into an empty target, and prove it by reading it back")
    .argument("<snapshot>", "REPO@latest, REPO@ID, REPO@2026-11-20T10:00, REPO@-2h")
    .argument("<meta-url>", "the target: sqlite3:///path/to-new.db")
    .option(
      "--repair <what>",
      "correct what the snapshot holds wrong: counters, usage, nlink, separated by commas",
      gather,
    )
    .option(
      "--advance-ids [count]",
      "lift next inode, next chunk and next trash by this much (default: enough for a week of heavy use)",
    )
    .option(
      "--set <field=value>",
      "change a field of the setting: Bucket, Storage, AccessKey, …; may be given more than once",
      gather,
    )
    .option(
      "--secret-file <field=path>",
      "take a secret (SecretKey, SessionToken, EncryptKey) from a file; may be given more than once",
      gather,
    )
    .option(
      "--replace <uuid>",
      "restore over the volume of this UUID, which the target holds, after a copy of it was kept",
    )
    .option("--discard-unfinished", "remove what a restore that was killed left in the target, and begin anew")
    .option(
      "--dedicated",
      "Redis: the empty instance is for this volume alone; fill it the fast way, through replication",
    )
    .option("--database <number>", "an .rdb file: the number of the database in it (0 unless given)")
    .option("--line <line>", "JuiceFS line whose layout the target gets: 1.2, 1.3 or 1.4 (the newest unless given)")
    .addOption(volume())
    .action(action("does", async (...given) => (await import("./commands/restore.ts")).restore(...given)));
  program
    .command("diff")
    .description("compare two snapshots")
    .argument("<a>", "the older snapshot")
    .argument("<b>", "the newer snapshot, or @SELECTOR in the same repository")
    .option("--stat", "counts only")
    .addOption(volume())
    .action(action("shows", async (...given) => (await import("./commands/diff.ts")).diff(...given)));
  program
    .command("completion")
    .description("print a completion script")
    .argument("<shell>", "bash, zsh or fish")
    .action(
      action("shows", async (context, args) =>
        (await import("./commands/completion.ts")).completion(context, args, program),
      ),
    );
  return program;
}

/** For options that may be given more than once. */
function gather(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}
