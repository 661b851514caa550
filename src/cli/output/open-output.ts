import type { GlobalOptions } from "../context.ts";
import type { World } from "../world.ts";
import { openJsonOutput } from "./json-output.ts";
import type { Output } from "./output.ts";
import { openTextOutput } from "./text-output.ts";

/** The output that the global options ask for. */
export function openOutput(world: World, global: GlobalOptions): Output {
  const progress = global.progress !== false;
  if (global.json === true) return openJsonOutput(world, { progress });
  return openTextOutput(world, { quiet: global.quiet === true, progress });
}
