import { setImmediate as turn } from 'node:timers/promises';
import { STOPPED } from './line.ts';
import type { Outlet } from './outlet.ts';

const SHARE = 5; // ms that the main thread gives to a pipeline before its event loop turns

/** Remembers when the event loop turned last, for threads that have other things to do. */
export class Share {
  #since: number = performance.now();

  /** A promise when it is time to let others go on. */
  over(): Promise<void> | undefined {
    if (performance.now() - this.#since < SHARE) return undefined;
    return turn().then(() => {
      this.#since = performance.now();
    });
  }
}

/** Gives what a sync iterable has; closes it when something fails. */
export async function pump(from: Iterable<unknown>, outlet: Outlet, share?: Share): Promise<void> {
  let count = 0;
  for (const record of from) {
    const later = outlet.put(record);
    if (later) await later;
    if (share && ++count % 64 === 0) await share.over();
  }
}

/**
 * Gives what an async iterable has, until the signal aborts; then, or when something fails, it closes the source. An async
 * generator closes only after its pending `next`, which may never come: that is given one turn and no more.
 */
export async function pumpAsync(from: AsyncIterable<unknown>, outlet: Outlet, signal: AbortSignal): Promise<void> {
  const steps = new Steps(from, signal);
  outlet.patient = true;
  let failed = true;
  try {
    for (let step = await steps.next(); !step.done; step = await steps.next()) await outlet.put(step.value);
    failed = false;
  } catch (error) {
    if (error !== STOPPED) throw error;
    failed = false;
    await steps.close();
    throw error;
  } finally {
    if (failed) await steps.close().catch(() => {}); // as in `for await`, the error before it counts
    steps.clear();
  }
}

/** An async iterator whose `next` an abort ends. */
class Steps {
  readonly #iterator: AsyncIterator<unknown>;
  readonly #signal: AbortSignal;
  #pending = false;
  #exhausted = false;
  #refuse: (reason: unknown) => void = () => {};
  readonly #abort = (): void => this.#refuse(this.#signal.reason);

  constructor(from: AsyncIterable<unknown>, signal: AbortSignal) {
    this.#iterator = from[Symbol.asyncIterator]();
    this.#signal = signal;
    signal.addEventListener('abort', this.#abort);
  }

  async next(): Promise<IteratorResult<unknown>> {
    this.#signal.throwIfAborted();
    this.#pending = true;
    const step = await new Promise<IteratorResult<unknown>>((resolve, reject) => {
      this.#refuse = reject;
      this.#iterator.next().then(resolve, (reason) => {
        this.#exhausted = true;
        reject(reason);
      });
    });
    this.#pending = false;
    this.#exhausted = step.done === true;
    return step;
  }

  async close(): Promise<void> {
    if (this.#exhausted) return;
    this.#exhausted = true;
    const closing = (async () => this.#iterator.return?.())();
    closing.catch(() => {}); // it counts below, if at all
    await (this.#pending ? Promise.race([closing, turn()]) : closing);
  }

  clear(): void {
    this.#signal.removeEventListener('abort', this.#abort);
  }
}
