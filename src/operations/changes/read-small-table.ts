import { rowAt } from "../../model/batch.ts";
import type { Row } from "../../model/batch.ts";
import { settingType } from "../../model/juicefs.ts";
import { tableNamed } from "../../model/schema.ts";
import { readTable } from "../../repository/snapshot.ts";
import type { Snapshot } from "../../repository/snapshot.ts";

/** All records of a table that is small in any volume: settings, counters. */
export async function readSmallTable(snapshot: Snapshot, table: string): Promise<Row[]> {
  const schema = tableNamed(snapshot.kind, table);
  const rows: Row[] = [];
  for await (const batch of readTable(snapshot, table))
    for (let row = 0; row < batch.count; row += 1) rows.push(rowAt(schema, batch, row));
  return rows;
}

export async function readCounters(snapshot: Snapshot): Promise<Map<string, bigint>> {
  const rows = await readSmallTable(snapshot, "counter");
  return new Map(rows.map(([name, value]) => [Buffer.from(name as Uint8Array).toString(), value as bigint]));
}

export interface SettingValue {
  type: number;
  text: string;
}

export async function readSetting(snapshot: Snapshot): Promise<Map<string, SettingValue>> {
  const rows = await readSmallTable(snapshot, "setting");
  return new Map(
    rows.map(([field, type, value]) => [
      Buffer.from(field as Uint8Array).toString(),
      { type: type as number, text: Buffer.from(value as Uint8Array).toString() },
    ]),
  );
}

/** Whether a boolean field of the setting is on; JuiceFS omits what is off. */
export function isOn(setting: ReadonlyMap<string, SettingValue>, field: string): boolean {
  const value = setting.get(field);
  return value?.type === settingType.boolean && value.text === "true";
}
