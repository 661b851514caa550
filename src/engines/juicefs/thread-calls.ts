import type { Transferable } from "node:worker_threads";
import { isMarkedAsUntransferable, parentPort, Worker } from "node:worker_threads";
import type { ErrorData } from "./thread-errors.ts";
import { errorFromData, errorToData } from "./thread-errors.ts";

/**
 * Calls into a thread that does one synchronous thing after the other: it answers in the order of the calls. Anything that it says beside
 * its answers is a note.
 */
export interface CallableThread<Calls> extends AsyncDisposable {
  /** Throws what the call threw, or that the thread ended. */
  call<Name extends keyof Calls & string>(
    name: Name,
    argument: ArgumentOf<Calls, Name>,
    transfer?: readonly Transferable[],
  ): Promise<ResultOf<Calls, Name>>;
}

/** Handlers by name: the shape of a thread's calls. */
export type Handlers = Record<string, (argument: never) => unknown>;

type ArgumentOf<Calls, Name extends keyof Calls> = Calls[Name] extends (argument: infer Argument) => unknown
  ? Argument
  : never;
type ResultOf<Calls, Name extends keyof Calls> = Calls[Name] extends (argument: never) => infer Result
  ? Unwrapped<Awaited<Result>>
  : never;
type Unwrapped<Result> = Result extends Moved<infer Value> ? Value : Result;

/** A result whose buffers go over to the calling thread. */
export class Moved<Value> {
  readonly value: Value;
  readonly transfer: readonly Transferable[];

  constructor(value: Value, transfer: readonly Transferable[]) {
    this.value = value;
    this.transfer = transfer;
  }
}

interface Request {
  readonly id: number;
  readonly name: string;
  readonly argument: unknown;
}

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: ErrorData;
}

interface Note {
  readonly note: unknown;
}

/** Starts a thread that runs `serveCalls`. `onNote` gets what it sends between answers. Aborting ends the thread and fails every call. */
export function startThread<Calls>(
  script: URL,
  signal: AbortSignal,
  onNote: (note: unknown) => void,
): CallableThread<Calls> {
  const worker = new Worker(script);
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let nextId = 0;
  let ended: Error | undefined;

  function end(error: Error): void {
    ended ??= error;
    for (const call of waiting.values()) call.reject(ended);
    waiting.clear();
  }
  const abort = (): void => {
    end(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)));
    void worker.terminate();
  };
  worker.on("message", (message: Answer | Note) => {
    if ("note" in message) {
      onNote(message.note);
      return;
    }
    const call = waiting.get(message.id);
    waiting.delete(message.id);
    // A late answer of a thread that is being ended must not let the process go before its end.
    if (waiting.size === 0 && ended === undefined) worker.unref();
    if (message.error === undefined) call?.resolve(message.result);
    else call?.reject(errorFromData(message.error));
  });
  worker.on("error", (error) => end(error instanceof Error ? error : new Error(String(error))));
  worker.on("exit", () => end(new Error("the thread ended early")));
  worker.unref();
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });

  return {
    call(name, argument, transfer = []) {
      if (ended !== undefined) return Promise.reject(ended);
      const id = nextId++;
      const call = Promise.withResolvers<unknown>();
      try {
        // What lies in Node's shared pool of small buffers cannot be given away; it is copied.
        const given = transfer.filter((object) => !isMarkedAsUntransferable(object));
        worker.postMessage({ id, name, argument } satisfies Request, given);
      } catch (error) {
        return Promise.reject(error instanceof Error ? error : new Error(String(error)));
      }
      waiting.set(id, call);
      worker.ref();
      return call.promise as Promise<never>;
    },
    async [Symbol.asyncDispose]() {
      signal.removeEventListener("abort", abort);
      end(new Error("the thread was closed"));
      await worker.terminate();
    },
  };
}

/** Answers the calls of the thread that started this one. A handler may return a promise; the next call waits for it. */
export function serveCalls(handlers: Handlers): void {
  const port = parentPort;
  if (port === null) throw new Error("not in a thread");
  let before = Promise.resolve();
  port.on("message", (request: Request) => {
    before = before.then(async () => {
      try {
        const result = await handlers[request.name](request.argument as never);
        if (result instanceof Moved)
          port.postMessage({ id: request.id, result: result.value } satisfies Answer, [...result.transfer]);
        else port.postMessage({ id: request.id, result } satisfies Answer);
      } catch (error) {
        port.postMessage({ id: request.id, error: errorToData(error) } satisfies Answer);
      }
    });
  });
}

/** Tells the starting thread something between answers. */
export function sendNote(note: unknown): void {
  parentPort?.postMessage({ note } satisfies Note);
}
