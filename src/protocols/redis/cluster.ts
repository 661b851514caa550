import { CairnError } from "../../model/errors.ts";
import type { RedisConnection } from "./client.ts";
import { textOf } from "./client.ts";
import type { RedisAddress } from "./dial.ts";
import { RespError } from "./resp.ts";

const slotCount = 16384;

/** CRC-16/XMODEM (polynomial 0x1021, start 0). */
function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
    crc &= 0xffff;
  }
  return crc;
}

/** The slot of a key; where it has a `{tag}` that is not empty, the tag alone counts. */
export function slotOf(key: string): number {
  const open = key.indexOf("{");
  const close = open < 0 ? -1 : key.indexOf("}", open + 1);
  return crc16(Buffer.from(close > open + 1 ? key.slice(open + 1, close) : key)) % slotCount;
}

/** Whether a server is part of a cluster, asked as JuiceFS asks it. */
export async function isClusterMember(connection: RedisConnection): Promise<boolean> {
  const reply = await connection.ask("CLUSTER", "INFO");
  if (!(reply instanceof RespError)) return (textOf(reply) ?? "").includes("cluster_state:");
  // "This instance has cluster support disabled" is what others answer. Without the right to ask, INFO tells as well.
  if (reply.kind !== "NOPERM") return reply.text.includes("cluster mode");
  const info = await connection.ask("INFO", "cluster");
  return !(info instanceof RespError) && (textOf(info) ?? "").includes("cluster_enabled:1");
}

export interface SlotOwners {
  readonly master: RedisAddress;
  readonly replicas: readonly RedisAddress[];
}

/**
 * Who holds a slot. `asked` is the address of the connection: a member that does not know its own leaves it out. Throws
 * `cluster-slot-unserved`.
 */
export async function findSlotOwners(
  connection: RedisConnection,
  slot: number,
  asked: { readonly host: string; readonly port: number },
): Promise<SlotOwners> {
  const reply = await connection.call("CLUSTER", "SLOTS");
  for (const range of Array.isArray(reply) ? reply : []) {
    if (!Array.isArray(range)) continue;
    const [first, last, ...nodes] = range;
    if (typeof first !== "number" || typeof last !== "number" || slot < first || slot > last) continue;
    const addresses = nodes.flatMap((node) => {
      if (!Array.isArray(node)) return [];
      const host = textOf(node[0]);
      const port = node[1];
      if (typeof port !== "number") return [];
      return [{ host: host === undefined || host === "" || host === "?" ? asked.host : host, port }];
    });
    if (addresses.length > 0) return { master: addresses[0], replicas: addresses.slice(1) };
  }
  throw new CairnError(
    "cluster-slot-unserved",
    `no master of the Redis Cluster at ${connection.address} holds slot ${slot}`,
    {
      exit: "sourceUnreachable",
      unharmed: "nothing was read or written",
      next: "bring the cluster back to cluster_state:ok (CLUSTER INFO)",
    },
  );
}

/** The address in an error reply `MOVED 3999 127.0.0.1:6381` or `ASK …`; `undefined` when it is another error. */
export function redirectionOf(error: RespError, askedHost: string): RedisAddress | undefined {
  const match = /^(?:MOVED|ASK) \d+ (.*):(\d+)$/.exec(error.text);
  if (match === null) return undefined;
  return { host: match[1] === "" ? askedHost : match[1].replace(/^\[|\]$/g, ""), port: Number(match[2]) };
}
