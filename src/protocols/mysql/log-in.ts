import type { EventEmitter } from "node:events";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls, getCACertificates } from "node:tls";
import { MysqlConnection } from "./connection.ts";
import { PacketLink } from "./packet-link.ts";
import { MysqlConnectionError, MysqlServerError } from "./server-error.ts";

/** How the connection is encrypted: `verify` checks the certificate and its name, `preferred` takes what the server offers. */
export type TlsMode = "off" | "preferred" | "skip-verify" | "verify";

export interface MysqlAddress {
  readonly host: string;
  readonly port: number;
  /** A Unix socket, in place of host and port. */
  readonly socketPath?: string;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly tls: TlsMode;
  /** Let the server ask for the password itself (`mysql_clear_password`). */
  readonly allowCleartext: boolean;
  readonly connectTimeoutMs: number;
  /** Longest silence of the server that is waited for. */
  readonly silenceMs: number;
}

/** What is used of mysql2's connection beside its public types: to encrypt its socket, and to take it over. */
interface LoggingIn extends EventEmitter {
  stream: Duplex;
  readonly packetParser: { execute(data: Buffer): void };
  startTLS: (onSecure: (error?: Error) => void) => void;
  destroy(): void;
}

interface Hello {
  readonly serverVersion: string;
  readonly connectionId: number;
}

/** Not wanted: files for the server, packet forms that `connection.ts` does not know, and more than is needed. */
const flags = [
  "-LOCAL_FILES",
  "-SESSION_TRACK",
  "-CLIENT_QUERY_ATTRIBUTES",
  "-CONNECT_ATTRS",
  "-MULTI_RESULTS",
  "-ODBC",
  "-IGNORE_SPACE",
  "-FOUND_ROWS",
];

/**
 * Connects and logs in with mysql2 (its methods of authentication, TLS), then takes the socket over. Throws `MysqlServerError`,
 * `MysqlConnectionError`.
 */
export async function logIn(address: MysqlAddress, options: { localData?: boolean } = {}): Promise<MysqlConnection> {
  if (address.tls !== "preferred") return await logInWith(address, address.tls, options);
  try {
    return await logInWith(address, "skip-verify", options);
  } catch (error) {
    if (!(error instanceof MysqlConnectionError) || error.reason !== "HANDSHAKE_NO_SSL_SUPPORT") throw error;
    return await logInWith(address, "off", options);
  }
}

async function logInWith(
  address: MysqlAddress,
  tls: Exclude<TlsMode, "preferred">,
  { localData = false }: { localData?: boolean },
): Promise<MysqlConnection> {
  const { createConnection } = await import("mysql2");
  const { host, port, socketPath, user, password, database, connectTimeoutMs, silenceMs, allowCleartext } = address;
  const connection = createConnection({
    ...(socketPath === undefined ? { host, port } : { socketPath }),
    user,
    password,
    database,
    charset: "utf8mb4_general_ci",
    connectTimeout: connectTimeoutMs,
    flags: localData ? flags.slice(1) : flags,
    disableEval: true,
    enableCleartextPlugin: allowCleartext,
    ...(tls === "off" ? {} : { ssl: {} }),
  }) as unknown as LoggingIn;
  connection.startTLS = (onSecure) => encrypt(connection, host, tls === "verify", onSecure);
  const { promise, resolve, reject } = Promise.withResolvers<Hello>();
  connection.once("connect", resolve);
  connection.once("error", reject);
  let hello: Hello;
  try {
    hello = await promise;
  } catch (error) {
    // More may follow from the socket that is being closed.
    connection.on("error", () => {});
    connection.destroy();
    throw logInError(error);
  }
  const { stream } = connection;
  for (const event of ["data", "end", "close", "error"]) stream.removeAllListeners(event);
  const link = new PacketLink(stream, silenceMs);
  // The socket below TLS still reports to mysql2.
  connection.on("error", (error: NodeJS.ErrnoException) => link.fail(error));
  // MariaDB puts 5.5.5- in front, for old replicas.
  return new MysqlConnection(link, hello.serverVersion.replace(/^5\.5\.5-/, ""), hello.connectionId);
}

/**
 * Encrypts the socket before the login is sent. In place of mysql2's own way, which does not check the name in a certificate against an IP address.
 * Trusted are Node's authorities and the system's (NODE_EXTRA_CA_CERTS, SSL_CERT_FILE).
 */
function encrypt(connection: LoggingIn, host: string, isVerified: boolean, onSecure: (error?: Error) => void): void {
  const plain = connection.stream;
  plain.removeAllListeners("data");
  let isSecure = false;
  const secure = connectTls(
    {
      socket: plain,
      host,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      rejectUnauthorized: isVerified,
      ...(isVerified ? { ca: [...getCACertificates("default"), ...getCACertificates("system")] } : {}),
    },
    () => {
      isSecure = true;
      onSecure();
    },
  );
  secure.on("error", (error) => {
    if (!isSecure) onSecure(error);
  });
  secure.on("data", (data: Buffer) => connection.packetParser.execute(data));
  connection.stream = secure;
}

function logInError(error: unknown): Error {
  const { code, errno, sqlState, message } = error as NodeJS.ErrnoException & { sqlState?: string };
  if (typeof errno === "number" && typeof sqlState === "string") return new MysqlServerError(errno, sqlState, message);
  return new MysqlConnectionError(code ?? "unknown", message, false);
}
