/** Exit codes of the command line (docs/cli.md); an error carries the one it leads to. */
export const exitCodes = {
  done: 0,
  failed: 1,
  wrongUse: 2,
  sourceUnreachable: 3,
  targetRefused: 4,
  repositoryDamaged: 5,
  proofFailed: 6,
  notFound: 10,
  interrupted: 130,
} as const;

export type ExitName = keyof typeof exitCodes;

export interface CairnErrorOptions {
  /** What was not harmed, as a clause: "the repository is unchanged". */
  unharmed?: string;
  /** The next step for the reader, as an imperative clause. */
  next?: string;
  /** What the process exits with when this error ends it; `failed` unless said. */
  exit?: ExitName;
  /** Small named values for `--json`: paths, counts, ids. Never secrets. */
  details?: Record<string, string | number | boolean>;
  cause?: unknown;
}

/**
 * The one error type of Cairn: what failed (`message`), what is unharmed, what to do next, and a stable code in kebab-case
 * that scripts may rely on (docs/json.md lists them). Only `src/cli/main.ts` prints it.
 */
export class CairnError extends Error {
  readonly code: string;
  readonly unharmed: string | undefined;
  readonly next: string | undefined;
  readonly exit: ExitName;
  readonly details: Record<string, string | number | boolean>;

  constructor(code: string, message: string, options: CairnErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "CairnError";
    this.code = code;
    this.unharmed = options.unharmed;
    this.next = options.next;
    this.exit = options.exit ?? "failed";
    this.details = options.details ?? {};
  }
}

/** The message of anything thrown, for use inside another message. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
