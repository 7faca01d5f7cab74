/**
 * Queue: a bounded first-in-first-out queue between threads. The ring: ../kernel/ring.ts; blocks: ../kernel/blocks.ts.
 *
 * Put  1. a number goes into the mail; anything else is encoded into a block that this thread owns, and what does not fit
 *         into pieces of the region behind it  2. the kernel claims a position and publishes  3. a consumer is woken if one waits
 * Get  1. the kernel takes the item  2. decode from the block, which is ours alone  3. free it, and wake a producer if one waits
 *
 * Bytes may be written and read where they lie: loans.ts.
 */
import type { Readable, Writable } from 'node:stream';
import type { ReadableStream, WritableStream } from 'node:stream/web';
import {
  BUSY,
  CLOSED,
  DONE,
  FREED,
  KIND_QUEUE,
  QUEUE_CODEC,
  QUEUE_GETTERS,
  QUEUE_LIMIT,
  QUEUE_PUTTERS,
  QUEUE_REDELIVERS,
  QUEUE_RESERVERS,
  QUEUE_TEXT,
  SKIPPED,
  WAKE,
} from '../kernel/layout.ts';
import { ClosedError, InvalidHandleError, RingfenceError, requireInteger, show } from '../memory/errors.ts';
import { LivePlace, revives, SharedObject } from '../memory/handles.ts';
import type { Kernel } from '../memory/kernel.ts';
import type { Place } from '../memory/region.ts';
import { OVER, type Selectable } from '../memory/selectable.ts';
import {
  AGAIN,
  type AsyncWaitOptions,
  type Operation,
  type Parker,
  requireAsyncWaitOptions,
  requireWaitOptions,
  spin,
  type WaitOptions,
} from '../memory/wait.ts';
import { type Codec, codec as codecs } from './codec.ts';
import { bytesOfNumber, create, MAX_CAPACITY, type QueueOptions } from './create.ts';
import { Finish } from './finish.ts';
import { codecOf } from './known.ts';
import { type CommitOptions, Loans, Received, Reservation, requireLoan } from './loans.ts';
import { isDownTo, Messages } from './messages.ts';
import { Numbers, requireNumberArray, Wides, Words } from './numbers.ts';
import type { Lends, Letter, NumberArray, Packed, Payloads, Prompt } from './payload.ts';
import { Records } from './records.ts';
import { Deliveries, type Held } from './redelivery.ts';
import { type QueueWritableOptions, readableOf, readableStreamOf, writableOf, writableStreamOf } from './streams.ts';
import { Struct, type View } from './struct.ts';

/** In place of an item whose payload is prepared already. */
const NONE: never = undefined as never;

/** What `#take` returns when the queue is closed and drained. */
const ENDED: unique symbol = Symbol('ended');

/**
 * Many producers, many consumers, in any threads. First in, first out for each producer; each item exactly once; never more
 * than `capacity` items. `put` waits while it is full and `get` while it is empty, so that producers and consumers balance.
 * Every value comes out as it went in, `null` and `undefined` included.
 *
 * @example
 * const queue = new Queue<string>({ capacity: 100 });
 * queue.put('first');
 * queue.get(); // 'first'
 */
export class Queue<T = unknown> extends SharedObject {
  /** @internal */ readonly kind: number = KIND_QUEUE;
  readonly capacity: number;
  /** @internal */ readonly codec: Codec<T>;
  readonly #kernel: Kernel;
  readonly #parker: Parker;
  readonly #payloads: Payloads<T>;
  readonly #prompt: Prompt<T> | undefined; // the same, when they are numbers
  readonly #deliveries: Deliveries<T> | undefined; // the same, of a queue that redelivers
  readonly #records: Records<T> | undefined; // the same, of structs
  readonly #loans: Loans | undefined; // of bytes
  readonly #finish: Finish;
  readonly #getters: number;
  readonly #putters: number;
  #wakesAt = Number.POSITIVE_INFINITY; // items that may be there when a producer is woken

  /** Makes an empty queue in the region. Throws RangeError, TypeError, RegionFullError. */
  constructor(options: QueueOptions<T>);
  /** @internal */
  constructor(place: LivePlace);
  constructor(options: QueueOptions<T> | LivePlace) {
    super(options instanceof LivePlace ? options : create(options));
    const { region, offset } = this;
    this.capacity = (region.i32[(offset + QUEUE_LIMIT) >> 2] ?? 0) / 2;
    this.#kernel = region.kernel;
    this.#parker = region.parker;
    const word = (at: number) => region.i32[(offset + at) >> 2] ?? 0;
    this.codec = codecOf<T>(region, word(QUEUE_CODEC), word(QUEUE_TEXT));
    this.#payloads = payloadsOf(this, this.codec);
    this.#prompt = this.#payloads instanceof Numbers ? this.#payloads : undefined;
    this.#deliveries = this.#payloads instanceof Deliveries ? this.#payloads : undefined;
    this.#records = this.#payloads instanceof Records ? this.#payloads : undefined;
    this.#finish = new Finish(this, this.#deliveries);
    if (this.#payloads instanceof Messages && this.codec === (codecs.bytes as unknown)) {
      this.#loans = new Loans(this, this.#payloads, () => this.#finish.settle());
    }
    this.#getters = offset + QUEUE_GETTERS;
    this.#putters = offset + QUEUE_PUTTERS;
  }

  /** Puts an item; blocks while the queue is full. Throws TimeoutError, ClosedError, CodecError, MessageTooLargeError. */
  put(value: T, options?: WaitOptions): void {
    if (options === undefined && this.#putNow(value)) return;
    const timeout = requireWaitOptions(options);
    const letter = this.#isBehind() ? AGAIN : this.#payloads.write(value);
    if (letter !== AGAIN && (this.#send(letter, value) || this.#sendSoon(letter, value))) return;
    this.#parker.block(this.#putting(value, letter), timeout);
  }

  /** Puts an item if there is room; never waits. Throws as `put`. */
  tryPut(value: T): boolean {
    if (this.#putNow(value)) return true;
    const letter = this.#isBehind() ? AGAIN : this.#payloads.write(value);
    if (letter === AGAIN) return false;
    const sent = this.#send(letter, value);
    if (!sent) this.#payloads.drop(letter);
    return sent;
  }

  /** The short way of a number, behind no promise of this thread; false when it must take the long one. */
  #putNow(value: T): boolean {
    return this.#prompt !== undefined && !this.#parker.hasWaiters(this.#putters) && this.#prompt.putNow(value);
  }

  /**
   * Puts an item without blocking the event loop; items of one thread keep the order of the calls. Leave the value as it is
   * until then: while no memory is free, it is not yet encoded. Rejects as `put` throws.
   */
  async putAsync(value: T, options?: AsyncWaitOptions): Promise<void> {
    requireAsyncWaitOptions(options);
    const letter = this.#payloads.write(value);
    if (letter !== AGAIN && !this.#parker.hasWaiters(this.#putters) && this.#send(letter, value)) return;
    return this.#parker.wait(this.#sending(value, letter), options);
  }

  /**
   * Puts all items in order, many at a time; blocks while the queue is full. When it throws, a first part of them may have
   * been put: the error's `done` says how many.
   */
  putMany(values: ArrayLike<T>, options?: WaitOptions): void {
    if (typeof values?.length !== 'number') throw new TypeError(`values must be array-like: got ${show(values)}`);
    const timeout = requireWaitOptions(options);
    const deadline = performance.now() + timeout;
    let done = 0;
    try {
      while (done < values.length) done += this.#putBatch(values, done, timeout, deadline);
    } catch (error) {
      throw Object.assign(error as Error, { done });
    }
  }

  #putBatch(values: ArrayLike<T>, from: number, timeout: number, deadline: number): number {
    const letters = this.#payloads.writeMany(values, from, this.#room);
    if (letters === 0) {
      this.#parker.block(this.#putting(values[from] as T, AGAIN), timeout, deadline);
      return 1;
    }
    let sent = 0;
    try {
      sent = this.#putPrepared(letters, 0, timeout, deadline);
    } finally {
      this.#payloads.dropMany(sent, letters);
    }
    return sent;
  }

  /** Puts what is prepared in the batch, but for the first `from` of it, as far as there is room: how many. */
  #putPrepared(letters: number, from: number, timeout: number, deadline: number): number {
    const attempt = () => (this.#isBehind() ? AGAIN : this.#sendBatch(letters, from) || AGAIN);
    let said = attempt();
    if (said === AGAIN) said = spin(attempt);
    if (said === AGAIN) said = this.#parker.block<number>({ ...this.#writing('putMany'), attempt }, timeout, deadline);
    if (this.#kernel.waiting(this.#getters)) this.#parker.wake(this.#getters);
    return said;
  }

  /**
   * As `putMany`, without blocking the event loop: none of what this thread puts later comes between. Leave the list as it is
   * until then. Rejects as `putMany` throws, or with `signal.reason`.
   */
  async putManyAsync(values: ArrayLike<T>, options?: AsyncWaitOptions): Promise<void> {
    if (typeof values?.length !== 'number') throw new TypeError(`values must be array-like: got ${show(values)}`);
    const put = this.#sendingMany(values);
    try {
      await this.#parker.wait(put, options);
    } catch (error) {
      throw error instanceof RingfenceError ? Object.assign(error, { done: put.done() }) : error;
    }
  }

  #sendingMany(values: ArrayLike<T>): Operation<void> & { done(): number } {
    let done = 0;
    let lone: Operation<void> | undefined; // the next item, for which there was no memory
    return {
      ...this.#writing('putMany'),
      done: () => done,
      attempt: () => {
        while (done < values.length) {
          const sent = lone ? Number(lone.attempt() !== AGAIN) : this.#sendSome(values, done);
          done += sent;
          if (sent > 0) lone = undefined;
          else if (lone) return AGAIN;
          else lone = this.#sending(values[done] as T, AGAIN);
        }
        return undefined;
      },
      abandon: () => lone?.abandon?.(),
    };
  }

  /** Sends what there is room for of `values` from index `from` on: how many. */
  #sendSome(values: ArrayLike<T>, from: number): number {
    return this.#sendPrepared(this.#payloads.writeMany(values, from, this.#room));
  }

  /** As far as one can see, and one in any case: the ring knows better. */
  get #room(): number {
    return Math.max(1, this.capacity - this.#kernel.ringSize(this.offset));
  }

  #sendPrepared(letters: number): number {
    if (letters === 0) return 0;
    let sent = 0;
    try {
      sent = this.#sendBatch(letters);
    } finally {
      this.#payloads.dropMany(sent, letters);
    }
    if (this.#kernel.waiting(this.#getters)) this.#parker.wake(this.#getters);
    return sent;
  }

  /** Sends the first of the `letters` prepared in the batch, or of those behind the first `from`: how many. */
  #sendBatch(letters: number, from = 0): number {
    const { record, slot } = this.region;
    const said = this.#records
      ? this.#records.sendMany(letters, from)
      : this.#kernel.ringPutMany(this.offset, this.serial, record, slot + 1, letters);
    if (said < 0) throw this.#refused(said);
    return said;
  }

  /** @internal Puts some of `values` from index `from` on, in order: how many; 0 when there is no room, or promises of this thread wait for it. */
  putSome(values: ArrayLike<T>, from: number): number {
    return this.#parker.hasWaiters(this.#putters) ? 0 : this.#sendSome(values, from);
  }

  /** @internal As `putSome`, of a queue of bytes, straight from where they are. */
  putPacked(packed: Packed, from: number): number {
    if (this.#parker.hasWaiters(this.#putters)) return 0;
    return this.#sendPrepared(this.#payloads.writePacked?.(packed, from, this.#room) ?? 0);
  }

  /** Takes the oldest item; blocks while the queue is empty. Throws TimeoutError, and ClosedError once it is closed and drained. */
  get(options?: WaitOptions): T {
    if (options === undefined && this.#prompt?.takeNow()) return this.#prompt.read();
    const item = this.#take(requireWaitOptions(options));
    if (item === ENDED) throw this.#refused(CLOSED);
    return item;
  }

  /** @internal As `put`, for a wait that will be long: sleeps at once where there is no room. */
  putPatiently(value: T): void {
    this.#parker.block(this.#putting(value, AGAIN), Number.POSITIVE_INFINITY);
  }

  /** @internal As `get`, for a wait that will be long. */
  getPatiently(): T {
    let item = this.#tryTake();
    if (item === AGAIN) item = this.#parker.block(this.#taking(), Number.POSITIVE_INFINITY);
    if (item === ENDED) throw this.#refused(CLOSED);
    return item;
  }

  /**
   * @internal From now on what this thread takes wakes a producer only when no more than half of the queue is full. For queues
   * all of whose consumers do that: a producer that waited then goes on for a while, and does not sleep again after one item.
   */
  wakeLate(): void {
    this.#wakesAt = this.capacity >> 1;
    if (this.#payloads instanceof Messages) this.#payloads.wakesAt = this.#wakesAt;
  }

  /** Takes the oldest item, or returns `undefined` when there is none; never waits. Throws ClosedError as `get`. */
  tryGet(): T | undefined {
    if (this.#prompt?.takeNow()) return this.#prompt.read();
    const item = this.#tryTake();
    if (item === ENDED) throw this.#refused(CLOSED);
    return item === AGAIN ? undefined : item;
  }

  /** Takes the oldest item without blocking the event loop. Rejects as `get` throws, or with `signal.reason`. */
  async getAsync(options?: AsyncWaitOptions): Promise<T> {
    requireAsyncWaitOptions(options);
    let item = this.#takeInTurn();
    if (item === AGAIN) item = await this.#parker.wait(this.#taking(), options);
    if (item === ENDED) throw this.#refused(CLOSED);
    return item;
  }

  /**
   * Takes at least one and at most `max` items, as many as are there; blocks while the queue is empty. Throws as `get`; when
   * an item cannot be read any more (what it refers to was freed), the error's `items` holds those that were taken before it.
   */
  getMany(max: number, options?: WaitOptions): T[] {
    requireInteger('max', max, 1, Number.MAX_SAFE_INTEGER);
    const timeout = requireWaitOptions(options);
    const items: T[] = [];
    const attempt = () => this.#takeMany(items, max);
    let taken = attempt();
    if (taken === AGAIN) taken = spin(attempt);
    if (taken === AGAIN) taken = this.#parker.block<true | typeof ENDED>({ ...this.#reading(), attempt }, timeout);
    if (taken === ENDED) throw this.#refused(CLOSED);
    return items;
  }

  /**
   * As `getMany`, for queues of numbers, into an array of yours in place of a new one: takes at least one item and at most as
   * many as the array has places, writes them from its start on, and returns how many. The array must be the one that holds
   * what the codec carries: `Int32Array` for `i32`, `Uint32Array` for `u32`, `Float64Array` for `f64`, `BigInt64Array` for
   * `i64`; then it is one copy. Throws as `get`, TypeError for other arrays and queues, RangeError for an array of no place.
   *
   * @example
   * const samples = new Queue({ capacity: 1024, codec: codec.f64 });
   * samples.putMany(new Float64Array([0.5, 1.5]));
   * const some = new Float64Array(256);
   * const count = samples.getManyInto(some); // 2
   * const mean = some.subarray(0, count).reduce((sum, sample) => sum + sample) / count;
   */
  getManyInto(target: NumberArray<T>, options?: WaitOptions): number {
    requireNumberArray(this.title, this.codec, target);
    const timeout = requireWaitOptions(options);
    const attempt = () => this.#takeInto(target);
    let taken = attempt();
    if (taken === AGAIN) taken = spin(attempt);
    if (taken === AGAIN) taken = this.#parker.block<number | typeof ENDED>({ ...this.#reading(), attempt }, timeout);
    if (taken === ENDED) throw this.#refused(CLOSED);
    return taken;
  }

  /**
   * As `getManyInto`, without blocking the event loop; the array is written when the promise is about to resolve. Rejects as
   * `getManyInto` throws, or with `signal.reason`.
   */
  async getManyIntoAsync(target: NumberArray<T>, options?: AsyncWaitOptions): Promise<number> {
    requireNumberArray(this.title, this.codec, target);
    const attempt = () => this.#takeInto(target);
    const taken = await this.#parker.wait<number | typeof ENDED>({ ...this.#reading(), attempt }, options);
    if (taken === ENDED) throw this.#refused(CLOSED);
    return taken;
  }

  /** As `getMany`, without blocking the event loop. Rejects as `getMany` throws, or with `signal.reason`. */
  async getManyAsync(max: number, options?: AsyncWaitOptions): Promise<T[]> {
    requireInteger('max', max, 1, Number.MAX_SAFE_INTEGER);
    const items: T[] = [];
    const attempt = () => this.#takeMany(items, max);
    const taken = await this.#parker.wait<true | typeof ENDED>({ ...this.#reading(), attempt }, options);
    if (taken === ENDED) throw this.#refused(CLOSED);
    return items;
  }

  /** @internal What is there, up to `max` items; undefined when there is nothing, or promises of this thread wait for it. */
  takeSome(max: number): T[] | undefined {
    const items: T[] = [];
    if (this.#parker.hasWaiters(this.#getters)) return undefined;
    return this.#takeMany(items, max) === true ? items : undefined;
  }

  /** @internal As `takeSome`, of a queue that redelivers, for others: `acknowledge` and `giveBack` say what became of it. */
  holdSome(max: number): Held<T>[] | undefined {
    if (this.#parker.hasWaiters(this.#getters)) return undefined;
    const held = this.#hold(max);
    return held === AGAIN || held === ENDED ? undefined : held;
  }

  /** @internal As that, and waits. Rejects as `getManyAsync`. */
  async holdManyAsync(max: number, options?: AsyncWaitOptions): Promise<Held<T>[]> {
    const attempt = () => this.#hold(max);
    const held = await this.#parker.wait<Held<T>[] | typeof ENDED>({ ...this.#reading(), attempt }, options);
    if (held === ENDED) throw this.#refused(CLOSED);
    return held;
  }

  #hold(max: number): Held<T>[] | typeof AGAIN | typeof ENDED {
    const deliveries = this.#deliveries as Deliveries<T>; // the caller knows
    const before = deliveries.acknowledgeable;
    const items: T[] = [];
    let said: true | typeof AGAIN | typeof ENDED;
    try {
      said = this.#takeMany(items, max);
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

  /** @internal Says that items which are held are dealt with. */
  acknowledge(held: readonly Held<T>[]): void {
    this.region.check(this);
    for (const { block } of held) this.#deliveries?.release(block);
    this.#finish.settle();
  }

  /** @internal Gives back items which are held. */
  giveBack(held: readonly Held<T>[]): void {
    this.region.check(this);
    for (const { block } of held) this.#deliveries?.giveBack(block);
    for (let i = 0; i < held.length && this.#kernel.waiting(this.#getters); i++) this.#parker.wake(this.#getters);
  }

  #takeMany(items: T[], max: number): true | typeof AGAIN | typeof ENDED {
    try {
      const taken = this.#takeUpTo(max, (count) => this.#payloads.readMany(items, max - count));
      return taken === AGAIN || taken === ENDED ? taken : true;
    } catch (error) {
      throw Object.assign(error as Error, { items });
    }
  }

  #takeInto(target: NumberArray<T>): number | typeof AGAIN | typeof ENDED {
    const numbers = this.#prompt;
    if (numbers) return this.#takeUpTo(target.length, (count) => numbers.readInto(target, count));
    const items: T[] = []; // of a queue that redelivers, where numbers travel in blocks
    const said = this.#takeMany(items, target.length);
    if (said !== true) return said;
    (target as { set(values: ArrayLike<T>): void }).set(items);
    return items.length;
  }

  /** Calls `take`, which hears how many there are so far, until there are `max` or no more is there: how many. */
  #takeUpTo(max: number, take: (count: number) => number): number | typeof AGAIN | typeof ENDED {
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

  /**
   * Puts a record, for queues of a `codec.struct`: `fill` writes it into a view, in which all is zero before, and no object
   * is made. Blocks while the queue is full, after `fill` has returned; the view is good until then. What `fill` throws comes
   * out, and nothing was put. Throws as `put`, and TypeError for other queues.
   *
   * @example
   * const ticks = new Queue({ capacity: 1024, codec: codec.struct({ at: 'f64', price: 'f64' }) });
   * ticks.produce((tick) => {
   *   tick.at = Date.now();
   *   tick.price = 9.5;
   * });
   * ticks.consume((tick) => tick.price); // 9.5
   */
  produce(fill: (view: View<T>) => void, options?: WaitOptions): void {
    const timeout = requireWaitOptions(options);
    const letter = this.#recordsFor('produce', fill).fill(fill);
    if (!this.#isBehind() && (this.#send(letter, NONE) || this.#sendSoon(letter, NONE))) return;
    this.#parker.block(this.#putting(NONE, letter), timeout);
  }

  /** As `produce`, if there is room; never waits. */
  tryProduce(fill: (view: View<T>) => void): boolean {
    const letter = this.#recordsFor('tryProduce', fill).fill(fill);
    const sent = !this.#isBehind() && this.#send(letter, NONE);
    if (!sent) this.#payloads.drop(letter);
    return sent;
  }

  /** As `produce`, without blocking the event loop; `fill` runs at once. */
  async produceAsync(fill: (view: View<T>) => void, options?: AsyncWaitOptions): Promise<void> {
    requireAsyncWaitOptions(options);
    const letter = this.#recordsFor('produceAsync', fill).fill(fill);
    if (!this.#parker.hasWaiters(this.#putters) && this.#send(letter, NONE)) return;
    return this.#parker.wait(this.#sending(NONE, letter), options);
  }

  /**
   * Puts `count` records, many at a time: `fill` is called for each in turn, with its number from 0 on. When it throws, or the
   * wait ends, a first part of them was put: the error's `done` says how many.
   */
  produceMany(count: number, fill: (view: View<T>, index: number) => void, options?: WaitOptions): void {
    requireInteger('count', count, 0, Number.MAX_SAFE_INTEGER);
    const records = this.#recordsFor('produceMany', fill);
    const timeout = requireWaitOptions(options);
    const deadline = performance.now() + timeout;
    let done = 0;
    try {
      while (done < count) {
        const letters = records.fillMany(fill, done, count - done);
        try {
          for (let sent = 0; sent < letters; ) {
            const more = this.#putPrepared(letters, sent, timeout, deadline);
            sent += more;
            done += more;
          }
          if (records.failure) throw records.failure.error;
        } finally {
          records.dropMany();
        }
      }
    } catch (error) {
      throw typeof error === 'object' && error !== null ? Object.assign(error, { done }) : error;
    }
  }

  /**
   * Takes the oldest record and hands a view of it to `use`, for queues of a `codec.struct`; returns what that returns. No
   * object is made. The view is good until `use` returns, and then throws; `toObject` of the struct makes an object of it.
   * Blocks while the queue is empty. Throws as `get`, and TypeError for other queues; what `use` throws comes out, and the
   * record was taken.
   */
  consume<R>(use: (view: View<T>) => R, options?: WaitOptions): R {
    const records = this.#recordsFor('consume', use);
    const view = this.#borrow(records, requireWaitOptions(options));
    if (view === ENDED) throw this.#refused(CLOSED);
    return this.#use(records, view, use);
  }

  /** As `consume`, if there is a record; never waits. Whether there was one. */
  tryConsume(use: (view: View<T>) => void): boolean {
    const view = this.#tryBorrow(this.#recordsFor('tryConsume', use));
    if (view === ENDED) throw this.#refused(CLOSED);
    if (view !== AGAIN) this.#use(this.#records as Records<T>, view, use);
    return view !== AGAIN;
  }

  /** As `consume`, without blocking the event loop. The view is good until `use` returns, not until its promise is settled. */
  async consumeAsync<R>(use: (view: View<T>) => R, options?: AsyncWaitOptions): Promise<Awaited<R>> {
    const records = this.#recordsFor('consumeAsync', use);
    const view = await this.#borrowAsync(records, options);
    if (view === ENDED) throw this.#refused(CLOSED);
    return await this.#use(records, view, use);
  }

  /**
   * Takes at least one and at most `max` records, as many as are there and a batch of this thread has room for, and hands
   * each to `use` in turn: how many. Blocks while the queue is empty. When `use` throws, the others are still handed to it, and
   * the first error comes out in the end. Throws as `consume`.
   */
  consumeMany(max: number, use: (view: View<T>) => void, options?: WaitOptions): number {
    requireInteger('max', max, 1, Number.MAX_SAFE_INTEGER);
    const records = this.#recordsFor('consumeMany', use);
    const timeout = requireWaitOptions(options);
    const attempt = () => this.#takeBatch(records, max);
    let count = attempt();
    if (count === AGAIN) count = spin(attempt);
    if (count === AGAIN) count = this.#parker.block<number | typeof ENDED>({ ...this.#reading(), attempt }, timeout);
    if (count === ENDED) throw this.#refused(CLOSED);
    records.useBatch(count, use);
    return count;
  }

  #takeBatch(records: Records<T>, max: number): number | typeof AGAIN | typeof ENDED {
    const said = records.takeMany(max);
    if (said > 0 || said === SKIPPED) {
      if (this.#kernel.waiting(this.#putters)) this.#parker.wake(this.#putters);
      return said > 0 ? said : this.#takeBatch(records, max);
    }
    return this.#notTaken(said);
  }

  /** Takes an item as a loan of its lender. */
  #borrow(lender: Lends, timeout: number): T | typeof ENDED {
    lender.lending(true);
    try {
      return this.#take(timeout);
    } finally {
      lender.lending(false);
    }
  }

  #tryBorrow(lender: Lends): T | typeof AGAIN | typeof ENDED {
    lender.lending(true);
    try {
      return this.#tryTake();
    } finally {
      lender.lending(false);
    }
  }

  async #borrowAsync(lender: Lends, options?: AsyncWaitOptions): Promise<T | typeof ENDED> {
    requireAsyncWaitOptions(options);
    const item = this.#parker.hasWaiters(this.#getters) ? AGAIN : this.#tryBorrow(lender);
    if (item !== AGAIN) return item;
    return this.#parker.wait({ ...this.#taking(), attempt: () => this.#tryBorrow(lender) }, options);
  }

  #use<R>(records: Records<T>, view: T, use: (view: View<T>) => R): R {
    try {
      return use(view as unknown as View<T>);
    } finally {
      records.giveBack(view);
    }
  }

  #recordsFor(verb: string, work: unknown): Records<T> {
    if (!this.#records)
      throw new TypeError(`${verb} needs a queue of a codec.struct that does not redeliver: ${this.title} is none`);
    if (typeof work !== 'function') {
      throw new TypeError(`${verb.includes('roduce') ? 'fill' : 'use'} must be a function: got ${show(work)}`);
    }
    return this.#records;
  }

  /**
   * Memory of the queue for a message of so many bytes, for queues of `codec.bytes`: write it into `bytes` of the reservation,
   * and `commit` that. What was there before is still there. Blocks while no memory is free: there are blocks for as many
   * messages as the capacity and 16 more, what is written and read just now among them. A reservation that is not to be sent
   * must be abandoned; `using` does that. Throws RangeError for less than a byte, MessageTooLargeError for more than the
   * region could ever hold in one piece, TimeoutError, ClosedError, and TypeError for other queues.
   *
   * @example
   * const frames = new Queue({ capacity: 8, codec: codec.bytes });
   * const frame = frames.reserve(1_000_000);
   * frame.bytes.fill(7);
   * frames.commit(frame);
   * const next = frames.receive();
   * const first = next.bytes[0]; // 7
   * next.release();
   */
  reserve(bytes: number, options?: WaitOptions): Reservation {
    const timeout = requireWaitOptions(options);
    return this.#blocking(this.#loansFor('reserve').reserving('reserve', bytes), timeout);
  }

  /** As `reserve`; undefined when no memory is free. Never waits. */
  tryReserve(bytes: number): Reservation | undefined {
    const reservation = this.#loansFor('tryReserve').reserving('tryReserve', bytes).attempt();
    return reservation === AGAIN ? undefined : reservation;
  }

  /** As `reserve`, without blocking the event loop. */
  async reserveAsync(bytes: number, options?: AsyncWaitOptions): Promise<Reservation> {
    return this.#parker.wait(this.#loansFor('reserveAsync').reserving('reserveAsync', bytes), options);
  }

  /**
   * Puts the message of a reservation, or its first `length` bytes, without a copy; blocks while the queue is full. Its `bytes`
   * cannot be used any more. Throws TypeError for a reservation of another queue, InvalidHandleError for one that was
   * committed or abandoned, TimeoutError, after which it can be committed again, and ClosedError, which gives its memory back.
   */
  commit(reservation: Reservation, options?: WaitOptions & CommitOptions): void {
    const timeout = requireWaitOptions(options);
    this.#blocking(this.#inTurn(this.#committing(reservation, options?.length)), timeout);
  }

  /** As `commit`, if there is room; never waits. When there is none, the reservation is as it was. */
  tryCommit(reservation: Reservation, options: CommitOptions = {}): boolean {
    const put = this.#inTurn(this.#committing(reservation, options.length));
    if (put.attempt() !== AGAIN) return true;
    put.abandon?.();
    return false;
  }

  /** As `commit`, without blocking the event loop; in the order of the calls, together with `putAsync`. */
  async commitAsync(reservation: Reservation, options?: AsyncWaitOptions & CommitOptions): Promise<void> {
    requireAsyncWaitOptions(options);
    return this.#parker.wait(this.#committing(reservation, options?.length), options);
  }

  /**
   * Takes the oldest message and leaves it where it lies, for queues of `codec.bytes`: read `bytes` of what is returned, and
   * `release` it. Until then its memory is this thread's, and in a queue that redelivers so is the message, which a death
   * brings back; to release it there acknowledges it, in place of `taskDone`. Blocks while the queue is empty. A message that
   * had no room in one piece is copied. Throws as `get`, and TypeError for other queues.
   */
  receive(options?: WaitOptions): Received {
    const loans = this.#loansFor('receive');
    return this.#received(loans, this.#borrow(loans.messages, requireWaitOptions(options)));
  }

  /** As `receive`; undefined when there is none. Never waits. */
  tryReceive(): Received | undefined {
    const loans = this.#loansFor('tryReceive');
    const letter = this.#tryBorrow(loans.messages);
    return letter === AGAIN ? undefined : this.#received(loans, letter);
  }

  /** As `receive`, without blocking the event loop. */
  async receiveAsync(options?: AsyncWaitOptions): Promise<Received> {
    const loans = this.#loansFor('receiveAsync');
    return this.#received(loans, await this.#borrowAsync(loans.messages, options));
  }

  /**
   * Gives the memory of a message that was received back, as its own `release` does. Throws TypeError for a message of another
   * queue, and InvalidHandleError for one that was released already.
   */
  release(message: Received): void {
    requireLoan('message', message, Received);
    message.releaseTo(this);
  }

  #loansFor(verb: string): Loans {
    if (!this.#loans) throw new TypeError(`${verb} needs a queue of codec.bytes: ${this.title} is none`);
    return this.#loans;
  }

  #received(loans: Loans, letter: T | typeof ENDED): Received {
    if (letter === ENDED) throw this.#refused(CLOSED);
    return new Received(loans, letter as Letter);
  }

  #committing(reservation: Reservation, length: number | undefined): Operation<void> {
    requireLoan('reservation', reservation, Reservation);
    return reservation.sent(this.#sending(NONE, reservation.begin(this, length)));
  }

  #blocking<R>(operation: Operation<R>, timeout: number): R {
    let result = operation.attempt();
    if (result === AGAIN) result = spin(() => operation.attempt());
    return result === AGAIN ? this.#parker.block(operation, timeout) : result;
  }

  /** Closes it: `put` throws ClosedError from now on, `get` drains what is there and then throws it. Closing twice is fine. */
  close(): void {
    this.region.check(this);
    this.#kernel.ringClose(this.offset);
    for (const set of [this.#getters, this.#putters, this.offset + QUEUE_RESERVERS]) this.#parker.wakeAll(set);
  }

  /** Closes it, drops what is in it, and returns the memory; any later use, in any thread, throws InvalidHandleError. */
  override free(): void {
    this.region.check(this);
    this.#kernel.ringClose(this.offset);
    this.#payloads.clear();
    super.free();
  }

  /** Whether `close` was called. */
  get closed(): boolean {
    this.region.check(this);
    return this.#kernel.ringClosed(this.offset) !== 0;
  }

  /** Items in the queue at some instant during the call; may be stale when it returns. */
  get size(): number {
    this.region.check(this);
    return this.#kernel.ringSize(this.offset) + (this.#deliveries?.returned ?? 0);
  }

  /** @internal Whether what a thread has taken comes back when it dies. */
  get redelivers(): boolean {
    return this.#deliveries !== undefined;
  }

  /** Whether it was empty at some instant during the call; may be stale when it returns. */
  get empty(): boolean {
    return this.size === 0;
  }

  /** Whether it was full at some instant during the call; may be stale when it returns. */
  get full(): boolean {
    return this.size >= this.capacity;
  }

  /**
   * Says that `n` items which were taken are dealt with; of a queue that redelivers, those which this thread took first of all
   * that it has not said this for. Throws RangeError when there are not so many.
   */
  taskDone(n = 1): void {
    requireInteger('n', n, 1, MAX_CAPACITY);
    this.#finish.done(n);
  }

  /**
   * Blocks until `taskDone` was called for every item that was put. Throws TimeoutError.
   *
   * Throws ThreadDiedError when a thread died while items were taken and not done, since nobody will be done with those that it
   * had; whose they were is not known. Who knows that others have them joins again. A queue that redelivers gives them back
   * instead, and its `join` goes on.
   */
  join(options?: WaitOptions): void {
    const timeout = requireWaitOptions(options);
    const join = this.#finish.joining();
    if (join.attempt() === AGAIN) this.#parker.block(join, timeout);
  }

  /** As `join`, without blocking the event loop. */
  joinAsync(options?: AsyncWaitOptions): Promise<void> {
    return this.#parker.wait(this.#finish.joining(), options);
  }

  /** Takes items, blocking, until the queue is closed and drained. */
  *[Symbol.iterator](): Iterator<T> {
    for (;;) {
      const item = this.#take(Number.POSITIVE_INFINITY);
      if (item === ENDED) return;
      yield item;
    }
  }

  /** Takes items, without blocking the event loop, until the queue is closed and drained. */
  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (;;) {
      let item = this.#takeInTurn();
      if (item === AGAIN) item = await this.#parker.wait(this.#taking());
      if (item === ENDED) return;
      yield item;
    }
  }

  #take(timeout: number): T | typeof ENDED {
    let item = this.#tryTake();
    if (item === AGAIN) item = spin(this.#tryAgain);
    return item === AGAIN ? this.#parker.block(this.#taking(), timeout) : item;
  }

  readonly #tryAgain = (): T | typeof AGAIN | typeof ENDED => this.#tryTake();

  #tryTake(): T | typeof AGAIN | typeof ENDED {
    const said = this.#payloads.take();
    if (said === DONE) return this.#payloads.read();
    if (said === SKIPPED) {
      this.#parker.wake(this.#putters);
      return this.#tryTake();
    }
    if (said !== WAKE) return this.#notTaken(said);
    try {
      return this.#payloads.read();
    } finally {
      if (isDownTo(this, this.#wakesAt)) this.#parker.wake(this.#putters);
    }
  }

  /** As `#tryTake`, behind the promises of this thread that came first. */
  #takeInTurn(): T | typeof AGAIN | typeof ENDED {
    return this.#parker.hasWaiters(this.#getters) ? AGAIN : this.#tryTake();
  }

  #notTaken(said: number): typeof AGAIN | typeof ENDED {
    if (said === FREED) throw this.#refused(said);
    if (said !== CLOSED) return AGAIN;
    // what others hold may come back; who holds some himself does not wait for others, who may wait for him
    const { mine = 1, open = false } = this.#deliveries ?? {};
    return mine === 0 && open ? AGAIN : ENDED;
  }

  #readable(): boolean {
    return this.#kernel.ringReadable(this.offset) !== 0 || this.#deliveries?.mayHaveReturned === true;
  }

  #taking(): Operation<T | typeof ENDED> {
    return { ...this.#reading(), attempt: () => this.#tryTake() };
  }

  #reading(): Pick<Operation<never>, 'what' | 'object' | 'set' | 'passOn'> {
    return {
      what: `get from ${this.title}`,
      object: this,
      set: this.#getters,
      passOn: () => this.#kernel.waiting(this.#getters) !== 0 && this.#readable(),
    };
  }

  #writing(verb: string): Pick<Operation<never>, 'what' | 'object' | 'set' | 'passOn'> {
    return {
      what: `${verb} to ${this.title}`,
      object: this,
      set: this.#putters,
      passOn: () => this.#kernel.waiting(this.#putters) !== 0 && this.#kernel.ringWritable(this.offset) !== 0,
    };
  }

  /** A put of synchronous code: promises of this thread that came first go first. */
  #putting(value: T, written: Letter | typeof AGAIN): Operation<void> {
    return this.#inTurn(this.#sending(value, written));
  }

  #inTurn(put: Operation<void>): Operation<void> {
    return { ...put, attempt: () => (this.#isBehind() ? AGAIN : put.attempt()) };
  }

  /** Whether promises of this thread still wait to put, after those were served that can go on. */
  #isBehind(): boolean {
    if (!this.#parker.hasWaiters(this.#putters)) return false;
    this.#parker.serve(this.#putters);
    return this.#parker.hasWaiters(this.#putters);
  }

  #sending(value: T, written: Letter | typeof AGAIN): Operation<void> {
    let letter = written;
    let lacking = letter === AGAIN ? this.#payloads.lacking : 0;
    return {
      ...this.#writing('put'),
      attempt: () => {
        if (letter === AGAIN && this.#payloads.hasRoom(lacking)) {
          letter = this.#payloads.write(value);
          lacking = this.#payloads.lacking;
        }
        return letter !== AGAIN && this.#send(letter, value) ? undefined : AGAIN;
      },
      abandon: () => {
        if (letter !== AGAIN) this.#payloads.drop(letter);
      },
    };
  }

  #sendSoon(letter: Letter, value: T): boolean {
    return spin(() => this.#send(letter, value) || AGAIN) === true;
  }

  /** Sends a letter; false when the queue is full. */
  #send(letter: Letter, value: T): boolean {
    const said = this.#payloads.send(letter, value);
    if (said === DONE) return true;
    if (said === BUSY) return false;
    if (said !== WAKE) throw this.#refused(said, letter);
    this.#parker.wake(this.#getters);
    return true;
  }

  #refused(said: number, letter?: Letter): Error {
    if (said === FREED) return new InvalidHandleError(`the queue at offset ${this.offset} was freed`);
    if (letter !== undefined) this.#payloads.drop(letter);
    return new ClosedError(this.title);
  }

  /**
   * A stream of Node of the items, until the queue is closed and drained. It takes an item ahead; one that is destroyed may
   * lose that item, and leaves the queue open. `null` cannot be carried, and is an error.
   */
  readable(): Readable {
    return readableOf(this);
  }

  /**
   * A stream of Node into the queue: a chunk is written when the queue had room for it. It closes the queue when it ends,
   * unless `end` is false; one that is destroyed leaves it open.
   */
  writable(options?: QueueWritableOptions): Writable {
    return writableOf(this, options);
  }

  /** As `readable`, a stream of the Web; it takes nothing ahead. */
  readableStream(): ReadableStream<T> {
    return readableStreamOf(this);
  }

  /** As `writable`, a stream of the Web. */
  writableStream(options?: QueueWritableOptions): WritableStream<T> {
    return writableStreamOf(this, options);
  }

  /** @internal What `select` needs. */
  selectable(): Selectable<T> {
    return {
      object: this,
      set: this.#getters,
      ready: () => this.#readable(),
      take: () => {
        const item = this.#tryTake();
        return item === ENDED ? OVER : item;
      },
    };
  }
}

function payloadsOf<T>(place: Place, codec: Codec<T>): Payloads<T> {
  if (place.region.i32[(place.offset + QUEUE_REDELIVERS) >> 2] === 1) return new Deliveries(place, codec);
  if (codec instanceof Struct) return new Records<T>(place, codec as unknown as Struct<T>);
  if (!codec.inline) return new Messages(place, codec);
  const Class = bytesOfNumber(codec) === 8 ? Wides : Words;
  return new Class(place, codec as never) as unknown as Payloads<T>;
}

revives(KIND_QUEUE, (place) => new Queue(place));
