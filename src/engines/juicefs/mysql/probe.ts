import { engineError } from "./engine-error.ts";
import { contextOf, openSession } from "./session.ts";
import type { MysqlUrl } from "./url.ts";

/** Asks the server something that costs nothing, on a connection of its own: how long it takes shows how it fares. */
export interface Probe extends Disposable {
  ask(): Promise<void>;
}

export async function openProbe(url: MysqlUrl): Promise<Probe> {
  const context = contextOf(url, "source");
  try {
    const connection = await openSession(url, context);
    return {
      async ask() {
        await connection.query("SELECT 1").catch((error: unknown) => {
          throw engineError(context, error);
        });
      },
      [Symbol.dispose]: () => connection.close(),
    };
  } catch (error) {
    throw engineError(context, error);
  }
}
