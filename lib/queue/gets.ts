/**
 * Gets: the half of a queue that takes, for one thread.
 *
 * Get  1. the kernel takes the item  2. decode from the block, which is ours alone  3. free it, and wake a producer if one waits
 */
import { CLOSED, DONE, FREED, QUEUE_GETTERS, QUEUE_PUTTERS, SKIPPED, WAKE } from '../kernel/layout.ts';
import type { SharedObject } from '../memory/handles.ts';
import type { Kernel } from '../memory/kernel.ts';
import {
  AGAIN,
  type AsyncWaitOptions,
  type Operation,
  type Parker,
  requireAsyncWaitOptions,
  spin,
} from '../memory/wait.ts';
import type { Finish } from './finish.ts';
import { isDownTo, Messages } from './messages.ts';
import { type Lends, type NumberArray, type Payloads, type Prompt, refusal, type Shows } from './payload.ts';
import type { Records } from './records.ts';
import { Deliveries, type Held } from './redelivery.ts';
import type { View } from './struct.ts';

/** What is taken of a queue that is closed and drained. */
export const ENDED: unique symbol = Symbol('ended');

/** What was found: `R`, nothing as yet, or the end. */
type Found<R> = R | typeof AGAIN | typeof ENDED;

/** Of items of type `T`. Timeouts are in milliseconds, and checked by the caller. */
export class Gets<T> {
  readonly #queue: SharedObject & { readonly capacity: number };
  readonly #kernel: Kernel;
  readonly #parker: Parker;
  readonly #payloads: Payloads<T>;
  readonly #prompt: Prompt<T> | undefined; // the same, when they are numbers
  readonly #deliveries: Deliveries<T> | undefined; // the same, of a queue that redelivers
  readonly #finish: Finish;
  readonly #getters: number;
  readonly #putters: number;
  #wakesAt = Number.POSITIVE_INFINITY; // items that may be there when a producer is woken

  constructor(
    queue: SharedObject & { readonly capacity: number },
    payloads: Payloads<T>,
    prompt: Prompt<T> | undefined,
    finish: Finish,
  ) {
    this.#queue = queue;
    this.#kernel = queue.region.kernel;
    this.#parker = queue.region.parker;
    this.#payloads = payloads;
    this.#prompt = prompt;
    this.#deliveries = payloads instanceof Deliveries ? payloads : undefined;
    this.#finish = finish;
    this.#getters = queue.offset + QUEUE_GETTERS;
    this.#putters = queue.offset + QUEUE_PUTTERS;
  }

  /** What was taken, unless it is the end. Throws ClosedError. */
  open<R>(taken: R | typeof ENDED): R {
    if (taken === ENDED) throw refusal(this.#queue, CLOSED);
    return taken;
  }

  take(timeout: number): T | typeof ENDED {
    let item = this.tryTake();
    if (item === AGAIN) item = spin(this.#tryAgain);
    return item === AGAIN ? this.#parker.block(this.#taking(), timeout) : item;
  }

  /** As `get` of the queue, for a wait that will be long. */
  getPatiently(): T {
    const item = this.tryTake();
    return this.open(item === AGAIN ? this.#parker.block(this.#taking(), Number.POSITIVE_INFINITY) : item);
  }

  /** Behind the promises of this thread that came first. */
  async getAsync(options?: AsyncWaitOptions): Promise<T> {
    requireAsyncWaitOptions(options);
    let item = this.takeInTurn();
    if (item === AGAIN) item = await this.takeLater(options);
    return this.open(item);
  }

  /** As `take`, without blocking the event loop. */
  takeLater(options?: AsyncWaitOptions): Promise<T | typeof ENDED> {
    return this.#parker.wait(this.#taking(), options);
  }

  /** As `tryTake`, behind the promises of this thread that came first. */
  takeInTurn(): Found<T> {
    return this.#parker.hasWaiters(this.#getters) ? AGAIN : this.tryTake();
  }

  readonly #tryAgain = (): Found<T> => this.tryTake();

  tryTake(): Found<T> {
    const said = this.#payloads.take();
    if (said === DONE) return this.#payloads.read();
    if (said === SKIPPED) {
      this.#parker.wake(this.#putters);
      return this.tryTake();
    }
    if (said !== WAKE) return this.#notTaken(said);
    try {
      return this.#payloads.read();
    } finally {
      if (isDownTo(this.#queue, this.#wakesAt)) this.#parker.wake(this.#putters);
    }
  }

  #notTaken(said: number): typeof AGAIN | typeof ENDED {
    if (said === FREED) throw refusal(this.#queue, said);
    if (said !== CLOSED) return AGAIN;
    // what others hold may come back; who holds some himself does not wait for others, who may wait for him
    const { mine = 1, open = false } = this.#deliveries ?? {};
    return mine === 0 && open ? AGAIN : ENDED;
  }

  /**
   * From now on what this thread takes wakes a producer only when no more than half of the queue is full. For queues all of
   * whose consumers do that: a producer that waited then goes on for a while, and does not sleep again after one item.
   */
  wakeLate(): void {
    this.#wakesAt = this.#queue.capacity >> 1;
    if (this.#payloads instanceof Messages) this.#payloads.wakesAt = this.#wakesAt;
  }

  /** Appends at least one and at most `max` items. */
  takeMany(items: T[], max: number, timeout: number): void {
    this.#takeSoon(() => this.#takeSome(items, max), timeout);
  }

  async takeManyAsync(items: T[], max: number, options?: AsyncWaitOptions): Promise<void> {
    await this.#whenThere(() => this.#takeSome(items, max), options);
  }

  /** Writes at least one number into the array, from its start on, and at most as many as it has places: how many. */
  takeInto(target: NumberArray<T>, timeout: number): number {
    return this.#takeSoon(() => this.#takeSomeInto(target), timeout);
  }

  takeIntoAsync(target: NumberArray<T>, options?: AsyncWaitOptions): Promise<number> {
    return this.#whenThere(() => this.#takeSomeInto(target), options);
  }

  /** Takes at least one and at most `max` records, which `useBatch` then hands out: how many. */
  takeRecords(records: Records<T>, max: number, timeout: number): number {
    return this.#takeSoon(() => this.#takeBatch(records, max), timeout);
  }

  #takeSoon<R>(attempt: () => Found<R>, timeout: number): R {
    let taken = attempt();
    if (taken === AGAIN) taken = spin(attempt);
    if (taken === AGAIN) taken = this.#parker.block<R | typeof ENDED>({ ...this.#reading(), attempt }, timeout);
    return this.open<R>(taken);
  }

  async #whenThere<R>(attempt: () => Found<R>, options?: AsyncWaitOptions): Promise<R> {
    return this.open(await this.#parker.wait<R | typeof ENDED>({ ...this.#reading(), attempt }, options));
  }

  /** What is there, up to `max` items; undefined when there is nothing, or promises of this thread wait for it. */
  takeNow(max: number): T[] | undefined {
    const items: T[] = [];
    if (this.#parker.hasWaiters(this.#getters)) return undefined;
    return this.#takeSome(items, max) === true ? items : undefined;
  }

  /** As `takeNow`, of a queue that redelivers, for others: `acknowledge` and `giveBack` say what became of it. */
  holdNow(max: number): Held<T>[] | undefined {
    if (this.#parker.hasWaiters(this.#getters)) return undefined;
    const held = this.#hold(max);
    return held === AGAIN || held === ENDED ? undefined : held;
  }

  /** As that, and waits. */
  holdAsync(max: number, options?: AsyncWaitOptions): Promise<Held<T>[]> {
    return this.#whenThere(() => this.#hold(max), options);
  }

  #hold(max: number): Found<Held<T>[]> {
    const deliveries = this.#deliveries as Deliveries<T>; // the caller knows
    const before = deliveries.acknowledgeable;
    const items: T[] = [];
    let said: Found<true>;
    try {
      said = this.#takeSome(items, max);
    } catch (error) {
      const blocks = deliveries.detach(before);
      const held = blocks.map((block, i) => ({ value: items[i] as T, block }));
      this.acknowledge(held.slice(items.length)); // nobody will ever be able to read it
      this.giveBack(held.slice(0, items.length));
      throw error;
    }
    const blocks = deliveries.detach(before);
    return said === true ? items.map((value, i) => ({ value, block: blocks[i] as number })) : said;
  }

  /** Says that items which are held are dealt with. */
  acknowledge(held: readonly Held<T>[]): void {
    this.#queue.region.check(this.#queue);
    for (const { block } of held) this.#deliveries?.release(block);
    this.#finish.settle();
  }

  /** Gives back items which are held. */
  giveBack(held: readonly Held<T>[]): void {
    this.#queue.region.check(this.#queue);
    for (const { block } of held) this.#deliveries?.giveBack(block);
    for (let i = 0; i < held.length && this.#kernel.waiting(this.#getters); i++) this.#parker.wake(this.#getters);
  }

  #takeSome(items: T[], max: number): Found<true> {
    try {
      const taken = this.#takeUpTo(max, (count) => this.#payloads.readMany(items, max - count));
      return taken === AGAIN || taken === ENDED ? taken : true;
    } catch (error) {
      throw Object.assign(error as Error, { items });
    }
  }

  #takeSomeInto(target: NumberArray<T>): Found<number> {
    const numbers = this.#prompt;
    if (numbers) return this.#takeUpTo(target.length, (count) => numbers.readInto(target, count));
    const items: T[] = []; // of a queue that redelivers, where numbers travel in blocks
    const said = this.#takeSome(items, target.length);
    if (said !== true) return said;
    (target as { set(values: ArrayLike<T>): void }).set(items);
    return items.length;
  }

  /** Calls `take`, which hears how many there are so far, until there are `max` or no more is there: how many. */
  #takeUpTo(max: number, take: (count: number) => number): Found<number> {
    let count = 0;
    while (count < max) {
      const said = take(count);
      if (said === SKIPPED) this.#parker.wake(this.#putters);
      else if (said > 0) count += said;
      else if (count > 0) break;
      else return this.#notTaken(said);
    }
    if (this.#kernel.waiting(this.#putters)) this.#parker.wake(this.#putters);
    return count;
  }

  #takeBatch(records: Records<T>, max: number): Found<number> {
    const said = records.takeMany(max);
    if (said > 0 || said === SKIPPED) {
      if (this.#kernel.waiting(this.#putters)) this.#parker.wake(this.#putters);
      return said > 0 ? said : this.#takeBatch(records, max);
    }
    return this.#notTaken(said);
  }

  /** Takes an item as a loan of its lender. */
  borrow(lender: Lends, timeout: number): T | typeof ENDED {
    lender.lending(true);
    try {
      return this.take(timeout);
    } finally {
      lender.lending(false);
    }
  }

  tryBorrow(lender: Lends): Found<T> {
    lender.lending(true);
    try {
      return this.tryTake();
    } finally {
      lender.lending(false);
    }
  }

  async borrowAsync(lender: Lends, options?: AsyncWaitOptions): Promise<T | typeof ENDED> {
    requireAsyncWaitOptions(options);
    const item = this.#parker.hasWaiters(this.#getters) ? AGAIN : this.tryBorrow(lender);
    if (item !== AGAIN) return item;
    return this.#parker.wait({ ...this.#taking(), attempt: () => this.tryBorrow(lender) }, options);
  }

  /** Shows the first item, which was taken, and others that are there, up to `max` in all: how many. The first error comes out in the end. */
  show(lender: Shows<T>, first: T, max: number, use: (view: View<T>) => void): number {
    let failure: { readonly error: unknown } | undefined;
    let count = 0;
    for (let lent: Found<T> = first; lent !== AGAIN && lent !== ENDED; ) {
      count++;
      try {
        lender.show(lent, use);
      } catch (error) {
        failure ??= { error };
      }
      lent = count < max && !this.#parker.hasWaiters(this.#getters) ? this.tryBorrow(lender) : AGAIN;
    }
    if (failure) throw failure.error;
    return count;
  }

  /** Whether there may be something to take. */
  get readable(): boolean {
    return this.#kernel.ringReadable(this.#queue.offset) !== 0 || this.#deliveries?.mayHaveReturned === true;
  }

  #taking(): Operation<T | typeof ENDED> {
    return { ...this.#reading(), attempt: () => this.tryTake() };
  }

  #reading(): Pick<Operation<never>, 'what' | 'object' | 'set' | 'passOn'> {
    return {
      what: `get from ${this.#queue.title}`,
      object: this.#queue,
      set: this.#getters,
      passOn: () => this.#kernel.waiting(this.#getters) !== 0 && this.readable,
    };
  }
}
