import { promisify } from "node:util";
import { constants, zstdCompress, zstdDecompress } from "node:zlib";
import { CairnError, messageOf } from "../model/errors.ts";

/*
 * A frame: how one page, or the body of a manifest, is stored (docs/format.md, "Frames"). Four bytes, then the payload:
 *   codec u8    0 as it is, 1 zstd, 2 zstd with another page as dictionary (a patch)
 *   cipher u8   0 none
 *   key u16     0
 * One-shot zstd only: node's stream class appends an empty frame at times, and nbWorkers fails on larger input.
 */
const compress = promisify<Uint8Array, object, Buffer>(zstdCompress);
const decompress = promisify<Uint8Array, object, Buffer>(zstdDecompress);

const codecs = { raw: 0, zstd: 1, patch: 2 } as const;
export const frameHeaderBytes = 4;

/** Level 3 stores 3 % less than level 1 for 5 ms more per 100,000 files (docs/benchmarks.md); level 1 loses most of a patch's gain. */
const level = 3;

/** A frame of bytes on their own. */
export async function encodeFrame(raw: Uint8Array): Promise<Uint8Array> {
  const payload = await compress(raw, { params: { [constants.ZSTD_c_compressionLevel]: level } });
  return payload.length < raw.length ? withHeader(codecs.zstd, payload) : withHeader(codecs.raw, raw);
}

/** A frame of bytes as a patch on others, which the decoder needs again. */
export async function encodePatch(raw: Uint8Array, base: Uint8Array): Promise<Uint8Array> {
  const params = {
    [constants.ZSTD_c_compressionLevel]: level,
    [constants.ZSTD_c_windowLog]: windowLog(raw.length + base.length),
  };
  return withHeader(codecs.patch, await compress(raw, { dictionary: base, params }));
}

/** The window must cover page and base, or the far half of the base cannot be referred to. */
function windowLog(bytes: number): number {
  return Math.max(17, 32 - Math.clz32(bytes));
}

function withHeader(codec: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(frameHeaderBytes + payload.length);
  frame[0] = codec;
  frame.set(payload, frameHeaderBytes);
  return frame;
}

/** Whether a frame needs its base page to be decoded. */
export function isPatch(frame: Uint8Array): boolean {
  return frame[0] === codecs.patch;
}

/**
 * The bytes of a frame, which must be `rawBytes` long (or at most that, with `atMost`). Throws `frame-damaged`, or `frame-unknown`
 * for a codec or cipher of a newer format.
 */
export async function decodeFrame(
  frame: Uint8Array,
  rawBytes: number,
  base: Uint8Array | undefined,
  what: string,
  atMost = false,
): Promise<Uint8Array> {
  if (frame.length < frameHeaderBytes) throw damaged(what, "it is shorter than a header");
  const [codec, cipher, key, keyHigh] = frame;
  if (codec > codecs.patch || cipher !== 0 || key !== 0 || keyHigh !== 0) {
    throw new CairnError(
      "frame-unknown",
      `cannot read ${what}: codec ${codec}, cipher ${cipher} are unknown to this Cairn`,
      {
        exit: "repositoryDamaged",
        unharmed: "nothing was changed",
        next: "use the version of Cairn that wrote this repository, or a newer one",
      },
    );
  }
  const payload = frame.subarray(frameHeaderBytes);
  let raw: Uint8Array = payload;
  if (codec !== codecs.raw) {
    if (codec === codecs.patch && base === undefined)
      throw damaged(what, "it is a patch, and the page it rests on is not named");
    try {
      raw = await decompress(payload, {
        maxOutputLength: Math.max(1, rawBytes),
        params: { [constants.ZSTD_d_windowLogMax]: 23 },
        ...(codec === codecs.patch ? { dictionary: base } : {}),
      });
    } catch (error) {
      throw damaged(what, messageOf(error));
    }
  }
  if (raw.length !== rawBytes && !(atMost && raw.length <= rawBytes)) {
    throw damaged(what, `it holds ${raw.length} bytes instead of ${rawBytes}`);
  }
  return raw;
}

function damaged(what: string, reason: string): CairnError {
  return new CairnError("frame-damaged", `cannot read ${what}: ${reason}`, { exit: "repositoryDamaged" });
}
