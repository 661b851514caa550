import type { Batch } from "../../../model/batch.ts";
import { batchFromRows } from "../../../model/batch.ts";
import { CairnError } from "../../../model/errors.ts";
import { juicefs, juicefsTable } from "../../../model/juicefs.ts";
import type { Facts, Finding } from "../../../model/ports.ts";
import { canonicalCounters } from "../counters.ts";
import type { SplitSetting } from "../secrets.ts";
import { splitSecrets } from "../secrets.ts";
import type { SettingField } from "../setting.ts";
import { parseSetting, settingRows, settingText } from "../setting.ts";
import { endOfTable, VolumeChecks } from "../volume-checks.ts";
import { collectDetached } from "./detached-nodes.ts";
import { ParentsCheck } from "./parents-check.ts";
import { RedisRecords } from "./redis-records.ts";
import { SliceUses } from "./slice-uses.ts";

export interface VolumeRecordsOptions {
  /** What each key begins with: `{db}` in a cluster. */
  readonly prefix: string;
  /** Hand the secrets on in the summary. */
  readonly keepSecrets: boolean;
  /** The setting's canonical fields, for a database whose own is held back. */
  readonly heldSetting?: readonly SettingField[] | undefined;
  /** The UUID that the setting had when the reading began. */
  readonly volumeId: string;
  readonly temporaryFolder: string;
}

/** What is known after the last batch. */
export interface VolumeSummary {
  readonly facts: Facts;
  readonly findings: Finding[];
  readonly omitted: Record<string, number>;
  readonly secrets: Record<string, string>;
}

/** The records of a volume under way: keys go in at `records`, batches come out at `take`. Synchronous. */
export class VolumeRecords implements Disposable {
  readonly records: RedisRecords;
  readonly #options: VolumeRecordsOptions;
  readonly #uses: SliceUses;
  readonly #parents = new ParentsCheck();
  readonly #checks: VolumeChecks;
  readonly #detached = collectDetached();
  readonly #ready: Batch[] = [];
  #summary: VolumeSummary | undefined;

  constructor(options: VolumeRecordsOptions) {
    this.#options = options;
    this.#uses = new SliceUses(options.temporaryFolder);
    this.#checks = new VolumeChecks(this.#uses);
    this.records = new RedisRecords({
      prefix: options.prefix,
      temporaryFolder: options.temporaryFolder,
      parents: this.#parents,
      addStored: (idLow, idHigh, size, refs) => this.#uses.addStored(idLow, idHigh, size, refs),
      emit: (batch) => this.#emit(batch),
    });
  }

  #emit(batch: Batch): void {
    this.#parents.see(batch);
    this.#detached.see(batch);
    const seen = this.#checks.see(batch);
    if (seen !== undefined) this.#ready.push(seen);
  }

  /** Batches that are ready. */
  get readyCount(): number {
    return this.#ready.length;
  }

  take(): Batch | undefined {
    return this.#ready.shift();
  }

  /**
   * After the last key, in steps between which batches are to be taken. Throws `source-changed`, `setting-invalid`, `secret-unreadable`.
   */
  *finish(): Generator<void, void> {
    const { records } = this;
    yield* records.finish();
    const setting = this.#setting();
    for (const table of [juicefsTable.node, juicefsTable.edge, juicefsTable.chunk]) this.#ready.push(endOfTable(table));
    const canonical = canonicalCounters(records.counters);
    const counters = new Map(
      canonical.rows.map(([name, value]) => [Buffer.from(name as Uint8Array).toString(), value as bigint]),
    );
    this.#ready.push(
      batchFromRows(juicefs.tables[juicefsTable.counter], juicefsTable.counter, canonical.rows),
      batchFromRows(juicefs.tables[juicefsTable.setting], juicefsTable.setting, settingRows(setting.fields)),
    );
    const facts: Facts = { ...canonical.facts };
    if (records.changelogEnd !== undefined) facts["lastChangelog"] = records.changelogEnd;
    if (setting.removed !== "") facts["secretsRemoved"] = setting.removed;
    this.#summary = {
      facts,
      findings: [
        ...this.#checks.findings(counters, this.#uses.maxId),
        ...this.#uses.findings(),
        ...this.#parents.findings(this.#detached.has),
        ...records.findings(),
      ],
      omitted: records.omitted,
      secrets: this.#options.keepSecrets ? setting.secrets : {},
    };
  }

  #setting(): SplitSetting {
    const { heldSetting, volumeId } = this.#options;
    if (heldSetting !== undefined) return { fields: [...heldSetting], secrets: {}, removed: "" };
    const { setting } = this.records;
    const split = setting === undefined ? undefined : splitSecrets(parseSetting(setting));
    if (split === undefined || settingText(split.fields, "UUID") !== volumeId) {
      throw new CairnError("source-changed", "the volume was removed or replaced while it was being read", {
        unharmed: "the database was only read",
        next: "run the command again",
        exit: "sourceUnreachable",
      });
    }
    return split;
  }

  /** After `finish`. */
  summary(): VolumeSummary {
    if (this.#summary === undefined) throw new Error("the volume was not read to its end");
    return this.#summary;
  }

  [Symbol.dispose](): void {
    this.#uses[Symbol.dispose]();
    this.records[Symbol.dispose]();
  }
}
