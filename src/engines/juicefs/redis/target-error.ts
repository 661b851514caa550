import { CairnError } from "../../../model/errors.ts";

/** What a server says while it is asked or filled, as the error of a target that names the way out. Other errors pass. */
export function targetError(error: unknown, location: string, unharmed: string): unknown {
  if (!(error instanceof CairnError)) return error;
  const refusal = refusalOf(error);
  if (refusal !== undefined) {
    return new CairnError(refusal.code, `${location} ${refusal.what}: ${error.message}`, {
      exit: "targetRefused",
      unharmed,
      next: refusal.next,
      details: error.details,
      cause: error,
    });
  }
  if (error.exit !== "sourceUnreachable") return error;
  return new CairnError(error.code, error.message, {
    exit: "targetRefused",
    unharmed,
    ...(error.next === undefined ? {} : { next: error.next }),
    details: error.details,
    cause: error,
  });
}

/** By the first word of the server's reply. An error that crossed from a thread has it in its details alone. */
function refusalOf(error: CairnError): { code: string; what: string; next: string } | undefined {
  switch (error.details["reply"]) {
    case "OOM":
      return {
        code: "target-no-memory",
        what: "has no memory left",
        next: "raise maxmemory (or empty other databases of the server), and restore again",
      };
    case "READONLY":
      return {
        code: "target-not-master",
        what: "takes no writes",
        next: "name the master, not a replica of it",
      };
    case "MISCONF":
      return {
        code: "target-cannot-save",
        what: "refuses writes because it cannot save to its disk",
        next: "make room on the server's disk or repair it (its log says what failed), and restore again",
      };
    default:
      return undefined;
  }
}
