/**
 * A TCP proxy on 127.0.0.1 in front of a server that can do to connections what networks and servers do: end them, reset them, let
 * them hang, or be slow, after so many bytes.
 */
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export type Fault =
  /** Closes both sides in order (FIN), as a server does that ends a session. */
  | "end"
  /** Resets both sides (RST), as a firewall or a crashed host does. */
  | "reset"
  /** Keeps both sides open and passes nothing on any more, in either direction. */
  | "stall";

export interface CutPlan {
  fault: Fault;
  /** Counted over all connections in that direction; the byte after so many is never passed on. */
  afterBytes: number;
  /** `"down"` is from the server to the client. */
  direction: "up" | "down";
}

export interface CutProxy extends AsyncDisposable {
  readonly port: number;
  /** Bytes passed on so far, over all connections. */
  readonly upBytes: number;
  readonly downBytes: number;
  /** Connections that clients have made. */
  readonly connectionCount: number;
  /** Plans a fault; counting starts anew from here. After the fault, new connections are treated the same. `undefined` heals. */
  plan: (plan: CutPlan | undefined) => void;
  /** Does it now to the connections that there are; new ones are passed on as planned. */
  cut: (fault: "end" | "reset") => void;
  /** Bytes per second that each direction of each connection may pass, from now on. */
  slowDown: (bytesPerSecond: number | undefined) => void;
  /** Fulfilled when the planned fault has happened. */
  readonly happened: Promise<void>;
}

/** Starts a proxy in front of a port of 127.0.0.1, or of a Unix socket. */
export async function startCutProxy(target: { port: number } | { path: string }): Promise<CutProxy> {
  const sockets = new Set<Socket>();
  const passed = { up: 0, down: 0 };
  let plan: CutPlan | undefined;
  let countedFrom = { up: 0, down: 0 };
  let faulty = false;
  let bytesPerSecond: number | undefined;
  let connectionCount = 0;
  let happened = Promise.withResolvers<void>();

  const cut = (fault: Fault | undefined): void => {
    for (const socket of sockets) {
      if (fault === "reset") socket.resetAndDestroy();
      if (fault === "end") socket.destroySoon();
    }
  };
  const strike = (): void => {
    cut(plan?.fault);
    happened.resolve();
  };

  const forward = (from: Socket, to: Socket, direction: "up" | "down"): void => {
    // The end comes even to a paused socket, while its last bytes still wait.
    let slowly = Promise.resolve();
    from.on("data", (chunk: Buffer) => {
      if (bytesPerSecond === undefined) {
        pass(chunk);
        return;
      }
      from.pause();
      const waitMs = (chunk.length / bytesPerSecond) * 1000;
      slowly = slowly.then(async () => {
        await sleep(waitMs);
        from.resume();
        pass(chunk);
      });
    });
    const pass = (chunk: Buffer): void => {
      if (faulty) return;
      const left =
        plan?.direction === direction ? plan.afterBytes - (passed[direction] - countedFrom[direction]) : Infinity;
      const bytes = chunk.length > left ? chunk.subarray(0, left) : chunk;
      passed[direction] += bytes.length;
      const isTaken = to.write(bytes);
      if (chunk.length >= left) {
        faulty = true;
        // What was passed on is to arrive before the fault does: a reset throws away what is still on its way.
        setTimeout(strike, 5);
      } else if (!isTaken) {
        from.pause();
        to.once("drain", () => from.resume());
      }
    };
    from.on("end", () => {
      void slowly.then(() => {
        if (!faulty) to.end();
      });
    });
  };

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    connectionCount += 1;
    const upstream = connect({ ...target, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => other.destroy());
      socket.once("close", () => sockets.delete(socket));
    }
    forward(client, upstream, "up");
    forward(upstream, client, "down");
    if (faulty) strike();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server has a port");
  return {
    port: address.port,
    get upBytes() {
      return passed.up;
    },
    get downBytes() {
      return passed.down;
    },
    get connectionCount() {
      return connectionCount;
    },
    get happened() {
      return happened.promise;
    },
    plan: (next) => {
      plan = next;
      faulty = false;
      countedFrom = { ...passed };
      happened = Promise.withResolvers<void>();
    },
    cut,
    slowDown: (next) => {
      bytesPerSecond = next;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
