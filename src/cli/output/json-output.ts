import { exitCodes } from "../../model/errors.ts";
import type { CairnError } from "../../model/errors.ts";
import type { World } from "../world.ts";
import type { JsonObject, Output } from "./output.ts";
import { StdoutBuffer } from "./stdout-buffer.ts";

const progressEveryMs = 500;

/** One JSON object a line on stdout (docs/json.md); nothing else goes there. */
export function openJsonOutput(world: World, options: { progress: boolean }): Output {
  const { clock } = world;
  const stdout = new StdoutBuffer(world.stdout);
  const reported = new Map<string, number>();
  const line = (object: object): Promise<void> | undefined => stdout.write(`${JSON.stringify(object)}\n`);
  return {
    json: true,
    progress: {
      report(event) {
        if (!options.progress) return;
        const now = clock.now();
        const isEnd = event.done === event.total;
        if (!isEnd && now - (reported.get(event.phase) ?? Number.NEGATIVE_INFINITY) < progressEveryMs) return;
        reported.set(event.phase, now);
        void line({ type: "progress", ...event });
        void stdout.flush();
      },
      warn(code, message) {
        void line({ type: "warning", code, message });
        void stdout.flush();
      },
    },
    text: async () => {},
    async entry(object: JsonObject) {
      await line({ type: "entry", ...object });
    },
    async result(command, object) {
      await line({ type: "result", command, ...object });
    },
    async raw(bytes) {
      await stdout.write(bytes);
    },
    error(error: CairnError) {
      void line({
        type: "error",
        code: error.code,
        message: error.message,
        unharmed: error.unharmed ?? null,
        next: error.next ?? null,
        exit: exitCodes[error.exit],
        details: error.details,
      });
    },
    async close() {
      await stdout.flush();
    },
  };
}
