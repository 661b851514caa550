import type { Socket } from "node:net";
import type { RedisConnection } from "../../../protocols/redis/client.ts";

/** A link that takes from the server only while it is open: what is not read stays in the server, which waits with the rest. */
export interface PacedLink {
  /** For the synchronisation; its socket is the one that is shut and opened. */
  readonly connection: RedisConnection;
  open(): void;
  shut(): void;
}

/**
 * A server ends a link that takes nothing for its `repl-timeout` (60 s unless configured): one that stays shut is opened for a moment, and what comes
 * waits with the rest.
 */
const breathAfterMs = 20_000;
const breathMs = 50;

/** `idleTimeoutMs`: how long the server may send nothing while the link is open. */
export function paceLink(connection: RedisConnection, idleTimeoutMs: number): PacedLink {
  let socket: Socket | undefined;
  let breath: NodeJS.Timeout | undefined;
  const breathe = (): void => {
    if (socket === undefined || socket.destroyed) return;
    socket.resume();
    breath = setTimeout(shut, breathMs).unref();
  };
  function shut(): void {
    clearTimeout(breath);
    if (socket === undefined || socket.destroyed) return;
    // It is our turn to be silent.
    socket.setTimeout(0);
    socket.pause();
    breath = setTimeout(breathe, breathAfterMs).unref();
  }
  return {
    connection: {
      ...connection,
      detach() {
        const detached = connection.detach();
        ({ socket } = detached);
        return detached;
      },
    },
    open() {
      clearTimeout(breath);
      if (socket === undefined || socket.destroyed) return;
      socket.setTimeout(idleTimeoutMs);
      socket.resume();
    },
    shut,
  };
}
