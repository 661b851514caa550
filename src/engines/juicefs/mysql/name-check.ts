import type { Batch, BytesColumn } from "../../../model/batch.ts";
import { bytesOf, integersOf } from "../../../model/batch.ts";
import { CairnError } from "../../../model/errors.ts";
import { juicefs, juicefsTable } from "../../../model/juicefs.ts";
import { pickRows } from "../../../model/pick-rows.ts";
import type { MysqlConnection } from "../../../protocols/mysql/connection.ts";
import { MysqlServerError } from "../../../protocols/mysql/server-error.ts";
import type { EngineContext } from "./engine-error.ts";
import { quoted } from "./session.ts";
import type { LoadWay, TableLoader } from "./table-loader.ts";
import { openTableLoader } from "./table-loader.ts";
import { layouts } from "./table-rows.ts";

const table = "cairn_names";

/**
 * Whether the server can hold the volume's xattr names, asked before anything lasting is written: names are text there, compared under a collation, so
 * that two may be one, and bytes that are no text are refused. Only the server knows; it is asked with a temporary table.
 */
export interface NameCheck {
  /** Batches of table `xattr`, in order. */
  see(batch: Batch): Promise<void>;
  end(): Promise<void>;
}

/** Nothing where the account may not make a temporary table: then a collision shows when the records are written. */
export async function openNameCheck(
  connection: MysqlConnection,
  context: EngineContext,
  way: LoadWay,
): Promise<NameCheck | undefined> {
  try {
    await connection.run(
      `CREATE TEMPORARY TABLE ${quoted(table)} (id BIGINT PRIMARY KEY NOT NULL, inode BIGINT NOT NULL, name VARCHAR(255) NOT NULL, UNIQUE (inode, name))`,
    );
  } catch (error) {
    if (error instanceof MysqlServerError && error.number === 1044) return undefined;
    throw error;
  }
  const xattr = layouts.get("xattr");
  if (xattr === undefined) throw new RangeError("xattr has no layout");
  const loader: TableLoader = openTableLoader([connection], way, "", { ...xattr, table }, ["id", "inode", "name"]);

  async function asked(run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      if (!(error instanceof MysqlServerError) || !doesNotFit.has(error.number)) throw error;
      throw new CairnError(
        "does-not-fit",
        `the snapshot does not fit into ${context.location}: names of extended attributes are text there, and the server says: ${error.message}`,
        {
          unharmed: "nothing was written",
          next: "restore into another engine (docs/engines/limits.md), or into a database whose default collation tells them apart (utf8mb4_bin)",
          exit: "targetRefused",
          details: { column: "xattr.name" },
        },
      );
    }
  }

  return {
    see: (batch) =>
      asked(async () => {
        const doubtful = doubtfulNames(batch);
        if (doubtful.count > 0) await loader.write(doubtful);
      }),
    async end() {
      await asked(() => loader.end());
      await connection.run(`DROP TEMPORARY TABLE ${quoted(table)}`);
    },
  };
}

/** Duplicate, too long, no text of the column's character set. */
const doesNotFit = new Set([1062, 1265, 1300, 1366, 1406, 3854]);

/** Records whose inode has more than one name, or whose name is not plain ASCII; those at the batch's ends, whose neighbours are not known. */
function doubtfulNames(batch: Batch): Batch {
  const inodes = integersOf(batch, 0);
  const names = bytesOf(batch, 1);
  const rows = new Uint32Array(batch.count);
  let count = 0;
  const isSame = (a: number, b: number): boolean =>
    inodes[2 * a] === inodes[2 * b] && inodes[2 * a + 1] === inodes[2 * b + 1];
  for (let row = 0; row < batch.count; row++) {
    const isEdge = row === 0 || row === batch.count - 1;
    if (isEdge || isSame(row, row - 1) || isSame(row, row + 1) || !isShortAscii(names, row)) rows[count++] = row;
  }
  const runs = new Uint32Array(count);
  return pickRows(juicefs.tables[juicefsTable.xattr], juicefsTable.xattr, [batch], runs, rows, count);
}

function isShortAscii({ offsets, arena }: BytesColumn, row: number): boolean {
  const end = offsets[row + 1];
  if (end - offsets[row] > 255) return false;
  for (let at = offsets[row]; at < end; at++) if (arena[at] > 0x7f) return false;
  return true;
}
