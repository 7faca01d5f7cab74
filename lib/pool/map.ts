/**
 * Map: a stream of items through a pool, with at most so many under way.
 *
 * A batch costs little more than one item. It is sent as soon as a thread could use it, and no more than two for each thread are
 * under way: so it is of one item while threads are hungry, and of what has come meanwhile while they are busy; and never of so
 * many that it would take longer than a millisecond, as far as the batches before it tell.
 */
import { setImmediate as turn } from 'node:timers/promises';

/** What became of one item. */
export type Outcome<R> = { readonly value: R } | { readonly reason: unknown; readonly fatal?: boolean };

/** What happens when an item fails: the iteration ends there, goes on without it, or goes on and throws all errors in the end. */
export type ErrorPolicy = 'stop' | 'skip' | 'collect';

/** How `pool.map` goes through its source. */
export interface FlowOptions {
  /** Results in the order of the source, or else as they come. */
  readonly ordered: boolean;
  /** At most so many items are taken from the source and not yet given to the consumer. */
  readonly inFlight: number;
  readonly errors: ErrorPolicy;
  readonly signal: AbortSignal | undefined;
  /** How many batches the threads work on at the same time. */
  readonly places: number;
  /** Most items of a batch. */
  readonly most: number;
}

/** Runs all items, and says what became of each; never rejects. */
export type Perform<T, R> = (items: readonly T[]) => Promise<readonly Outcome<R>[]>;

/** Milliseconds that a batch may take. */
const BATCH_TIME = 1;

/** Runs `perform` on the items of `source` and gives the results away; see `pool.map` for what is promised. */
export async function* flow<T, R>(
  source: Iterable<T> | AsyncIterable<T>,
  perform: Perform<T, R>,
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
interface Item<T, R> {
  readonly value: T | undefined;
  readonly index: number;
  settled?: Outcome<R>;
}

/**
 * What lies between the source and the consumer. It fills itself whenever there is room, also while the consumer is
 * busy, and only its head goes out. In a flow that is not ordered the settled items stand at its head, in the order in
 * which they settled.
 */
class Window<T, R> {
  readonly #source: AsyncIterator<T>;
  readonly #perform: Perform<T, R>;
  readonly #options: FlowOptions;
  readonly #items: Item<T, R>[] = [];
  /** The last of the items: taken, and not sent yet. */
  readonly #gathered: Item<T, R>[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #errors: { index: number; reason: unknown }[] = [];
  #taken = 0;
  /** Items that a batch may have. */
  #most = 1;
  #filling = false;
  /** Nothing more is to be taken from the source. */
  #ended = false;
  /** There is an error that ends the iteration: what was not sent is not run. */
  #failed = false;
  /** The source said so itself, and must not be closed again. */
  #exhausted = false;
  #changed: () => void = () => {};
  readonly #abort = (): void => this.#changed();

  constructor(source: Iterable<T> | AsyncIterable<T>, perform: Perform<T, R>, options: FlowOptions) {
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
      if (this.#ended && this.#items.length === 0) return this.#conclude();
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  #conclude(): undefined {
    if (this.#errors.length === 0) return;
    const errors = this.#errors.sort((a, b) => a.index - b.index).map(({ reason }) => reason);
    throw new AggregateError(errors, `${errors.length} of ${this.#taken} items failed`);
  }

  /** Closes the source and waits for the tasks that run: when the flow is over nothing of it is left. */
  async close(failed: boolean): Promise<void> {
    this.#ended = true;
    this.#gathered.length = 0;
    this.#options.signal?.removeEventListener('abort', this.#abort);
    const closing = (async () => (this.#exhausted ? undefined : this.#source.return?.()))();
    closing.catch(() => {}); // It counts below, if at all.
    await Promise.all(this.#running);
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
      else if (!this.#ended) this.#gather(value);
    } catch (reason) {
      this.#exhausted = true;
      while (this.#gathered.length > 0) this.#send();
      this.#settle(this.#admit(undefined), { reason, fatal: true });
    }
    this.#changed();
  }

  #gather(value: T): void {
    this.#gathered.push(this.#admit(value));
    this.#feed();
  }

  /** Sends what was gathered as far as the threads need it. */
  #feed(): void {
    while (this.#gathered.length > 0 && !this.#failed && this.#isHungry()) this.#send();
  }

  /** Whether a thread could be without work before its next batch is there. */
  #isHungry(): boolean {
    return this.#options.most === 1 || this.#running.size < 2 * this.#options.places;
  }

  #send(): void {
    const batch = this.#gathered.splice(0, this.#most);
    const since = performance.now();
    const running = this.#perform(batch.map(({ value }) => value as T)).then((outcomes) => {
      this.#running.delete(running);
      this.#adapt(batch.length, performance.now() - since);
      batch.forEach((item, n) => {
        this.#settle(item, outcomes[n] as Outcome<R>);
      });
      this.#feed();
      this.#changed();
    });
    this.#running.add(running);
  }

  /** Twice as many at the most as it has just been, so that one slow item after many quick ones does little harm. */
  #adapt(items: number, time: number): void {
    const { most, inFlight, places } = this.#options;
    const fair = Math.floor(inFlight / (4 * places));
    const timely = (items * BATCH_TIME) / time;
    this.#most = Math.max(1, Math.floor(Math.min(2 * this.#most, timely, fair, most)));
  }

  #admit(value: T | undefined): Item<T, R> {
    const item: Item<T, R> = { value, index: this.#taken++ };
    this.#items.push(item);
    return item;
  }

  #settle(item: Item<T, R>, settled: Outcome<R>): void {
    if ('reason' in settled) {
      if (this.#options.errors !== 'stop' && !settled.fatal) {
        this.#leaveOut(item, settled.reason);
        return;
      }
      this.#failed = this.#ended = true;
    }
    if (!this.#options.ordered) {
      this.#items.splice(this.#items.indexOf(item), 1);
      const behind = this.#items.findIndex((other) => !other.settled);
      this.#items.splice(behind < 0 ? this.#items.length : behind, 0, item);
    }
    item.settled = settled;
  }

  #leaveOut(item: Item<T, R>, reason: unknown): void {
    this.#items.splice(this.#items.indexOf(item), 1);
    if (this.#options.errors === 'collect') this.#errors.push({ index: item.index, reason });
    void this.#fill();
  }
}

/** As `for await` reads a sync iterable: a promise in it is awaited. */
async function* inTurn<T>(source: Iterable<T>): AsyncGenerator<T> {
  yield* source;
}
