import { CairnError } from "../../../model/errors.ts";
import type { Session } from "../../../protocols/postgres/session.ts";
import { quoteName, quoteText } from "../../../protocols/postgres/sql-text.ts";
import type { SqlType } from "../sql/tables.ts";
import { sqlTables } from "../sql/tables.ts";
import type { VolumeSchema } from "../sql/volume-schema.ts";
import { readVolumeSchema, volumeTables } from "../sql/volume-schema.ts";
import type { Side } from "./errors.ts";
import { grantForSource } from "./errors.ts";
import type { PostgresUrl } from "./url.ts";

/** The server and the schema that a URL leads to. */
export interface Place {
  readonly schema: string;
  /** False where no such schema is there. */
  readonly exists: boolean;
  readonly hasUsage: boolean;
  readonly hasCreate: boolean;
  /** `150018` for 15.18. */
  readonly versionNumber: number;
  readonly version: string;
  readonly isStandby: boolean;
  readonly encoding: string;
  /** As the server sees it. */
  readonly user: string;
}

/** One table of the schema. */
export interface StoredTable {
  readonly name: string;
  /** `r` for an ordinary table. */
  readonly kind: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly mayRead: boolean;
  /** By the last ANALYZE; -1 when there was none. */
  readonly estimatedRows: number;
  readonly bytes: number;
}

/** Finds out where the URL leads: the schema that it names, else the one in which the server finds the volume, else the server's default. */
export async function findPlace(session: Session, url: PostgresUrl): Promise<Place> {
  const named = url.searchPath?.replace(/^"(.*)"$/s, "$1");
  // As the server reads it: without quotes in lower case, unless it stands there exactly so.
  const wanted =
    named === undefined
      ? `coalesce((SELECT relnamespace FROM pg_class WHERE oid = to_regclass(${quoteText(quoteName(`${url.tablePrefix}setting`))})),
           (SELECT oid FROM pg_namespace WHERE nspname = coalesce(current_schema(), 'public')))`
      : `(SELECT oid FROM pg_namespace WHERE nspname IN (${quoteText(named)}, ${quoteText(named.toLowerCase())})
           ORDER BY nspname = ${quoteText(named)} DESC LIMIT 1)`;
  const { rows } = await session.query(
    `SELECT current_setting('server_version_num'), current_setting('server_version'), pg_is_in_recovery(),
       current_setting('server_encoding'), current_user, n.nspname,
       has_schema_privilege(n.oid, 'USAGE'), has_schema_privilege(n.oid, 'CREATE')
     FROM (SELECT ${wanted} AS oid) w LEFT JOIN pg_namespace n ON n.oid = w.oid`,
  );
  const [number, version, isStandby, encoding, user, schema, hasUsage, hasCreate] = rows[0];
  return {
    schema: schema ?? named ?? "public",
    exists: schema !== null,
    hasUsage: hasUsage === "t",
    hasCreate: hasCreate === "t",
    versionNumber: Number(number),
    version: (version ?? "").split(" ")[0],
    isStandby: isStandby === "t",
    encoding: encoding ?? "",
    user: user ?? url.user,
  };
}

/** The schema's tables whose names begin with `jfs_`, views and the like too. */
export async function readTables(session: Session, schema: string): Promise<StoredTable[]> {
  const { rows } = await session.query(
    `SELECT c.relname, c.relkind, has_table_privilege(c.oid, 'SELECT'), c.reltuples,
       CASE WHEN c.relkind = 'r' THEN pg_relation_size(c.oid) ELSE 0 END, a.attname, format_type(a.atttypid, NULL)
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE n.nspname = ${quoteText(schema)} AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname LIKE 'jfs\\_%'
     ORDER BY c.relname, a.attnum`,
  );
  const tables = new Map<string, StoredTable & { columns: { name: string; type: string }[] }>();
  for (const [name, kind, mayRead, estimate, bytes, column, type] of rows) {
    const table = tables.getOrInsert(name ?? "", {
      name: name ?? "",
      kind: kind ?? "",
      columns: [],
      mayRead: mayRead === "t",
      estimatedRows: Number(estimate),
      bytes: Number(bytes),
    });
    if (column !== null) table.columns.push({ name: column, type: type ?? "" });
  }
  return [...tables.values()];
}

/** What the volume's tables are, and that they can be read. */
export interface VolumeTables {
  readonly schema: VolumeSchema;
  /** Only the volume's. */
  readonly tables: readonly StoredTable[];
}

/**
 * Finds the volume's tables and checks that every table, column and type is known, and that they may be read. Throws `not-a-volume`,
 * `unknown-schema`, `privilege-missing`.
 */
export function requireVolume(
  stored: readonly StoredTable[],
  { place, prefix, side }: { place: Place; prefix: string; side: Side },
): VolumeTables {
  if (place.exists && !place.hasUsage) {
    throw privilegeMissing(place, side, `may not use the schema ${place.schema}`);
  }
  const names = stored.map((table) => table.name);
  const location = `${side.location} (schema ${place.schema})`;
  const schema = readVolumeSchema(
    {
      place: location,
      names,
      columnsOf: (name) => stored.find((table) => table.name === name)?.columns.map((column) => column.name) ?? [],
    },
    prefix,
  );
  const own = new Set(volumeTables(names, prefix));
  const tables = stored.filter((table) => own.has(table.name));
  for (const table of tables) requireKnownTypes(location, table, prefix);
  const unreadable = tables.filter((table) => !table.mayRead).map((table) => table.name);
  if (unreadable.length > 0) {
    const some = unreadable.length > 3 ? `${unreadable.slice(0, 3).join(", ")}, …` : unreadable.join(", ");
    throw privilegeMissing(place, side, `may not read ${some}`);
  }
  return { schema, tables };
}

function privilegeMissing(place: Place, side: Side, what: string): CairnError {
  return new CairnError("privilege-missing", `${side.location}: the role ${place.user} ${what}`, {
    unharmed: "the database was only read",
    next: grantForSource({ ...side, user: place.user }, place.schema),
    exit: "sourceUnreachable",
  });
}

const integerTypes = ["smallint", "integer", "bigint"];

function requireKnownTypes(location: string, table: StoredTable, prefix: string): void {
  const fail = (what: string): CairnError =>
    new CairnError("unknown-schema", `${location}: ${what}`, {
      unharmed: "the database was only read",
      next: "use a version of Cairn that knows this layout; JuiceFS' own is described in docs/engines/postgres.md",
      exit: "sourceUnreachable",
    });
  if (table.kind !== "r") throw fail(`${table.name} is no ordinary table`);
  const known = sqlTables.find((candidate) => candidate.name === table.name.slice(prefix.length));
  for (const column of table.columns) {
    const declared = known?.columns.find((candidate) => candidate.name === column.name);
    if (declared !== undefined && !mayStandFor(column.type, declared.type))
      throw fail(`column ${column.name} of table ${table.name} has the unexpected type ${column.type}`);
  }
}

/** Integers of any width are taken (some widen `uid` by hand), and values are checked one by one. */
function mayStandFor(type: string, declared: SqlType): boolean {
  switch (declared) {
    case "string":
    case "text":
    case "varchar(4096)":
      return type === "text" || type === "character varying";
    case "blob":
    case "varbinary(255)":
    case "varbinary(4096)":
      return type === "bytea";
    default:
      return integerTypes.includes(type);
  }
}
