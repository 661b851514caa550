import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A new folder below the system's temporary one, removed with all it holds when the block ends. */
export function temporaryFolder(): Disposable & { path: string; join(name: string): string } {
  const path = mkdtempSync(join(tmpdir(), "cairn-bench-"));
  return {
    path,
    join: (name) => join(path, name),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}
