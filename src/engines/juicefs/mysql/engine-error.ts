import { CairnError, messageOf } from "../../../model/errors.ts";
import type { CairnErrorOptions, ExitName } from "../../../model/errors.ts";
import {
  MysqlConnectionError,
  MysqlProtocolError,
  MysqlServerError,
  MysqlSilenceError,
  MysqlValueError,
} from "../../../protocols/mysql/server-error.ts";

/** Where and for what the server is used: what an error must say. */
export interface EngineContext {
  /** Without secrets. */
  readonly location: string;
  readonly role: "source" | "target";
  readonly database: string;
  /** The account that the server took us for, `'jfs'@'%'`, once it is known. */
  account?: string;
}

/** The rights that a backup and a restore need, in the words of GRANT. */
const neededRights = {
  source: "SELECT",
  target: "SELECT, INSERT, CREATE, ALTER, DROP, CREATE TEMPORARY TABLES",
} as const;

/** The statement that gives what is missing. */
export function grantStatement({ role, database, account }: EngineContext): string {
  return `GRANT ${neededRights[role]} ON \`${database.replaceAll("`", "``")}\`.* TO ${account ?? "the user of the URL"}`;
}

type Kind = readonly [code: string, text: string, next?: string];

const loginFailed: Kind = ["login-failed", "does not accept the login", "check user and password of the URL"];
const privilegeMissing: Kind = ["privilege-missing", "does not allow what is needed"];
const connectionLost: Kind = [
  "connection-lost",
  "ended the connection",
  "look into the server's log, check the network, and try again",
];
const engineTimeout: Kind = [
  "engine-timeout",
  "took longer than a time-out allows",
  "raise the time-out that the message names, or try when the server has less to do",
];
const noSpace: Kind = ["no-space", "has no room", "make room on the server's disks"];
const doesNotFit: Kind = [
  "does-not-fit",
  "cannot hold a record of the snapshot",
  "restore into another engine (docs/engines/limits.md)",
];
const locked: Kind = ["engine-locked", "is held up by a lock of another client", "try again"];
const unreachable: Kind = ["engine-unreachable", "cannot be used now", "check the server, and try again"];

/** By MySQL's and MariaDB's error numbers. */
const kinds = new Map<number, Kind>([
  ...[1045, 1698, 1251, 1275, 1396, 1820, 1862, 3118, 3955, 4151].map((number): [number, Kind] => [
    number,
    loginFailed,
  ]),
  ...[1044, 1142, 1143, 1227, 1370, 1410].map((number): [number, Kind] => [number, privilegeMissing]),
  ...[1053, 1077, 1079, 1152, 1158, 1184, 1927, 2006, 2013].map((number): [number, Kind] => [number, connectionLost]),
  ...[1159, 1161, 1969, 3024, 3572, 4031].map((number): [number, Kind] => [number, engineTimeout]),
  ...[1021, 1041, 1114, 1037, 1135].map((number): [number, Kind] => [number, noSpace]),
  ...[1062, 1264, 1265, 1300, 1366, 1406, 1118, 3854].map((number): [number, Kind] => [number, doesNotFit]),
  ...[1205, 1213].map((number): [number, Kind] => [number, locked]),
  ...[1040, 1129, 1130, 1203, 1226].map((number): [number, Kind] => [number, unreachable]),
  [1049, ["no-database", "has no such database", "check the name in the URL, or create it: CREATE DATABASE"]],
  [
    1153,
    [
      "packet-too-large",
      "takes no packets as large as are needed",
      "raise max_allowed_packet to 16 MiB or more: SET GLOBAL max_allowed_packet = 16777216",
    ],
  ],
  [1290, ["engine-read-only", "is read-only", "use a server that takes writes"]],
  [1792, ["engine-read-only", "is read-only", "use a server that takes writes"]],
  [1836, ["engine-read-only", "is read-only", "use a server that takes writes"]],
  [
    1317,
    ["engine-interrupted", "was told to stop this statement", "find out who ended it (KILL QUERY), and try again"],
  ],
  [1160, connectionLost],
]);

/** A table changed its definition, or is gone, since the snapshot was taken. */
const changed = new Set([1412, 1146, 1168]);

/** What the server or the connection says, as an error that names the way out. Errors of our own pass. */
export function engineError(context: EngineContext, error: unknown): unknown {
  if (error instanceof CairnError) return error;
  const { location, role } = context;
  const options = optionsFor(role, error);
  if (error instanceof MysqlServerError) return serverError(context, error, options);
  if (error instanceof MysqlSilenceError) {
    return new CairnError("engine-timeout", `${location}: ${error.message}`, {
      ...options,
      next: "see what the server is doing (SHOW PROCESSLIST); the URL option readTimeout=… sets how long is waited",
    });
  }
  if (error instanceof MysqlConnectionError) return connectionError(location, error, options);
  if (error instanceof MysqlValueError) {
    return new CairnError("unexpected-value", `${location} sent what cannot be taken: ${error.message}`, {
      ...options,
      next: "compare the table with what JuiceFS creates; `juicefs fsck` looks at the volume itself",
    });
  }
  if (error instanceof MysqlProtocolError) {
    return new CairnError("engine-protocol", `${location} does not answer as a MySQL server does: ${error.message}`, {
      ...options,
      next: "check what listens at that address",
    });
  }
  return error;
}

/** What is said when the answer to a COMMIT that publishes did not come. */
export function unknownEnd(context: EngineContext, error: unknown): unknown {
  const known = engineError(context, error);
  if (!(known instanceof CairnError)) return known;
  return new CairnError(known.code, `${known.message}; the volume may have been published`, {
    exit: known.exit,
    unharmed: "what is there is the whole volume as it was proven, or no volume that a client takes",
    next: "look with `cairn doctor` whether the volume is there; if not, restore again",
    cause: error,
  });
}

function optionsFor(role: EngineContext["role"], cause: unknown): CairnErrorOptions {
  const exit: ExitName = role === "source" ? "sourceUnreachable" : "targetRefused";
  const unharmed =
    role === "source" ? "the database was only read" : "what is there of the restore is no volume that a client takes";
  return { exit, unharmed, cause };
}

function serverError(context: EngineContext, error: MysqlServerError, options: CairnErrorOptions): CairnError {
  const { location, role } = context;
  const said = `${error.message} (error ${error.number})`;
  if (role === "source" && changed.has(error.number)) {
    return new CairnError("source-changed", `${location}: a table was changed while it was being read: ${said}`, {
      ...options,
      next: "try again once no client is upgrading the schema",
    });
  }
  if (error.number === 1030 || error.number === 3 || error.number === 1026) {
    const kind = /\b28\b|no space/i.test(error.message) ? noSpace : undefined;
    if (kind !== undefined) return withKind(kind, location, said, options);
  }
  const kind = kinds.get(error.number);
  if (kind === privilegeMissing) {
    const account = context.account ?? /for user ('.*?'@'.*?')/.exec(error.message)?.[1];
    const next = `grant it: ${grantStatement(account === undefined ? context : { ...context, account })}`;
    return withKind([kind[0], kind[1], next], location, said, options);
  }
  if (kind !== undefined) return withKind(kind, location, said, options);
  return withKind(["engine-failed", "reports an error"], location, said, options);
}

function withKind([code, text, next]: Kind, location: string, said: string, options: CairnErrorOptions): CairnError {
  return new CairnError(code, `${location} ${text}: ${said}`, next === undefined ? options : { ...options, next });
}

function connectionError(location: string, error: MysqlConnectionError, options: CairnErrorOptions): CairnError {
  if (error.wasOpen) return withKind(connectionLost, location, messageOf(error), options);
  switch (error.reason) {
    case "HANDSHAKE_NO_SSL_SUPPORT":
      return withKind(
        ["tls-failed", "offers no TLS", "turn TLS on at the server, or use tls=preferred or no tls option"],
        location,
        messageOf(error),
        options,
      );
    case "HANDSHAKE_SSL_ERROR":
      return withKind(
        [
          "tls-failed",
          "cannot be trusted",
          "name the authority's file in NODE_EXTRA_CA_CERTS, check the host name, or use tls=skip-verify",
        ],
        location,
        messageOf(error),
        options,
      );
    case "AUTH_SWITCH_PLUGIN_ERROR":
    case "MYSQL_CLEAR_PASSWORD_NOT_ENABLED":
      return withKind(
        ["login-failed", "asks for a method of authentication that is not supported", "use another account"],
        location,
        messageOf(error),
        options,
      );
    default:
      return withKind(
        ["engine-unreachable", "cannot be reached", "check host, port and whether the server runs"],
        location,
        messageOf(error),
        options,
      );
  }
}
