/**
 * Runs `work` over items with at most `limit` under way, and yields results in the items' order. When one fails, waits until nothing
 * runs any more and throws its error.
 */
export async function* mapOrdered<T, R>(
  items: AsyncIterable<T> | Iterable<T>,
  limit: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const window: Promise<R>[] = [];
  try {
    for await (const item of items) {
      const running = work(item);
      running.catch(() => undefined);
      window.push(running);
      if (window.length >= limit) yield await (window.shift() as Promise<R>);
    }
    while (window.length > 0) yield await (window.shift() as Promise<R>);
  } finally {
    await Promise.allSettled(window);
  }
}
