import type { CairnErrorOptions, ExitName } from "../../../model/errors.ts";
import { CairnError } from "../../../model/errors.ts";
import { ProtocolError } from "../../../protocols/postgres/protocol-error.ts";
import type { ServerError } from "../../../protocols/postgres/session.ts";
import { ConnectionError, isServerError, SilenceError } from "../../../protocols/postgres/session.ts";

/** Who meets the error: it decides what is unharmed, and how the process ends. */
export interface Side {
  /** Where, without secrets. */
  readonly location: string;
  readonly user: string;
  readonly database: string;
  readonly isTarget: boolean;
}

/** What PostgreSQL or the connection to it says, as an error that names the way out. Errors of our own pass. */
export function postgresError(side: Side, error: unknown): unknown {
  if (error instanceof CairnError) return error;
  if (isServerError(error)) return serverError(side, error);
  if (error instanceof SilenceError) {
    return failure(side, "engine-timeout", `${side.location} does not answer: ${error.message}`, {
      next: "look at the server (locks, load, storage), and try again",
      cause: error,
    });
  }
  if (error instanceof ConnectionError) {
    return failure(side, "connection-lost", `the connection to ${side.location} was lost: ${error.message}`, {
      next: "check the server and the network between, and try again",
      cause: error,
    });
  }
  if (error instanceof ProtocolError) {
    return failure(side, "unexpected-value", `${side.location} sent what cannot be taken: ${error.message}`, {
      next: "compare the table with what JuiceFS creates; `juicefs fsck` looks at the volume itself",
      cause: error,
    });
  }
  return error;
}

/** The error of a connection that did not come about. */
export function connectError(side: Side, error: unknown): unknown {
  if (isServerError(error) || error instanceof CairnError) return postgresError(side, error);
  if (!(error instanceof ConnectionError)) return error;
  // What the library says when the server wants a password and there is none, or another server answers.
  if (/^SASL|SCRAM/.test(error.message)) {
    return failure(side, "login-failed", `cannot log in to ${side.location}: ${error.message}`, {
      next: "give the password (URL, META_PASSWORD or META_PASSWORD_FILE)",
      cause: error,
    });
  }
  const isTls = /certificate|SSL|TLS|altnames|handshake/i.test(error.message);
  return failure(side, "engine-unreachable", `cannot connect to ${side.location}: ${error.message}`, {
    next: isTls
      ? "check sslmode, sslrootcert, sslcert and sslkey of the URL against the server's certificate"
      : "check host and port, that the server runs, and that it may be reached from here",
    cause: error,
  });
}

function failure(side: Side, code: string, message: string, options: CairnErrorOptions): CairnError {
  const exit: ExitName = side.isTarget ? "targetRefused" : "sourceUnreachable";
  const unharmed = side.isTarget
    ? "nothing that a client takes for a volume was written"
    : "the database was only read";
  return new CairnError(code, message, { unharmed, exit, ...options });
}

function serverError(side: Side, error: ServerError): CairnError {
  const { code } = error;
  const said = error.message;
  const cause = error;
  const known = remedies.find(({ codes }) => codes.some((start) => code.startsWith(start)));
  if (code === "40001" && !side.isTarget) {
    return failure(side, "standby-conflict", `the standby ${side.location} cancelled the read: ${said}`, {
      next: "raise max_standby_streaming_delay on it or set hot_standby_feedback = on, or read from the primary",
      cause,
    });
  }
  if (code === "42501") {
    return failure(side, "privilege-missing", `${side.user} may not do what is needed in ${side.location}: ${said}`, {
      next: side.isTarget ? grantForTarget(side) : grantForSource(side),
      cause,
    });
  }
  if (known !== undefined) {
    return failure(side, known.code, `${side.location}: ${said}`, { next: known.next(side), cause });
  }
  if (side.isTarget && (code.startsWith("22") || code.startsWith("23") || code.startsWith("54"))) {
    return failure(side, "does-not-fit", `a record of the snapshot does not fit into PostgreSQL: ${said}`, {
      next: "restore into another engine (docs/engines/limits.md)",
      cause,
    });
  }
  return failure(side, side.isTarget ? "target-failed" : "source-failed", `${side.location}: ${said} (${code})`, {
    next: "look into the server's log, and try again",
    cause,
  });
}

interface Remedy {
  /** SQLSTATEs, or how they begin. */
  readonly codes: readonly string[];
  readonly code: string;
  readonly next: (side: Side) => string;
}

const remedies: readonly Remedy[] = [
  {
    codes: ["28"],
    code: "login-failed",
    next: () => "check user and password (URL, META_PASSWORD or META_PASSWORD_FILE) and the server's pg_hba.conf",
  },
  {
    codes: ["3D000"],
    code: "engine-unreachable",
    next: ({ database }) => `check the database in the URL, or create it: CREATE DATABASE "${database}"`,
  },
  {
    codes: ["57014", "25P03", "25P04", "57P05", "55P03"],
    code: "engine-timeout",
    next: () => "look for locks and time limits (pg_locks, statement_timeout of role and database), and try again",
  },
  {
    codes: ["57P03"],
    code: "engine-unreachable",
    next: () => "wait until the server has started or recovered, and try again",
  },
  {
    codes: ["57P", "08"],
    code: "connection-lost",
    next: () => "see in the server's log why it ended the connection, and try again",
  },
  {
    codes: ["53100"],
    code: "no-space",
    next: () => "make room for the server's data, its log and its temporary files, and try again",
  },
  {
    codes: ["53"],
    code: "engine-busy",
    next: () => "raise max_connections or free connections; two or more are needed at once",
  },
  {
    codes: ["25006"],
    code: "engine-read-only",
    next: () => "name the primary server in the URL: this one takes no writes",
  },
];

/** What a role needs to back a volume up. */
export function grantForSource({ user, database }: Side, schema = "public"): string {
  return `GRANT CONNECT ON DATABASE "${database}" TO "${user}"; GRANT USAGE ON SCHEMA "${schema}" TO "${user}"; GRANT SELECT ON ALL TABLES IN SCHEMA "${schema}" TO "${user}"`;
}

/** What a role needs to restore a volume. */
export function grantForTarget({ user, database }: Side, schema = "public"): string {
  return `GRANT CONNECT ON DATABASE "${database}" TO "${user}"; GRANT USAGE, CREATE ON SCHEMA "${schema}" TO "${user}"`;
}
