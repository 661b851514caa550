import { transferablesOf } from "../../../model/batch.ts";
import { juicefs } from "../../../model/juicefs.ts";
import type { SourceDescription, SourceSummary } from "../../../model/ports.ts";
import type { MysqlConnection } from "../../../protocols/mysql/connection.ts";
import type { SettingField } from "../setting.ts";
import { estimatedTables } from "../sql/estimated-tables.ts";
import { Moved, serveCalls } from "../thread-calls.ts";
import { requireReadable } from "./catalogue.ts";
import type { EngineContext } from "./engine-error.ts";
import { engineError } from "./engine-error.ts";
import { contextOf, foldedUrl, openSession } from "./session.ts";
import type { SnapshotPosition } from "./snapshot.ts";
import { beginSnapshot, snapshotConsistency } from "./snapshot.ts";
import type { ReadBatch } from "./table-batches.ts";
import type { MysqlUrl } from "./url.ts";
import type { VolumeReader } from "./volume-reader.ts";
import { openVolumeReader } from "./volume-reader.ts";

export interface OpenRequest {
  readonly url: MysqlUrl;
  readonly memoryBytes: number;
  readonly temporaryFolder: string;
  readonly keepSecrets: boolean;
  /** What an error is about: a restore reads its target back. */
  readonly role: EngineContext["role"];
  /** The setting's fields while it is held back from the database. */
  readonly heldSetting?: readonly SettingField[];
}

export interface OpenedVolume {
  readonly volumeId: string;
  readonly volumeName: string;
}

/** The calls that `source.ts` makes. One volume a thread; `next` gives `undefined` after the last batch. */
export interface SourceCalls {
  describe(url: MysqlUrl): Promise<SourceDescription>;
  open(request: OpenRequest): Promise<OpenedVolume>;
  next(nothing: undefined): Promise<Moved<ReadBatch> | undefined>;
  summary(nothing: undefined): Promise<SourceSummary>;
}

interface OpenState {
  readonly context: EngineContext;
  readonly connection: MysqlConnection;
  readonly snapshot: SnapshotPosition;
  readonly reader: VolumeReader;
  readonly batches: AsyncGenerator<ReadBatch, void>;
}

let state: OpenState | undefined;

function opened(): OpenState {
  if (state === undefined) throw new Error("no volume is open");
  return state;
}

/** Does something with the server; what it says comes out as an error of ours. */
async function withEngine<Result>(context: EngineContext, run: () => Promise<Result>): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    throw engineError(context, error);
  }
}

const handlers: SourceCalls = {
  describe(url) {
    const context = contextOf(url, "source");
    return withEngine(context, async () => {
      using connection = await openSession(url, context);
      return await describeVolume(await foldedUrl(connection, url), context, connection);
    });
  },

  open({ url, role, ...options }) {
    const context = contextOf(url, role);
    return withEngine(context, async () => {
      const connection = await openSession(url, context);
      try {
        const { tablePrefix } = await foldedUrl(connection, url);
        await requireReadable(context, connection, tablePrefix);
        const snapshot = await beginSnapshot(connection, context);
        const reader = await openVolumeReader(connection, context, { tablePrefix, ...options });
        state = { context, connection, snapshot, reader, batches: reader.batches() };
        return { volumeId: reader.volumeId, volumeName: reader.volumeName };
      } catch (error) {
        connection.close();
        throw error;
      }
    });
  },

  next() {
    const { context, batches } = opened();
    return withEngine(context, async () => {
      const next = await batches.next();
      return next.done === true ? undefined : new Moved(next.value, transferablesOf(next.value.batch));
    });
  },

  summary() {
    const { context, reader, snapshot } = opened();
    return withEngine(context, async () => ({
      consistency: snapshotConsistency,
      position: snapshot.position,
      ...(await reader.summary()),
    }));
  },
};

async function describeVolume(
  url: MysqlUrl,
  context: EngineContext,
  connection: MysqlConnection,
): Promise<SourceDescription> {
  await requireReadable(context, connection, url.tablePrefix);
  await beginSnapshot(connection, context);
  const reader = await openVolumeReader(connection, context, {
    tablePrefix: url.tablePrefix,
    keepSecrets: false,
    memoryBytes: 0,
    temporaryFolder: "",
  });
  const { schema, tables, counters } = reader;
  const estimates: Record<string, number> = {};
  for (const [table, canonical] of estimatedTables) {
    const found = tables.find(({ name }) => name === url.tablePrefix + table);
    if (found !== undefined) estimates[canonical] = (estimates[canonical] ?? 0) + found.rows;
  }
  return {
    kind: juicefs.name,
    system: `JuiceFS (schema of ${schema.line})`,
    engine: connection.isMariaDb ? "MariaDB" : "MySQL",
    engineVersion: connection.serverVersion,
    volumeName: reader.volumeName,
    volumeId: reader.volumeId,
    estimates,
    estimatedBytes: tables.reduce((sum, { bytes }) => sum + bytes, 0),
    consistency: snapshotConsistency,
    // A right that is missing is an error of `requireReadable`.
    problems: [],
    facts: {
      schemaLine: schema.line,
      account: context.account ?? "",
      nextInode: String(counters.get("nextInode") ?? 0n),
      usedSpace: String(counters.get("usedSpace") ?? 0n),
      totalInodes: String(counters.get("totalInodes") ?? 0n),
    },
  };
}

serveCalls({ ...handlers });
