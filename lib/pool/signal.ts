/** The signal of the task that runs here just now; set by the thread's loop. */
let signalOfTask: () => AbortSignal | undefined = () => undefined;

/** @internal Says what `taskSignal` returns from now on. */
export function provideSignal(of: () => AbortSignal | undefined): void {
  signalOfTask = of;
}

/**
 * The `AbortSignal` of the task that calls it: aborted when the signal of its `pool.run` is, or when its `timeout` is over.
 * A function that takes long looks at it now and then, or hands it on to `fetch`, a timer or a lock.
 *
 * Call it at the beginning of the function, before the first `await`: with `concurrentTasksPerWorker` several tasks take turns
 * in a thread. `signal.aborted` and `signal.throwIfAborted()` tell the truth in a loop that never yields, too. Outside of a
 * task, and in one that was started by `spawn`, it returns a signal that never aborts.
 *
 * @example
 * export async function download(address: string) {
 *   const response = await fetch(address, { signal: taskSignal() });
 *   return response.text();
 * }
 */
export function taskSignal(): AbortSignal {
  return signalOfTask() ?? new AbortController().signal;
}
