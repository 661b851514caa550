import { CairnError } from "../../model/errors.ts";

const unharmed = "it was only read";

/** An RDB whose bytes contradict its format, or that ends early. */
export function rdbDamaged(what: string, offset: number, key: string | undefined): CairnError {
  return new CairnError("rdb-damaged", `the RDB is damaged at byte ${offset}${ofKey(key)}: ${what}`, {
    unharmed,
    next: "take another: check the server's disk and memory, and the file with redis-check-rdb",
    exit: "sourceUnreachable",
    details: { offset },
  });
}

/** An RDB that is whole as far as we can tell, with something in it that we do not know. */
export function rdbUnsupported(what: string, offset: number, key: string | undefined): CairnError {
  return new CairnError("rdb-unsupported", `the RDB cannot be read further at byte ${offset}${ofKey(key)}: ${what}`, {
    unharmed,
    next: "use a version of Cairn that knows this server version, or keep such keys in another server",
    exit: "sourceUnreachable",
    details: { offset },
  });
}

function ofKey(key: string | undefined): string {
  return key === undefined ? "" : `, in key ${key}`;
}
