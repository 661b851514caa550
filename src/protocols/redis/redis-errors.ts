import type { CairnErrorOptions } from "../../model/errors.ts";
import { CairnError } from "../../model/errors.ts";
import type { Command, RespError } from "./resp.ts";

/*
 * Errors of a connection to Redis. They carry the exit of a source; a target that meets one says for itself what is unharmed
 * (`src/engines/juicefs/redis/`).
 */

const onlyRead = "the server was only read";

export function serverUnreachable(address: string, reason: string, next: string): CairnError {
  return new CairnError("engine-unreachable", `cannot connect to Redis at ${address}: ${reason}`, {
    exit: "sourceUnreachable",
    unharmed: "nothing was read or written",
    next,
  });
}

export function connectionLost(address: string, what: string, next?: string): CairnError {
  return new CairnError("connection-lost", `the connection to Redis at ${address} was lost ${what}`, {
    exit: "sourceUnreachable",
    unharmed: onlyRead,
    next: next ?? "look into the server's log, and try again",
  });
}

export function serverTimedOut(address: string, timeoutMs: number, what: string): CairnError {
  const seconds = Math.round(timeoutMs / 1000);
  return new CairnError("engine-timeout", `Redis at ${address} has sent nothing for ${seconds} s ${what}`, {
    exit: "sourceUnreachable",
    unharmed: onlyRead,
    next: "check the server's load and the network, and try again",
  });
}

/** The first words of a command that name it: `ACL WHOAMI`, `GET`. Never its arguments, which may be secrets. */
function commandName(command: Command): string {
  const name = String(command[0]).toUpperCase();
  const withSubcommand = ["ACL", "CLUSTER", "CONFIG", "SENTINEL", "CLIENT"];
  return withSubcommand.includes(name) && command.length > 1 ? `${name} ${String(command[1]).toUpperCase()}` : name;
}

/** The server and the user that is logged in: for messages. */
export interface RedisLogin {
  readonly address: string;
  readonly user: string;
}

/** The error that a reply means, with the code that fits. */
export function replyError(error: RespError, command: Command, { address, user }: RedisLogin): RedisReplyError {
  const name = commandName(command);
  // Older servers repeat the arguments of an unknown command, and the arguments of AUTH are secrets.
  const text = error.text.replace(/, with args beginning with:.*$/s, "");
  const { kind } = error;
  const options: CairnErrorOptions = {
    exit: "sourceUnreachable",
    unharmed: onlyRead,
    details: { command: name, reply: kind },
  };
  if (kind === "NOPERM") {
    // The text of the server ends with the reason: no command, no key, no channel.
    return new RedisReplyError("privilege-missing", `Redis at ${address} does not allow ${name}: ${text}`, kind, {
      ...options,
      next: `let an administrator allow it: ${/\bkeys?\b/.test(text) ? `ACL SETUSER ${user} ~*` : aclRemedy([name], user)}`,
    });
  }
  if (kind === "NOAUTH" || kind === "WRONGPASS" || name === "AUTH" || kind === "DENIED") {
    return new RedisReplyError("login-failed", `Redis at ${address} refused the login: ${text}`, kind, {
      ...options,
      next: "check user and password: in the URL, in META_PASSWORD, or in the file that META_PASSWORD_FILE names",
    });
  }
  if (kind === "LOADING") {
    return new RedisReplyError("engine-loading", `Redis at ${address} is still loading its data: ${text}`, kind, {
      ...options,
      next: "wait until it has started, and try again",
    });
  }
  return new RedisReplyError("engine-refused", `Redis at ${address} answered ${name} with an error: ${text}`, kind, {
    ...options,
    next: "look up the server's message",
  });
}

/** The line that allows commands: `ACL SETUSER backup +psync +acl|whoami`. */
export function aclRemedy(commands: readonly string[], user: string): string {
  return `ACL SETUSER ${user} ${commands.map((name) => `+${name.toLowerCase().replace(" ", "|")}`).join(" ")}`;
}

/** An error reply; `kind` is its first word. */
export class RedisReplyError extends CairnError {
  readonly kind: string;

  constructor(code: string, message: string, kind: string, options: CairnErrorOptions) {
    super(code, message, options);
    this.kind = kind;
  }
}
