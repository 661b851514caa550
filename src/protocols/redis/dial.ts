import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { connect as connectSocket, isIP } from "node:net";
import type { ConnectionOptions, PeerCertificate } from "node:tls";
import { checkServerIdentity, connect as connectTls } from "node:tls";
import { CairnError, messageOf } from "../../model/errors.ts";
import { serverUnreachable } from "./redis-errors.ts";

/** Where a Redis server listens. */
export type RedisAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/** How a TLS connection is made; files are PEM. */
export interface RedisTls {
  /** Certificates that are trusted instead of the system's. */
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  /** The name that the server's certificate must bear, in place of the host. */
  readonly serverName?: string;
  /** Trust any certificate. */
  readonly insecure?: boolean;
}

export interface DialOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  readonly tls?: RedisTls | undefined;
}

/** An address for messages: `host:port`, `[::1]:port` or `unix:/path`. */
export function addressText(address: RedisAddress): string {
  if ("path" in address) return `unix:${address.path}`;
  return `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}

/** Opens a socket and, with `tls`, does the handshake. Throws `engine-unreachable`, `tls-file`, or the signal's reason. */
export async function dial(address: RedisAddress, { signal, timeoutMs, tls }: DialOptions): Promise<Socket> {
  signal.throwIfAborted();
  const socket = tls === undefined ? connectSocket(address) : connectTls({ ...address, ...tlsOptions(address, tls) });
  const connected = Promise.withResolvers<void>();
  const abort = (): void => connected.reject(asError(signal.reason));
  const timer = setTimeout(
    () => connected.reject(new Error(`no connection within ${Math.round(timeoutMs / 1000)} s`)),
    timeoutMs,
  );
  const fail = (error: Error): void => connected.reject(error);
  const closed = (): void => connected.reject(new Error("the server closed the connection"));
  signal.addEventListener("abort", abort, { once: true });
  socket.once("error", fail);
  socket.once("close", closed);
  socket.once(tls === undefined ? "connect" : "secureConnect", () => connected.resolve());
  try {
    await connected.promise;
  } catch (error) {
    socket.on("error", () => {});
    socket.destroy();
    signal.throwIfAborted();
    throw serverUnreachable(addressText(address), reasonOf(error), nextStep(error, tls !== undefined));
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
    socket.off("error", fail);
    socket.off("close", closed);
  }
  socket.setNoDelay(true);
  return socket;
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

function tlsOptions(address: RedisAddress, tls: RedisTls): ConnectionOptions {
  const host = "host" in address ? address.host : "localhost";
  const name = tls.serverName ?? host;
  const options: ConnectionOptions = {
    minVersion: "TLSv1.2",
    rejectUnauthorized: tls.insecure !== true,
    // An IP address is not allowed as the name that TLS sends, but certificates may bear one.
    servername: isIP(name) === 0 ? name : "",
    checkServerIdentity: (_: string, certificate: PeerCertificate) => checkServerIdentity(name, certificate),
  };
  if (tls.caFile !== undefined) options.ca = readPem(tls.caFile, "tls-ca-cert-file");
  if (tls.certFile !== undefined) options.cert = readPem(tls.certFile, "tls-cert-file");
  if (tls.keyFile !== undefined) options.key = readPem(tls.keyFile, "tls-key-file");
  return options;
}

function readPem(path: string, option: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CairnError("tls-file", `cannot read the file that ${option} names: ${messageOf(error)}`, {
      exit: "wrongUse",
      unharmed: "nothing was read or written",
      next: `correct ${option} in the metadata URL`,
      cause: error,
    });
  }
}

/** Node tries each address of a name and then says nothing but "AggregateError". */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(messageOf).join("; ");
  return messageOf(error);
}

function nextStep(error: unknown, withTls: boolean): string {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "ERR_SSL_PACKET_LENGTH_TOO_LONG")
    return "the port speaks no TLS: use redis:// instead of rediss://, or the server's TLS port";
  if (/CERT|ALTNAME|SELF_SIGNED|UNABLE_TO|SSL/.test(code))
    return "check the certificates: tls-ca-cert-file, tls-cert-file, tls-key-file, tls-server-name in the metadata URL";
  if (withTls) return "check host, port and network, and that the port speaks TLS";
  return "check host, port and network, and that the server runs";
}
