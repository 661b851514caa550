import { clients } from "./tree.ts";

/** The numbers that clients of JuiceFS hand out: each takes a batch from the common counter and uses it up. */
export interface Numbers {
  next(client: number): number;
  /** The common counter: the next number that nobody owns. */
  end(): number;
}

/** Numbers from `first` on, in batches of `batch`. */
export function openNumbers(first: number, batch: number): Numbers {
  let free = first;
  const next = new Float64Array(clients);
  const limit = new Float64Array(clients);
  return {
    next(client) {
      if (next[client] === limit[client]) {
        next[client] = free;
        free += batch;
        limit[client] = free;
      }
      return next[client]++;
    },
    end: () => free,
  };
}
