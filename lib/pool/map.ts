import { setImmediate as turn } from 'node:timers/promises';

/** How `pool.map` goes through its source. */
export interface FlowOptions {
  /** Results in the order of the source, or else as they come. */
  readonly ordered: boolean;
  /** At most so many items are taken from the source and not yet given to the consumer. */
  readonly inFlight: number;
  readonly signal: AbortSignal | undefined;
}

/** Runs `perform` on each item of `source` and gives the results away; see `pool.map` for what is promised. */
export async function* flow<T, R>(
  source: Iterable<T> | AsyncIterable<T>,
  perform: (item: T) => Promise<R>,
  options: FlowOptions,
): AsyncGenerator<R, void, undefined> {
  const window = new Window(source, perform, options);
  let failed = false;
  try {
    for (let next = await window.next(); next; next = await window.next()) yield next.value;
  } catch (reason) {
    failed = true;
    throw reason;
  } finally {
    await window.close(failed);
  }
}

/** An item that was taken from the source, until the consumer has its result. */
interface Item<R> {
  settled?: { value: R } | { reason: unknown };
  /** Resolves when `settled` is there. */
  running?: Promise<void>;
}

/**
 * What lies between the source and the consumer. It fills itself whenever there is room, also while the consumer is
 * busy, and only its head goes out. In a flow that is not ordered the settled items stand at its head, in the order in
 * which they settled.
 */
class Window<T, R> {
  readonly #source: AsyncIterator<T>;
  readonly #perform: (item: T) => Promise<R>;
  readonly #options: FlowOptions;
  readonly #items: Item<R>[] = [];
  #filling = false;
  /** Nothing more is to be taken from the source. */
  #ended = false;
  /** The source said so itself, and must not be closed again. */
  #exhausted = false;
  #changed: () => void = () => {};
  readonly #abort = (): void => this.#changed();

  constructor(source: Iterable<T> | AsyncIterable<T>, perform: (item: T) => Promise<R>, options: FlowOptions) {
    this.#source = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : inTurn(source);
    this.#perform = perform;
    this.#options = options;
    options.signal?.addEventListener('abort', this.#abort);
  }

  /** The next result, or undefined after the last. */
  async next(): Promise<{ value: R } | undefined> {
    for (;;) {
      this.#options.signal?.throwIfAborted();
      const head = this.#items[0]?.settled;
      if (head) this.#items.shift();
      void this.#fill();
      if (head && 'reason' in head) throw head.reason;
      if (head) return head;
      if (this.#ended && this.#items.length === 0) return undefined;
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  /** Closes the source and waits for the tasks that run: when the flow is over nothing of it is left. */
  async close(failed: boolean): Promise<void> {
    this.#ended = true;
    this.#options.signal?.removeEventListener('abort', this.#abort);
    const closing = (async () => (this.#exhausted ? undefined : this.#source.return?.()))();
    closing.catch(() => {}); // It counts below, if at all.
    await Promise.all(this.#items.map((item) => item.running));
    // An async generator closes only after its pending `next`, which may never come: that is given one turn and no
    // more.
    const closed = this.#filling ? Promise.race([closing, turn()]) : closing;
    // As in `for await`: an error in closing counts unless there was one before it.
    await (failed ? closed.catch(() => {}) : closed);
  }

  async #fill(): Promise<void> {
    if (this.#filling) return;
    this.#filling = true;
    while (!this.#ended && this.#items.length < this.#options.inFlight) await this.#take();
    this.#filling = false;
  }

  async #take(): Promise<void> {
    try {
      const { done, value } = await this.#source.next();
      if (done) this.#exhausted = this.#ended = true;
      else if (!this.#ended) this.#start(value);
    } catch (reason) {
      this.#exhausted = true;
      this.#settle(this.#admit(), { reason });
    }
    this.#changed();
  }

  #start(value: T): void {
    const item = this.#admit();
    item.running = this.#perform(value).then(
      (value) => this.#settle(item, { value }),
      (reason) => this.#settle(item, { reason }),
    );
  }

  #admit(): Item<R> {
    const item: Item<R> = {};
    this.#items.push(item);
    return item;
  }

  #settle(item: Item<R>, settled: { value: R } | { reason: unknown }): void {
    if ('reason' in settled) this.#ended = true;
    if (!this.#options.ordered) {
      this.#items.splice(this.#items.indexOf(item), 1);
      const behind = this.#items.findIndex((other) => !other.settled);
      this.#items.splice(behind < 0 ? this.#items.length : behind, 0, item);
    }
    item.settled = settled;
    this.#changed();
  }
}

/** As `for await` reads a sync iterable: a promise in it is awaited. */
async function* inTurn<T>(source: Iterable<T>): AsyncGenerator<T> {
  yield* source;
}
