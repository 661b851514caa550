import type { RedisConnection } from "../../../protocols/redis/client.ts";
import { textOf } from "../../../protocols/redis/client.ts";
import { aclRemedy } from "../../../protocols/redis/redis-errors.ts";
import type { Reply } from "../../../protocols/redis/resp.ts";
import { RespError } from "../../../protocols/redis/resp.ts";

/** A right that is missing, or that could not be looked up, with the remedy. */
export interface RightProblem {
  readonly message: string;
  readonly next: string;
}

/** Commands of a full synchronisation, as examples without any effect where they are only tried on paper. */
const syncCommands: readonly (readonly string[])[] = [
  ["PSYNC", "?", "-1"],
  ["REPLCONF", "rdb-only", "1"],
];

const otherWays =
  "or name a replica with --replica, save an RDB file and use --from-rdb, or use --scan, which is no snapshot";

/**
 * What the user lacks for a full synchronisation. Nothing is asked that could begin one or change the server: `ACL DRYRUN` where it is
 * allowed (7.0), else a PSYNC that is refused for its form (7.0) or taken back before it runs (6). `version` is empty where it is unknown.
 */
export async function missingSyncRights(connection: RedisConnection, version: string): Promise<RightProblem[]> {
  const refused = (await dryRun(connection)) ?? (await probe(connection, version));
  const problems: RightProblem[] = [];
  const missing = refused.filter(({ error }) => error.kind === "NOPERM").map(({ command }) => command);
  if (missing.length > 0) {
    problems.push({
      message: `user ${connection.user} may not run ${missing.join(" and ")}, which a consistent backup needs`,
      next: `let an administrator allow it: ${aclRemedy(missing, connection.user)}; ${otherWays}`,
    });
  }
  for (const { command, error } of refused) {
    if (error.kind === "NOPERM") continue;
    const text = error.text.replace(/, with args beginning with:.*$/s, "");
    problems.push({ message: `the server does not offer ${command}: ${text}`, next: otherWays.slice(3) });
  }
  return problems;
}

interface Refusal {
  readonly command: string;
  readonly error: RespError;
}

/** `undefined` where the user may not ask. */
async function dryRun(connection: RedisConnection): Promise<Refusal[] | undefined> {
  const refused: Refusal[] = [];
  for (const command of syncCommands) {
    const reply = await connection.ask("ACL", "DRYRUN", connection.user, ...command);
    if (reply instanceof RespError) {
      // A command that was renamed or removed is unknown to DRYRUN as well.
      if (!/^ERR Command '.*' not found/i.test(reply.text)) return undefined;
      refused.push({ command: command[0], error: reply });
    } else if (textOf(reply) !== "OK") {
      refused.push({ command: command[0], error: new RespError(`NOPERM ${textOf(reply)}`) });
    }
  }
  return refused;
}

/** On a connection that is given up afterwards: REPLCONF leaves a mark on it. */
async function probe(connection: RedisConnection, version: string): Promise<Refusal[]> {
  const major = Number.parseInt(version, 10);
  const refused: Refusal[] = [];
  let mayTellPsync = major >= 7;
  const take = (command: string, reply: Reply): void => {
    if (reply instanceof RespError && isRefusal(reply)) refused.push({ command, error: reply });
  };
  if (major >= 7) {
    // An offset that is no number: such a PSYNC ends with an error before anything happens.
    take("PSYNC", await connection.ask("PSYNC", "?", "x"));
  } else if (major === 6) {
    // Version 6 would begin a synchronisation even so; inside MULTI the rights are checked, and DISCARD forgets it.
    const multi = await connection.ask("MULTI");
    if (!(multi instanceof RespError)) {
      take("PSYNC", await connection.ask("PSYNC", "?", "-1"));
      await connection.ask("DISCARD");
    }
    mayTellPsync = !(multi instanceof RespError);
  }
  const replconf = await connection.ask("REPLCONF", "capa", "eof");
  // The two are given together.
  if (!mayTellPsync && replconf instanceof RespError && replconf.kind === "NOPERM") take("PSYNC", replconf);
  take("REPLCONF", replconf);
  return refused;
}

/** Not: that the arguments are wrong, or that a replica is out of step. */
function isRefusal(error: RespError): boolean {
  return error.kind === "NOPERM" || /unknown command|disabled|not allowed/i.test(error.text);
}
