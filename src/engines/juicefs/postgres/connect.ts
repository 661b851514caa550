import { readFileSync } from "node:fs";
import type { ConnectionOptions } from "node:tls";
import { getCACertificates } from "node:tls";
import { CairnError, messageOf } from "../../../model/errors.ts";
import type { Session, SessionOptions } from "../../../protocols/postgres/session.ts";
import { isServerError, openSession } from "../../../protocols/postgres/session.ts";
import type { Side } from "./errors.ts";
import { connectError } from "./errors.ts";
import type { PostgresHost, PostgresUrl, SessionKind } from "./url.ts";

/** A statement that answers nothing for so long is given up; rows that stream, and long work of a restore, are watched on their own. */
const silenceMs = 300_000;

/** Opens further connections to the server that answered first: one view cannot span two servers. */
export interface Server {
  readonly side: Side;
  connect(): Promise<Session>;
}

export function sideOf(url: PostgresUrl, isTarget: boolean): Side {
  return { location: url.location, user: url.user, database: url.database, isTarget };
}

/**
 * Connects to the first host of the URL that answers and is of the kind that the URL wants. Throws `engine-unreachable`, `login-failed`, `privilege-missing`.
 */
export async function connectServer(
  url: PostgresUrl,
  side: Side,
  applicationName = "cairn",
): Promise<{ session: Session; server: Server }> {
  const failures: unknown[] = [];
  for (const kind of kindsOf(url.sessionKind)) {
    for (const host of url.hosts) {
      try {
        const session = await connectHost(url, host, applicationName);
        if (await isOfKind(session, kind)) {
          return { session, server: { side, connect: () => connectAgain(url, host, side, applicationName) } };
        }
        await session[Symbol.asyncDispose]();
        failures.push(wrongKind(side, host, url.sessionKind));
      } catch (error) {
        // Another host would say the same.
        if (isServerError(error) && !error.code.startsWith("57P0")) throw connectError(side, error);
        failures.push(error);
      }
    }
  }
  throw connectError(side, failures[0]);
}

async function connectAgain(
  url: PostgresUrl,
  host: PostgresHost,
  side: Side,
  applicationName: string,
): Promise<Session> {
  try {
    return await connectHost(url, host, applicationName);
  } catch (error) {
    throw connectError(side, error);
  }
}

/** First the wanted kind; any, where it is only preferred. */
function kindsOf(kind: SessionKind): SessionKind[] {
  return kind === "prefer-standby" ? ["standby", "any"] : [kind];
}

async function isOfKind(session: Session, kind: SessionKind): Promise<boolean> {
  if (kind === "any") return true;
  const { rows } = await session.query("SELECT pg_is_in_recovery(), current_setting('transaction_read_only')");
  const isStandby = rows[0][0] === "t";
  if (kind === "standby" || kind === "primary") return isStandby === (kind === "standby");
  return (rows[0][1] === "on") === (kind === "read-only");
}

function wrongKind(side: Side, { host, port }: PostgresHost, kind: SessionKind): CairnError {
  return new CairnError("engine-unreachable", `no server of ${side.location} is ${kind}; ${host}:${port} is not`, {
    next: "check target_session_attrs and the hosts of the URL",
    exit: side.isTarget ? "targetRefused" : "sourceUnreachable",
  });
}

async function connectHost(url: PostgresUrl, { host, port }: PostgresHost, applicationName: string): Promise<Session> {
  const options = {
    host,
    port,
    user: url.user,
    password: url.password,
    database: url.database,
    applicationName,
    connectTimeoutMs: url.connectTimeoutMs,
    silenceMs,
  };
  const attempts = host.startsWith("/") ? [false as const] : tlsAttempts(url, host);
  let first: unknown;
  for (const [at, tls] of attempts.entries()) {
    try {
      return await openSession({ ...options, tls } satisfies SessionOptions);
    } catch (error) {
      // Only a server that wants it the other way is asked again; a wrong password stays wrong.
      if (isServerError(error) && error.code !== "28000") throw error;
      first ??= error;
      // What a server says is worth more than that it has no TLS, or wants it.
      if (at === attempts.length - 1) throw isServerError(error) ? error : first;
    }
  }
  throw first;
}

function tlsAttempts(url: PostgresUrl, host: string): (ConnectionOptions | false)[] {
  switch (url.tlsMode) {
    case "disable":
      return [false];
    case "allow":
      return [false, tlsOptions(url, host)];
    case "prefer":
      return [tlsOptions(url, host), false];
    case "require":
    case "verify-ca":
    case "verify-full":
      return [tlsOptions(url, host)];
  }
}

function tlsOptions(url: PostgresUrl, host: string): ConnectionOptions {
  const verifies = url.tlsMode === "verify-ca" || url.tlsMode === "verify-full";
  const { rootCertificate, certificate, key, keyPassword } = url;
  const isSystem = rootCertificate === undefined || rootCertificate === "system";
  return {
    host,
    rejectUnauthorized: verifies,
    ...(verifies && { ca: isSystem ? systemAuthorities() : [readPem(rootCertificate)] }),
    // verify-ca asks who signed, not for whom.
    ...(url.tlsMode === "verify-ca" && { checkServerIdentity: () => undefined }),
    ...(certificate !== undefined && { cert: readPem(certificate) }),
    ...(key !== undefined && { key: readPem(key) }),
    ...(keyPassword !== undefined && { passphrase: keyPassword }),
  };
}

function systemAuthorities(): string[] {
  return [...getCACertificates("system"), ...getCACertificates("bundled")];
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CairnError("meta-url-invalid", `cannot read ${path}, which the URL names: ${messageOf(error)}`, {
      next: "check sslrootcert, sslcert and sslkey",
      exit: "wrongUse",
      cause: error,
    });
  }
}
