import { CairnError } from "../../model/errors.ts";
import type { SettingField } from "./setting.ts";
import { settingRows } from "./setting.ts";

/** What a client would read must be the records that were proven. Throws `proof-failed`. */
export function requireSameSetting(got: readonly SettingField[], proven: readonly SettingField[]): void {
  const wantedRows = settingRows(proven);
  const gotRows = settingRows(got);
  const isSame =
    wantedRows.length === gotRows.length &&
    wantedRows.every((row, at) => {
      const [name, type, value] = row as [Uint8Array, number, Uint8Array];
      const [gotName, gotType, gotValue] = gotRows[at] as [Uint8Array, number, Uint8Array];
      return type === gotType && Buffer.compare(name, gotName) === 0 && Buffer.compare(value, gotValue) === 0;
    });
  if (isSame) return;
  throw new CairnError("proof-failed", "the setting that was written is not the one of the snapshot", {
    unharmed: "the target was not touched",
    exit: "proofFailed",
  });
}
