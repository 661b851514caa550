import type { TargetPlan } from "../../model/ports.ts";
import type { JuicefsLine } from "./lines.ts";
import { requireSameSetting } from "./same-setting.ts";
import { joinSecrets, splitSecrets } from "./secrets.ts";
import type { SettingField } from "./setting.ts";
import { formatSetting, parseSetting } from "./setting.ts";

/** The JSON of a setting that was held back, secrets in it; taken apart again it must be the same. */
export function settingJson(setting: readonly SettingField[], plan: TargetPlan, line: JuicefsLine): string {
  const removed = String(plan.facts["secretsRemoved"] ?? "");
  const json = formatSetting(joinSecrets(setting, plan.secrets, removed), line);
  requireSameSetting(splitSecrets(parseSetting(json)).fields, setting);
  return json;
}
