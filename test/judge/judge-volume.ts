import { checkVolume } from "./check.ts";
import type { Finding, Report } from "./finding.ts";
import { openFindingList } from "./finding.ts";
import { judgeSqliteVolume } from "./judge-sqlite.ts";
import { parseMetaUrl } from "./meta-url.ts";
import type { MetaPlace } from "./meta-url.ts";
import type { RawVolume } from "./raw-volume.ts";
import { checkMysqlStorage, readMysqlSchema, readMysqlVolume } from "./read-mysql.ts";
import { checkPostgresStorage, readPostgresSchema, readPostgresVolume } from "./read-postgres.ts";
import { readRedisVolume } from "./read-redis.ts";
import { readSqliteVolume } from "./read-sqlite.ts";
import { checkSchema, compareSchemas, tablePrefixOf } from "./sql-schema.ts";
import type { SqlSchema } from "./sql-schema.ts";
import { openSqliteFile } from "./sqlite-file.ts";
import { readSqliteSchema } from "./sqlite-schema.ts";

export interface JudgeOptions {
  /** The URL option `table_prefix`, where the URL does not say it itself. */
  readonly tablePrefix?: string | undefined;
  /** The URL of a volume that a real JuiceFS of the same line made on the same engine, to compare the schema with. */
  readonly reference?: string | undefined;
}

/**
 * Judges the volume behind a metadata URL on any engine: schema, storage and every record. Returns all findings; a healthy volume has none of
 * severity `error`. Throws where the engine cannot be reached or read.
 */
export async function judgeVolume(url: string, options: JudgeOptions = {}): Promise<Finding[]> {
  const place = withPrefix(parseMetaUrl(url), options.tablePrefix);
  if (place.engine === "sqlite") {
    const reference = options.reference === undefined ? undefined : parseMetaUrl(options.reference);
    if (reference !== undefined && reference.engine !== "sqlite") throw new Error("the reference is on another engine");
    return judgeSqliteVolume(place.path, {
      tablePrefix: place.tablePrefix,
      ...(reference === undefined
        ? {}
        : { referenceDatabase: reference.path, referenceTablePrefix: reference.tablePrefix }),
    });
  }
  const { report, findings } = openFindingList();
  const schema = await readSchema(place);
  if (schema !== undefined) {
    const reference = options.reference === undefined ? undefined : await readSchema(parseMetaUrl(options.reference));
    if (reference !== undefined) compareSchemas(schema, reference, report);
    checkSchema(schema, report);
  }
  if (place.engine === "postgres" && schema !== undefined) await checkPostgresStorage(place, schema, report);
  if (place.engine === "mysql" && schema !== undefined) await checkMysqlStorage(place, schema, report);
  checkVolume(await readPlace(place, schema, report), report);
  return findings();
}

/** The raw records of a volume on any engine; what cannot be read is left out. */
export async function readVolume(url: string): Promise<RawVolume> {
  const place = parseMetaUrl(url);
  return readPlace(place, await readSchema(place), () => undefined);
}

function withPrefix(place: MetaPlace, tablePrefix: string | undefined): MetaPlace {
  return tablePrefix === undefined || place.engine === "redis" ? place : { ...place, tablePrefix };
}

/** The schema of an engine that has one. */
async function readSchema(place: MetaPlace): Promise<SqlSchema | undefined> {
  switch (place.engine) {
    case "sqlite": {
      const file = openSqliteFile(place.path);
      try {
        return readSqliteSchema(file, tablePrefixOf(place.tablePrefix));
      } finally {
        file.close();
      }
    }
    case "postgres":
      return readPostgresSchema(place);
    case "mysql":
      return readMysqlSchema(place);
    case "redis":
      return undefined;
  }
}

async function readPlace(place: MetaPlace, schema: SqlSchema | undefined, report: Report): Promise<RawVolume> {
  if (place.engine === "redis") return readRedisVolume(place, report);
  if (schema === undefined) throw new Error("a volume in SQL has a schema");
  switch (place.engine) {
    case "sqlite": {
      const file = openSqliteFile(place.path);
      try {
        return readSqliteVolume(file, schema, tablePrefixOf(place.tablePrefix), report);
      } finally {
        file.close();
      }
    }
    case "postgres":
      return readPostgresVolume(place, schema, report);
    case "mysql":
      return readMysqlVolume(place, schema, report);
  }
}
