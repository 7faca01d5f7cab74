import type { RemoteQueue, Task } from '../../lib/bridge/faces.ts';
import { ClosedError } from '../../lib/memory/errors.ts';
import { type AsyncWaitOptions, allowListeners } from '../../lib/memory/wait.ts';

/** What happened to items, in order: `accepted` by the sink, `done` or `back` at the source. */
export type Event<T> = readonly ['accepted' | 'done' | 'back', T];

/** A queue that stands in for one far away, and tells what happens to its items. */
export class StandIn<T> implements RemoteQueue<T> {
  readonly capacity: number;
  readonly mostInHand: number;
  readonly #items: T[];
  readonly #events: Event<T>[];
  /** What a put does before it is accepted: throws, or awaits. */
  readonly #onPut: (value: T) => unknown;
  inHand = 0;
  mostAtOnce = 0;
  closed = false;

  constructor(events: Event<T>[], items: T[] = [], mostInHand = 1024, onPut: (value: T) => unknown = () => {}) {
    this.#events = events;
    this.#items = items;
    this.#onPut = onPut;
    this.capacity = this.mostInHand = mostInHand;
  }

  get size(): Promise<number> {
    return Promise.resolve(this.#items.length);
  }

  async putAsync(value: T, options?: AsyncWaitOptions): Promise<void> {
    await this.putManyAsync([value], options);
  }

  async putManyAsync(values: ArrayLike<T>, { signal }: AsyncWaitOptions = {}): Promise<void> {
    for (let at = 0; at < values.length; at++) {
      try {
        await Promise.race([this.#onPut(values[at] as T), aborted(signal)]);
      } catch (error) {
        throw Object.assign(error as Error, { done: at });
      }
      this.#events.push(['accepted', values[at] as T]);
    }
  }

  getAsync(): Promise<T> {
    throw new Error('a pipeline takes many');
  }

  getManyAsync(): Promise<T[]> {
    throw new Error('a pipeline wants acknowledgements of their own');
  }

  takeAsync(): Promise<Task<T>> {
    throw new Error('a pipeline takes many');
  }

  async takeManyAsync(max: number, { signal }: AsyncWaitOptions = {}): Promise<Task<T[]> | undefined> {
    signal?.throwIfAborted();
    if (this.#items.length === 0) return undefined;
    const value = this.#items.splice(0, max);
    this.inHand += value.length;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.inHand);
    const end = async (how: 'done' | 'back') => {
      this.inHand -= value.length;
      for (const item of value) this.#events.push([how, item]);
    };
    return { value, done: () => end('done'), giveBack: () => end('back') };
  }

  taskDone(): Promise<void> {
    throw new Error('a pipeline acknowledges what it took itself');
  }

  joinAsync(): Promise<void> {
    return Promise.resolve();
  }

  async close(): Promise<void> {
    if (this.closed) throw new ClosedError('the stand-in');
    this.closed = true;
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    throw new Error('a pipeline takes many');
  }
}

/** Rejects when the signal aborts. */
function aborted(signal: AbortSignal | undefined): Promise<never> {
  if (signal) allowListeners(signal);
  return new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
