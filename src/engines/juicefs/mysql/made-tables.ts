import { CairnError } from "../../../model/errors.ts";
import { MysqlServerError } from "../../../protocols/mysql/server-error.ts";
import type { EngineContext } from "./engine-error.ts";

/** Tables that a restore has made, without their prefix: the ones that it may remove again. */
export interface MadeNames {
  readonly names: readonly string[];
  /** Its CREATE was sent, and not answered. */
  readonly uncertain?: string;
}

/** Keeps account of the tables that are made, where another thread can be told of it. */
export interface MadeTables {
  /** Runs a table's CREATE. Throws `target-not-empty` when somebody else has made it meanwhile. */
  create(name: string, run: () => Promise<unknown>): Promise<void>;
}

const tableExists = 1050;

/** `onChange` gets all names before and after each CREATE. */
export function openMadeTables(context: EngineContext, onChange: (made: MadeNames) => void): MadeTables {
  const names: string[] = [];
  return {
    async create(name, run) {
      onChange({ names, uncertain: name });
      try {
        await run();
        names.push(name);
        onChange({ names });
      } catch (error) {
        if (error instanceof MysqlServerError) onChange({ names });
        if (!(error instanceof MysqlServerError) || error.number !== tableExists) throw error;
        throw new CairnError(
          "target-not-empty",
          `${context.location}: somebody else has made the table ${name} since this restore began`,
          {
            unharmed: "tables that this restore did not make were not touched",
            next: "find out who uses the database (a juicefs format?), and use another or another table_prefix",
            exit: "targetRefused",
          },
        );
      }
    },
  };
}
