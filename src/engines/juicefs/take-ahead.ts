/**
 * Keeps `inFlight` questions under way, so that a thread reads on while an answer is being worked on; no more than the memory bears. Yields the answers in
 * order, until one is undefined.
 */
export async function* takeAhead<Answer>(
  ask: () => Promise<Answer | undefined>,
  inFlight: number,
): AsyncGenerator<Answer, void> {
  const calls: Promise<Answer | undefined>[] = [];
  const askOnce = (): void => {
    const call = ask();
    // A later call fails with the same error as an earlier one, and then nobody waits for it.
    call.catch(() => {});
    calls.push(call);
  };
  for (let count = 0; count < inFlight; count++) askOnce();
  for (;;) {
    const answer = await calls.shift();
    if (answer === undefined) return;
    askOnce();
    yield answer;
  }
}
