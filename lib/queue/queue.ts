/**
 * Queue: a bounded first-in-first-out queue between threads. The ring: ../kernel/ring.ts; blocks: ../kernel/blocks.ts.
 *
 * Put  1. a number goes into the mail; anything else is encoded into a block that this thread owns, and what does not fit
 *         into pieces of the region behind it  2. the kernel claims a position and publishes  3. a consumer is woken if one waits
 * Get  1. the kernel takes the item  2. decode from the block, which is ours alone  3. free it, and wake a producer if one waits
 */
import type { Readable, Writable } from 'node:stream';
import type { ReadableStream, WritableStream } from 'node:stream/web';
import {
  BLOCK_DATA,
  BUSY,
  CLOSED,
  DONE,
  FREED,
  KIND_QUEUE,
  QUEUE_BEREFT,
  QUEUE_BLOCK_STRIDE,
  QUEUE_BLOCKS,
  QUEUE_BLOCKS_AT,
  QUEUE_CODEC,
  QUEUE_FINISHED,
  QUEUE_GETTERS,
  QUEUE_HEAD,
  QUEUE_HEAD_SEEN,
  QUEUE_JOINERS,
  QUEUE_LIMIT,
  QUEUE_MASK,
  QUEUE_NUMBER_SHIFT,
  QUEUE_NUMBERS_AT,
  QUEUE_PUTTERS,
  QUEUE_RECORD,
  QUEUE_REDELIVERS,
  QUEUE_SLOT_SHIFT,
  QUEUE_SLOTS,
  QUEUE_TAIL,
  QUEUE_TEXT,
  SKIPPED,
  SLOT_SHIFT,
  SPARE_BLOCKS,
  WAKE,
} from '../kernel/layout.ts';
import {
  ClosedError,
  InvalidHandleError,
  RingfenceError,
  requireInteger,
  show,
  ThreadDiedError,
} from '../memory/errors.ts';
import { LivePlace, placement, revives, SharedObject, type SharedObjectOptions } from '../memory/handles.ts';
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
import { codecOf, knownAs, putKnown } from './known.ts';
import { Messages } from './messages.ts';
import { Numbers, Wides, Words } from './numbers.ts';
import type { Letter, Packed, Payloads, Prompt } from './payload.ts';
import { Records } from './records.ts';
import { Deliveries, type Held } from './redelivery.ts';
import { type QueueWritableOptions, readableOf, readableStreamOf, writableOf, writableStreamOf } from './streams.ts';
import { Struct, type View } from './struct.ts';

const MAX_CAPACITY = 2 ** 24;
const MAX_BLOCK_BYTES = 2 ** 24;
const DEFAULT_BLOCK_BYTES = 240; // with its header four cache lines

/** Options of `new Queue`. */
export interface QueueOptions<T> extends SharedObjectOptions {
  /** How many items it holds at the most, 1 to 16,777,216. */
  capacity: number;
  /** How items become bytes; `codec.any` by default: all that `structuredClone` carries. */
  codec?: Codec<T> | Codec<unknown> | undefined;
  /** Bytes of a message that need no further memory, 16 to 16,777,216; 240 by default. Longer messages work, more slowly. */
  blockBytes?: number | undefined;
  /**
   * Whether an item that a thread has taken stays that thread's until it calls `taskDone` for it: if it dies first, the item
   * comes back, before newer ones, to whoever takes the next. False by default: the item is lost with it.
   */
  redeliver?: boolean | undefined;
  /** @internal Where the positions start, for the specs of the wrap. */
  position?: number;
}

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
  readonly #getters: number;
  readonly #putters: number;
  #mourned = 0; // the death of which a join of this thread has heard

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
    const before = deliveries.mine;
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
    this.#settled();
  }

  /** @internal Gives back items which are held. */
  giveBack(held: readonly Held<T>[]): void {
    this.region.check(this);
    for (const { block } of held) this.#deliveries?.giveBack(block);
    for (let i = 0; i < held.length && this.#kernel.waiting(this.#getters); i++) this.#parker.wake(this.#getters);
  }

  #takeMany(items: T[], max: number): true | typeof AGAIN | typeof ENDED {
    try {
      while (items.length < max) {
        const said = this.#payloads.readMany(items, max - items.length);
        if (said === SKIPPED) this.#parker.wake(this.#putters);
        if (said > 0 || said === SKIPPED) continue;
        if (items.length > 0) break;
        return this.#notTaken(said);
      }
    } catch (error) {
      throw Object.assign(error as Error, { items });
    }
    if (this.#kernel.waiting(this.#putters)) this.#parker.wake(this.#putters);
    return true;
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
    const timeout = requireWaitOptions(options);
    let view: T | typeof ENDED;
    records.lending(true);
    try {
      view = this.#take(timeout);
    } finally {
      records.lending(false);
    }
    if (view === ENDED) throw this.#refused(CLOSED);
    return this.#use(records, view, use);
  }

  /** As `consume`, if there is a record; never waits. Whether there was one. */
  tryConsume(use: (view: View<T>) => void): boolean {
    const view = this.#lend(this.#recordsFor('tryConsume', use));
    if (view === ENDED) throw this.#refused(CLOSED);
    if (view !== AGAIN) this.#use(this.#records as Records<T>, view, use);
    return view !== AGAIN;
  }

  /** As `consume`, without blocking the event loop. The view is good until `use` returns, not until its promise is settled. */
  async consumeAsync<R>(use: (view: View<T>) => R, options?: AsyncWaitOptions): Promise<Awaited<R>> {
    const records = this.#recordsFor('consumeAsync', use);
    requireAsyncWaitOptions(options);
    let view = this.#parker.hasWaiters(this.#getters) ? AGAIN : this.#lend(records);
    if (view === AGAIN) {
      view = await this.#parker.wait({ ...this.#taking(), attempt: () => this.#lend(records) }, options);
    }
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

  #lend(records: Records<T>): T | typeof AGAIN | typeof ENDED {
    records.lending(true);
    try {
      return this.#tryTake();
    } finally {
      records.lending(false);
    }
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

  /** Closes it: `put` throws ClosedError from now on, `get` drains what is there and then throws it. Closing twice is fine. */
  close(): void {
    this.region.check(this);
    this.#kernel.ringClose(this.offset);
    for (const set of [this.#getters, this.#putters]) this.#parker.wakeAll(set);
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
    this.region.check(this);
    if (this.#deliveries) {
      this.#acknowledge(this.#deliveries, n);
      return;
    }
    const said = this.#kernel.ringFinish(this.offset, n);
    if (said === BUSY) {
      const open = this.#kernel.ringUnfinished(this.offset);
      throw new RangeError(
        `n must be at most the items of ${this.title} that are not done: got ${n}, there are ${open}`,
      );
    }
    const bereft = (this.offset + QUEUE_BEREFT) >> 2;
    if (this.region.i32[bereft] !== 0 && this.#kernel.ringUnfinished(this.offset) === 0) this.region.i32[bereft] = 0;
    if (said === WAKE) this.#parker.wakeAll(this.offset + QUEUE_JOINERS);
  }

  #acknowledge(deliveries: Deliveries<T>, n: number): void {
    const { mine } = deliveries;
    if (mine < n) {
      const open = `there are ${mine}`;
      throw new RangeError(
        `n must be at most the items of ${this.title} that this thread has taken: got ${n}, ${open}`,
      );
    }
    deliveries.acknowledge(n);
    if (mine === n) this.#settled();
  }

  /** Whoever acknowledges the last item of all sees both, and wakes those who wait for that. */
  #settled(): void {
    if (this.#kernel.ringSize(this.offset) > 0) return;
    for (const set of [this.offset + QUEUE_JOINERS, this.#getters]) {
      if (this.#kernel.waiting(set) && (set !== this.#getters || this.closed)) this.#parker.wakeAll(set);
    }
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
    const join = this.#joining();
    if (join.attempt() === AGAIN) this.#parker.block(join, timeout);
  }

  /** As `join`, without blocking the event loop. */
  joinAsync(options?: AsyncWaitOptions): Promise<void> {
    return this.#parker.wait(this.#joining(), options);
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
      this.#parker.wake(this.#putters);
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

  #joining(): Operation<void> {
    return {
      what: `join of ${this.title}`,
      object: this,
      set: this.offset + QUEUE_JOINERS,
      attempt: () => {
        this.region.check(this);
        const settled = this.#deliveries?.settled ?? this.#kernel.ringUnfinished(this.offset) === 0;
        if (!settled) this.#mourn();
        return settled ? undefined : AGAIN;
      },
      passOn: () => false,
    };
  }

  /** Throws once for each death after which a `join` may wait for ever. */
  #mourn(): void {
    const death = this.region.i32[(this.offset + QUEUE_BEREFT) >> 2] as number;
    if (death === 0 || death === this.#mourned) return;
    this.#mourned = death;
    const open = this.#kernel.ringUnfinished(this.offset) - this.#kernel.ringSize(this.offset);
    throw new ThreadDiedError(
      `a thread died while items of ${this.title} were taken and not done, of which there are ${open}: ` +
        'without { redeliver: true } those that it had are lost',
    );
  }

  /** A put of synchronous code: promises of this thread that came first go first. */
  #putting(value: T, written: Letter | typeof AGAIN): Operation<void> {
    const send = this.#sending(value, written);
    return { ...send, attempt: () => (this.#isBehind() ? AGAIN : send.attempt()) };
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

/** Bytes of the numbers that an inline codec carries; undefined for others. */
function bytesOfNumber({ inline }: Codec<unknown>): 4 | 8 | undefined {
  return inline && (inline === 'f64' || inline === 'i64' ? 8 : 4);
}

function create<T>(options: QueueOptions<T>): Place {
  const { region, name } = placement(options);
  const { capacity, blockBytes = DEFAULT_BLOCK_BYTES, position = 0, redeliver = false } = options;
  requireInteger('capacity', capacity, 1, MAX_CAPACITY);
  requireInteger('blockBytes', blockBytes, 16, MAX_BLOCK_BYTES);
  if (typeof redeliver !== 'boolean') throw new TypeError(`redeliver must be true or false: got ${show(redeliver)}`);
  const codec = (options.codec ?? codecs.any) as Codec<unknown>;
  const known = knownAs(codec);
  const record = codec instanceof Struct && !redeliver ? codec.bytes : 0;
  const number = redeliver ? undefined : bytesOfNumber(codec);
  const slots = 2 ** Math.ceil(Math.log2(capacity + 1)); // one more than the capacity, for the closing mark
  const shift = Math.ceil(Math.log2(2 ** SLOT_SHIFT + record));
  const blocks = record || number ? 0 : capacity * (redeliver ? 2 : 1) + SPARE_BLOCKS; // those that were taken keep theirs
  const stride = Math.ceil((BLOCK_DATA + blockBytes) / 64) * 64;
  const numbersAt = QUEUE_SLOTS + slots * 2 ** shift;
  const blocksAt = Math.ceil((numbersAt + slots * (number ?? 0)) / 64) * 64;
  const textAt = blocksAt + blocks * stride;
  return region.create(KIND_QUEUE, textAt + known.bytes, name, (offset) => {
    const words: Record<number, number> = {
      [QUEUE_MASK]: slots - 1,
      [QUEUE_LIMIT]: capacity * 2,
      [QUEUE_CODEC]: known.number,
      [QUEUE_BLOCKS]: blocks,
      [QUEUE_BLOCK_STRIDE]: stride,
      [QUEUE_BLOCKS_AT]: offset + blocksAt,
      [QUEUE_SLOT_SHIFT]: shift,
      [QUEUE_REDELIVERS]: Number(redeliver),
      [QUEUE_NUMBERS_AT]: number ? offset + numbersAt : 0,
      [QUEUE_NUMBER_SHIFT]: number === 8 ? 3 : 2,
      [QUEUE_RECORD]: codec instanceof Struct ? codec.bytes : 0,
      [QUEUE_TEXT]: putKnown(region, known, offset + textAt),
      [QUEUE_TAIL]: position,
      [QUEUE_HEAD_SEEN]: position,
      [QUEUE_HEAD]: position,
      [QUEUE_FINISHED]: position,
    };
    for (const [at, value] of Object.entries(words)) region.i32[(offset + Number(at)) >> 2] = value;
  });
}

revives(KIND_QUEUE, (place) => new Queue(place));
