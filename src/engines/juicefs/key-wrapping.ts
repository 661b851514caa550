import type { CipherGCM, DecipherGCM } from "node:crypto";
import { createCipheriv, createDecipheriv, createHash, getCiphers, getHashes, randomBytes } from "node:crypto";
import { CairnError, messageOf } from "../../model/errors.ts";

/**
 * JuiceFS wraps the secrets of a setting with `KeyEncrypted` as base64(nonce(12) | ciphertext | tag(16)), without additional data
 * (`pkg/meta/config.go`, `newCipher`): AES-128-GCM under MD5(UUID), or SM4-GCM under an SM3 key derivation of it. Whoever has the setting
 * can unwrap them: this hides, it does not protect.
 */
const nonceBytes = 12;
const tagBytes = 16;

/** The algorithm name of volumes encrypted by the Chinese standards. */
const sm4 = "sm4gcm";

interface Wrapping {
  readonly cipher: "aes-128-gcm" | "sm4-gcm";
  readonly key: Uint8Array;
}

/** Throws `secret-unreadable` when the value was not wrapped for this UUID. */
export function unwrapSecret(field: string, value: string, uuid: string, algorithm: string): string {
  const { cipher, key } = wrappingOf(uuid, algorithm);
  const bytes = Buffer.from(value, "base64");
  try {
    if (bytes.length < nonceBytes + tagBytes) throw new RangeError("it is too short");
    const decipher = createDecipheriv(cipher, key, bytes.subarray(0, nonceBytes)) as DecipherGCM;
    decipher.setAuthTag(bytes.subarray(-tagBytes));
    return Buffer.concat([decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()]).toString();
  } catch (error) {
    throw new CairnError(
      "secret-unreadable",
      `setting field ${field} cannot be unwrapped with the volume's UUID: ${messageOf(error)}`,
      {
        next: "set it anew with `juicefs config META-URL`; no client can mount the volume as it is",
        cause: error,
      },
    );
  }
}

/** Wraps with a nonce of its own each time. */
export function wrapSecret(value: string, uuid: string, algorithm: string): string {
  const { cipher, key } = wrappingOf(uuid, algorithm);
  const nonce = randomBytes(nonceBytes);
  const encipher = createCipheriv(cipher, key, nonce) as CipherGCM;
  const ciphertext = Buffer.concat([encipher.update(value, "utf8"), encipher.final()]);
  return Buffer.concat([nonce, ciphertext, encipher.getAuthTag()]).toString("base64");
}

function wrappingOf(uuid: string, algorithm: string): Wrapping {
  if (algorithm !== sm4) return { cipher: "aes-128-gcm", key: createHash("md5").update(uuid).digest() };
  if (!getCiphers().includes("sm4-gcm") || !getHashes().includes("sm3")) {
    throw new CairnError(
      "sm4-unsupported",
      "the volume's secrets are wrapped with SM4-GCM, which this build of Node.js does not have",
      {
        next: "run Cairn with a Node.js whose OpenSSL has SM3 and SM4-GCM",
      },
    );
  }
  // The key derivation of GB/T 32918.4 for 16 bytes: one round, SM3(secret | counter 1).
  const key = createHash("sm3")
    .update(uuid)
    .update(Uint8Array.of(0, 0, 0, 1))
    .digest()
    .subarray(0, 16);
  return { cipher: "sm4-gcm", key };
}
