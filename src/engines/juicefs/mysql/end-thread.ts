/**
 * Ends a thread, and waits until it has. An answer that comes in between would let go of the thread, and a process that waits for nothing else would
 * end in the middle of its clean-up: hence the timer.
 */
export async function endThread(thread: AsyncDisposable): Promise<void> {
  const awake = setInterval(() => {}, 1000);
  try {
    await thread[Symbol.asyncDispose]();
  } finally {
    clearInterval(awake);
  }
}
