/** How a server delimits the RDB of a full synchronisation: `$<length>` or `$EOF:<40 characters>`. */
export type PayloadForm =
  | { readonly form: "length"; readonly bytes: number }
  | { readonly form: "mark"; readonly mark: Buffer };

const markBytes = 40;

/** The form that the line behind `$` announces; `undefined` when it is none. */
export function payloadFormOf(text: string): PayloadForm | undefined {
  if (/^EOF:[\x21-\x7e]{40}$/.test(text)) return { form: "mark", mark: Buffer.from(text.slice(4), "latin1") };
  return /^\d{1,15}$/.test(text) ? { form: "length", bytes: Number(text) } : undefined;
}

export interface PayloadFraming {
  /** Takes the next bytes from the socket, hands the payload on, and gives true when it is complete. Nothing may be pushed then. */
  push(bytes: Buffer): boolean;
}

/** Finds the payload's end. `emit` gets every byte of the payload once, in order; what follows the end is dropped. */
export function openPayloadFraming(form: PayloadForm, emit: (bytes: Uint8Array) => void): PayloadFraming {
  return form.form === "length" ? countedFraming(form.bytes, emit) : markedFraming(form.mark, emit);
}

function countedFraming(length: number, emit: (bytes: Uint8Array) => void): PayloadFraming {
  let missing = length;
  return {
    push(bytes) {
      const taken = bytes.length <= missing ? bytes : bytes.subarray(0, missing);
      missing -= taken.length;
      if (taken.length > 0) emit(taken);
      return missing === 0;
    },
  };
}

function markedFraming(mark: Buffer, emit: (bytes: Uint8Array) => void): PayloadFraming {
  // The last bytes of what came, which may be the beginning of the mark.
  let held = Buffer.alloc(0);
  return {
    push(bytes) {
      if (held.length > 0) {
        const seam = Buffer.concat([held, bytes.subarray(0, markBytes - 1)]);
        const found = seam.indexOf(mark);
        if (found >= 0) {
          emit(seam.subarray(0, found));
          return true;
        }
      }
      const found = bytes.indexOf(mark);
      if (found >= 0) {
        emit(held);
        emit(bytes.subarray(0, found));
        return true;
      }
      if (bytes.length < markBytes) {
        const all = Buffer.concat([held, bytes]);
        const sure = Math.max(0, all.length - (markBytes - 1));
        emit(all.subarray(0, sure));
        held = all.subarray(sure);
      } else {
        const sure = bytes.length - (markBytes - 1);
        emit(held);
        emit(bytes.subarray(0, sure));
        // A copy: a view would keep the whole read alive.
        held = Buffer.from(bytes.subarray(sure));
      }
      return false;
    },
  };
}
