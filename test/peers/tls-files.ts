/**
 * Certificates for servers on 127.0.0.1, made by the `openssl` command and kept in the cache: one authority that signs a server and
 * a client, and another authority that signs nothing, for the tests of refusal.
 */
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { cacheFolder } from "./peers.ts";
import { runCommand } from "./run-command.ts";
import type { SystemUser } from "./system-user.ts";

/** Paths of PEM files. The server's certificate holds for 127.0.0.1 and localhost; the client's names the user `cairn`. */
export interface TlsFiles {
  authority: string;
  serverCertificate: string;
  serverKey: string;
  clientCertificate: string;
  clientKey: string;
  /** An authority that has signed neither. */
  otherAuthority: string;
}

/** Part of the folder's name: another content of this file is another folder. */
const edition = "2";
const days = "3650";

/** Makes the files, or finds them made. */
async function tlsFiles(): Promise<TlsFiles> {
  const folder = join(cacheFolder(), "tls", edition);
  if (!existsSync(folder)) {
    mkdirSync(dirname(folder), { recursive: true });
    const unfinished = mkdtempSync(`${folder}-`);
    await makeAll(unfinished);
    try {
      renameSync(unfinished, folder);
    } catch (error) {
      rmSync(unfinished, { recursive: true, force: true });
      // Another test file was first.
      if (!existsSync(folder)) throw error;
    }
  }
  return namesIn(folder);
}

/** Copies the files into a server's folder, readable by its user only, as PostgreSQL demands of keys. */
export async function placeTlsFiles(folder: string, user: SystemUser | undefined): Promise<TlsFiles> {
  const from = await tlsFiles();
  const to = namesIn(join(folder, "tls"));
  cpSync(dirname(from.authority), join(folder, "tls"), { recursive: true });
  if (user !== undefined) chownSync(join(folder, "tls"), user.uid, user.gid);
  for (const path of Object.values(to) as string[]) {
    chmodSync(path, 0o600);
    if (user !== undefined) chownSync(path, user.uid, user.gid);
  }
  return to;
}

function namesIn(folder: string): TlsFiles {
  return {
    authority: join(folder, "authority.pem"),
    serverCertificate: join(folder, "server.pem"),
    serverKey: join(folder, "server-key.pem"),
    clientCertificate: join(folder, "client.pem"),
    clientKey: join(folder, "client-key.pem"),
    otherAuthority: join(folder, "other-authority.pem"),
  };
}

async function makeAll(folder: string): Promise<void> {
  writeFileSync(join(folder, "extensions"), "basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1,DNS:localhost\n");
  for (const name of ["authority", "other-authority"]) {
    const use = "keyUsage=critical,keyCertSign,cRLSign";
    const files = `-keyout ${name}-key.pem -out ${name}.pem`;
    await openssl(
      folder,
      `req -x509 -new ${newKey} ${files} -days ${days} -subj /CN=cairn-test-${name} -addext ${use}`,
    );
  }
  const signer = "-CA authority.pem -CAkey authority-key.pem -CAcreateserial";
  for (const { file, name } of [
    { file: "server", name: "localhost" },
    { file: "client", name: "cairn" },
  ]) {
    await openssl(folder, `req -new ${newKey} -keyout ${file}-key.pem -out ${file}.request -subj /CN=${name}`);
    const made = `-in ${file}.request -out ${file}.pem -days ${days} -extfile extensions`;
    await openssl(folder, `x509 -req ${made} ${signer}`);
  }
}

const newKey = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

/** In the folder, so that no word holds a space. */
async function openssl(folder: string, words: string): Promise<void> {
  await runCommand("openssl", words.split(" "), { cwd: folder });
}
