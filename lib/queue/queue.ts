/**
 * Queue: a bounded first-in-first-out queue between threads. The ring: ../kernel/ring.ts; blocks: ../kernel/blocks.ts.
 *
 * Each thread has two halves of it, which take the steps: puts.ts and gets.ts. What a slot carries: numbers.ts, messages.ts,
 * redelivery.ts, records.ts. Bytes may be written and read where they lie: loans.ts.
 */
import type { Readable, Writable } from 'node:stream';
import type { ReadableStream, WritableStream } from 'node:stream/web';
import {
  KIND_QUEUE,
  QUEUE_CODEC,
  QUEUE_GETTERS,
  QUEUE_LIMIT,
  QUEUE_PUTTERS,
  QUEUE_REDELIVERS,
  QUEUE_RESERVERS,
  QUEUE_TEXT,
} from '../kernel/layout.ts';
import { requireInteger, show } from '../memory/errors.ts';
import { LivePlace, revives, SharedObject } from '../memory/handles.ts';
import type { Place } from '../memory/region.ts';
import { OVER, type Selectable } from '../memory/selectable.ts';
import {
  AGAIN,
  type AsyncWaitOptions,
  type Operation,
  requireAsyncWaitOptions,
  requireWaitOptions,
  spin,
  type WaitOptions,
} from '../memory/wait.ts';
import { type Codec, codec as codecs } from './codec.ts';
import { bytesOfNumber, create, MAX_CAPACITY, type QueueOptions } from './create.ts';
import { Finish } from './finish.ts';
import { ENDED, Gets } from './gets.ts';
import { codecOf } from './known.ts';
import { type CommitOptions, Loans, Received, type Reservation, requireLoan } from './loans.ts';
import { Messages } from './messages.ts';
import { Numbers, requireNumberArray, Wides, Words } from './numbers.ts';
import type { Letter, NumberArray, Payloads, Prompt, Shows } from './payload.ts';
import { Puts } from './puts.ts';
import { Records } from './records.ts';
import { Deliveries } from './redelivery.ts';
import { Sheets } from './sheets.ts';
import { type QueueWritableOptions, readableOf, readableStreamOf, writableOf, writableStreamOf } from './streams.ts';
import { Struct, type View } from './struct.ts';

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
  /** @internal The half that puts. */ readonly puts: Puts<T>;
  /** @internal The half that takes. */ readonly gets: Gets<T>;
  readonly #payloads: Payloads<T>;
  readonly #prompt: Prompt<T> | undefined; // the same, when they are numbers
  readonly #deliveries: Deliveries<T> | undefined; // the same, of a queue that redelivers
  readonly #records: Records<T> | undefined; // the same, of structs
  readonly #loans: Loans | undefined; // of bytes
  readonly #lender: Shows<T> | undefined; // of structs and of bytes
  readonly #finish: Finish;

  /** Makes an empty queue in the region. Throws RangeError, TypeError, RegionFullError. */
  constructor(options: QueueOptions<T>);
  /** @internal */
  constructor(place: LivePlace);
  constructor(options: QueueOptions<T> | LivePlace) {
    super(options instanceof LivePlace ? options : create(options));
    const { region, offset } = this;
    this.capacity = (region.i32[(offset + QUEUE_LIMIT) >> 2] ?? 0) / 2;
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
    this.#lender = this.#loans && !this.#deliveries ? new Sheets(this.#payloads as Messages<T>) : this.#records;
    this.puts = new Puts(this, this.#payloads, this.#prompt);
    this.gets = new Gets(this, this.#payloads, this.#prompt, this.#finish);
  }

  /** Puts an item; blocks while the queue is full. Throws TimeoutError, ClosedError, CodecError, MessageTooLargeError. */
  put(value: T, options?: WaitOptions): void {
    if (options === undefined && this.puts.putNow(value)) return;
    this.puts.put(value, requireWaitOptions(options));
  }

  /** Puts an item if there is room; never waits. Throws as `put`. */
  tryPut(value: T): boolean {
    return this.puts.putNow(value) || this.puts.tryPut(value);
  }

  /**
   * Puts an item without blocking the event loop; items of one thread keep the order of the calls. Leave the value as it is
   * until then: while no memory is free, it is not yet encoded. Rejects as `put` throws.
   */
  putAsync(value: T, options?: AsyncWaitOptions): Promise<void> {
    return this.puts.putAsync(value, options);
  }

  /**
   * Puts all items in order, many at a time; blocks while the queue is full. When it throws, a first part of them may have
   * been put: the error's `done` says how many.
   */
  putMany(values: ArrayLike<T>, options?: WaitOptions): void {
    requireArrayLike(values);
    this.puts.putMany(values, requireWaitOptions(options));
  }

  /**
   * As `putMany`, without blocking the event loop: none of what this thread puts later comes between. Leave the list as it is
   * until then. Rejects as `putMany` throws, or with `signal.reason`.
   */
  async putManyAsync(values: ArrayLike<T>, options?: AsyncWaitOptions): Promise<void> {
    requireArrayLike(values);
    return this.puts.putManyAsync(values, options);
  }

  /** Takes the oldest item; blocks while the queue is empty. Throws TimeoutError, and ClosedError once it is closed and drained. */
  get(options?: WaitOptions): T {
    if (options === undefined && this.#prompt?.takeNow()) return this.#prompt.read();
    return this.gets.open(this.gets.take(requireWaitOptions(options)));
  }

  /** Takes the oldest item, or returns `undefined` when there is none; never waits. Throws ClosedError as `get`. */
  tryGet(): T | undefined {
    if (this.#prompt?.takeNow()) return this.#prompt.read();
    const item = this.gets.open(this.gets.tryTake());
    return item === AGAIN ? undefined : item;
  }

  /** Takes the oldest item without blocking the event loop. Rejects as `get` throws, or with `signal.reason`. */
  getAsync(options?: AsyncWaitOptions): Promise<T> {
    return this.gets.getAsync(options);
  }

  /**
   * Takes at least one and at most `max` items, as many as are there; blocks while the queue is empty. Throws as `get`; when
   * an item cannot be read any more (what it refers to was freed), the error's `items` holds those that were taken before it.
   */
  getMany(max: number, options?: WaitOptions): T[] {
    requireInteger('max', max, 1, Number.MAX_SAFE_INTEGER);
    const items: T[] = [];
    this.gets.takeMany(items, max, requireWaitOptions(options));
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
    return this.gets.takeInto(target, requireWaitOptions(options));
  }

  /**
   * As `getManyInto`, without blocking the event loop; the array is written when the promise is about to resolve. Rejects as
   * `getManyInto` throws, or with `signal.reason`.
   */
  async getManyIntoAsync(target: NumberArray<T>, options?: AsyncWaitOptions): Promise<number> {
    requireNumberArray(this.title, this.codec, target);
    return this.gets.takeIntoAsync(target, options);
  }

  /** As `getMany`, without blocking the event loop. Rejects as `getMany` throws, or with `signal.reason`. */
  async getManyAsync(max: number, options?: AsyncWaitOptions): Promise<T[]> {
    requireInteger('max', max, 1, Number.MAX_SAFE_INTEGER);
    const items: T[] = [];
    await this.gets.takeManyAsync(items, max, options);
    return items;
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
    this.puts.produce(this.#recordsFor('produce', fill).fill(fill), timeout);
  }

  /** As `produce`, if there is room; never waits. */
  tryProduce(fill: (view: View<T>) => void): boolean {
    return this.puts.tryProduce(this.#recordsFor('tryProduce', fill).fill(fill));
  }

  /** As `produce`, without blocking the event loop; `fill` runs at once. */
  async produceAsync(fill: (view: View<T>) => void, options?: AsyncWaitOptions): Promise<void> {
    requireAsyncWaitOptions(options);
    return this.puts.produceAsync(this.#recordsFor('produceAsync', fill).fill(fill), options);
  }

  /**
   * Puts `count` records, many at a time: `fill` is called for each in turn, with its number from 0 on. When it throws, or the
   * wait ends, a first part of them was put: the error's `done` says how many.
   */
  produceMany(count: number, fill: (view: View<T>, index: number) => void, options?: WaitOptions): void {
    requireInteger('count', count, 0, Number.MAX_SAFE_INTEGER);
    const records = this.#recordsFor('produceMany', fill);
    this.puts.produceMany(records, count, fill, requireWaitOptions(options));
  }

  /**
   * Takes the oldest item and hands a view of it to `use`, for queues of a `codec.struct` or of `codec.bytes`; returns what that
   * returns. No object is made. The view is good until `use` returns: that of a struct throws from then on, and that of bytes, a
   * `Uint8Array`, shows other messages; `toObject` of the struct, and `slice`, make a copy. Blocks while the queue is empty. Throws
   * as `get`, and TypeError for other queues and those that redeliver; what `use` throws comes out, and the item was taken.
   */
  consume<R>(use: (view: View<T>) => R, options?: WaitOptions): R {
    const lender = this.#lenderFor('consume', use);
    return lender.show(this.gets.open(this.gets.borrow(lender, requireWaitOptions(options))), use);
  }

  /** As `consume`, if there is an item; never waits. Whether there was one. */
  tryConsume(use: (view: View<T>) => void): boolean {
    const lender = this.#lenderFor('tryConsume', use);
    const lent = this.gets.open(this.gets.tryBorrow(lender));
    if (lent !== AGAIN) lender.show(lent, use);
    return lent !== AGAIN;
  }

  /** As `consume`, without blocking the event loop. The view is good until `use` returns, not until its promise is settled. */
  async consumeAsync<R>(use: (view: View<T>) => R, options?: AsyncWaitOptions): Promise<Awaited<R>> {
    const lender = this.#lenderFor('consumeAsync', use);
    return await lender.show(this.gets.open(await this.gets.borrowAsync(lender, options)), use);
  }

  /**
   * Takes at least one and at most `max` items, as many as are there (of records, and as a batch of this thread has room for), and
   * hands each to `use` in turn: how many. Blocks while the queue is empty. When `use` throws, the others are still handed to
   * it, and the first error comes out in the end. Throws as `consume`.
   */
  consumeMany(max: number, use: (view: View<T>) => void, options?: WaitOptions): number {
    requireInteger('max', max, 1, Number.MAX_SAFE_INTEGER);
    const lender = this.#lenderFor('consumeMany', use);
    const timeout = requireWaitOptions(options);
    if (!this.#records) return this.gets.show(lender, this.gets.open(this.gets.borrow(lender, timeout)), max, use);
    const count = this.gets.takeRecords(this.#records, max, timeout);
    this.#records.useBatch(count, use);
    return count;
  }

  /**
   * As `consumeMany`, without blocking the event loop; `use` is called for all of them just before the promise is settled.
   *
   * @example
   * const frames = new Queue({ capacity: 1024, codec: codec.bytes });
   * frames.putMany([new Uint8Array(64), new Uint8Array(100)]);
   * let bytes = 0;
   * const count = await frames.consumeManyAsync(256, (frame) => {
   *   bytes += frame.length;
   * }); // 2
   */
  async consumeManyAsync(max: number, use: (view: View<T>) => void, options?: AsyncWaitOptions): Promise<number> {
    requireInteger('max', max, 1, Number.MAX_SAFE_INTEGER);
    const lender = this.#lenderFor('consumeManyAsync', use);
    return this.gets.show(lender, this.gets.open(await this.gets.borrowAsync(lender, options)), max, use);
  }

  #recordsFor(verb: string, fill: unknown): Records<T> {
    if (!this.#records)
      throw new TypeError(`${verb} needs a queue of a codec.struct that does not redeliver: ${this.title} is none`);
    requireFunction('fill', fill);
    return this.#records;
  }

  #lenderFor(verb: string, use: unknown): Shows<T> {
    if (!this.#lender) {
      const needs = 'needs a queue of a codec.struct, or of codec.bytes, that does not redeliver';
      throw new TypeError(`${verb} ${needs}: ${this.title} is none`);
    }
    requireFunction('use', use);
    return this.#lender;
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
    return settle(this, this.#loansFor('reserve').reserving('reserve', bytes), timeout);
  }

  /** As `reserve`; undefined when no memory is free. Never waits. */
  tryReserve(bytes: number): Reservation | undefined {
    const reservation = this.#loansFor('tryReserve').reserving('tryReserve', bytes).attempt();
    return reservation === AGAIN ? undefined : reservation;
  }

  /** As `reserve`, without blocking the event loop. */
  async reserveAsync(bytes: number, options?: AsyncWaitOptions): Promise<Reservation> {
    return this.region.parker.wait(this.#loansFor('reserveAsync').reserving('reserveAsync', bytes), options);
  }

  /**
   * Puts the message of a reservation, or its first `length` bytes, without a copy; blocks while the queue is full. Its `bytes`
   * cannot be used any more. Throws TypeError for a reservation of another queue, InvalidHandleError for one that was
   * committed or abandoned, TimeoutError, after which it can be committed again, and ClosedError, which gives its memory back.
   */
  commit(reservation: Reservation, options?: WaitOptions & CommitOptions): void {
    const timeout = requireWaitOptions(options);
    settle(this, this.puts.committing(reservation, options?.length), timeout);
  }

  /** As `commit`, if there is room; never waits. When there is none, the reservation is as it was. */
  tryCommit(reservation: Reservation, options: CommitOptions = {}): boolean {
    const put = this.puts.committing(reservation, options.length);
    if (put.attempt() !== AGAIN) return true;
    put.abandon?.();
    return false;
  }

  /** As `commit`, without blocking the event loop; in the order of the calls, together with `putAsync`. */
  async commitAsync(reservation: Reservation, options?: AsyncWaitOptions & CommitOptions): Promise<void> {
    requireAsyncWaitOptions(options);
    return this.region.parker.wait(this.puts.promising(reservation, options?.length), options);
  }

  /**
   * Takes the oldest message and leaves it where it lies, for queues of `codec.bytes`: read `bytes` of what is returned, and
   * `release` it. Until then its memory is this thread's, and in a queue that redelivers so is the message, which a death
   * brings back; to release it there acknowledges it, in place of `taskDone`. Blocks while the queue is empty. A message that
   * had no room in one piece is copied. Throws as `get`, and TypeError for other queues.
   */
  receive(options?: WaitOptions): Received {
    const loans = this.#loansFor('receive');
    return this.#received(loans, this.gets.borrow(loans.messages, requireWaitOptions(options)));
  }

  /** As `receive`; undefined when there is none. Never waits. */
  tryReceive(): Received | undefined {
    const loans = this.#loansFor('tryReceive');
    const letter = this.gets.tryBorrow(loans.messages);
    return letter === AGAIN ? undefined : this.#received(loans, letter);
  }

  /** As `receive`, without blocking the event loop. */
  async receiveAsync(options?: AsyncWaitOptions): Promise<Received> {
    const loans = this.#loansFor('receiveAsync');
    return this.#received(loans, await this.gets.borrowAsync(loans.messages, options));
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
    const taken = this.gets.open(letter) as Letter;
    this.region.check(this); // a promise of it may go on when the queue was freed
    return new Received(loans, taken);
  }

  /** Closes it: `put` throws ClosedError from now on, `get` drains what is there and then throws it. Closing twice is fine. */
  close(): void {
    this.region.check(this);
    this.region.kernel.ringClose(this.offset);
    for (const set of [QUEUE_GETTERS, QUEUE_PUTTERS, QUEUE_RESERVERS]) this.region.parker.wakeAll(this.offset + set);
  }

  /** Closes it, drops what is in it, and returns the memory; any later use, in any thread, throws InvalidHandleError. */
  override free(): void {
    this.region.check(this);
    this.region.kernel.ringClose(this.offset);
    this.#payloads.clear();
    super.free();
  }

  /** Whether `close` was called. */
  get closed(): boolean {
    this.region.check(this);
    return this.region.kernel.ringClosed(this.offset) !== 0;
  }

  /** Items in the queue at some instant during the call; may be stale when it returns. */
  get size(): number {
    this.region.check(this);
    return this.region.kernel.ringSize(this.offset) + (this.#deliveries?.returned ?? 0);
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
    if (join.attempt() === AGAIN) this.region.parker.block(join, timeout);
  }

  /** As `join`, without blocking the event loop. */
  joinAsync(options?: AsyncWaitOptions): Promise<void> {
    return this.region.parker.wait(this.#finish.joining(), options);
  }

  /** Takes items, blocking, until the queue is closed and drained. */
  *[Symbol.iterator](): Iterator<T> {
    for (;;) {
      const item = this.gets.take(Number.POSITIVE_INFINITY);
      if (item === ENDED) return;
      yield item;
    }
  }

  /** Takes items, without blocking the event loop, until the queue is closed and drained. */
  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (;;) {
      let item = this.gets.takeInTurn();
      if (item === AGAIN) item = await this.gets.takeLater();
      if (item === ENDED) return;
      yield item;
    }
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
      set: this.offset + QUEUE_GETTERS,
      ready: () => this.gets.readable,
      take: () => {
        const item = this.gets.tryTake();
        return item === ENDED ? OVER : item;
      },
    };
  }
}

/** Attempts it, and blocks for it. */
function settle<R>({ region }: SharedObject, operation: Operation<R>, timeout: number): R {
  let result = operation.attempt();
  if (result === AGAIN) result = spin(() => operation.attempt());
  return result === AGAIN ? region.parker.block(operation, timeout) : result;
}

function requireFunction(name: string, value: unknown): void {
  if (typeof value !== 'function') throw new TypeError(`${name} must be a function: got ${show(value)}`);
}

function requireArrayLike(values: ArrayLike<unknown>): void {
  if (typeof values?.length !== 'number') throw new TypeError(`values must be array-like: got ${show(values)}`);
}

function payloadsOf<T>(place: Place, codec: Codec<T>): Payloads<T> {
  if (place.region.i32[(place.offset + QUEUE_REDELIVERS) >> 2] === 1) return new Deliveries(place, codec);
  if (codec instanceof Struct) return new Records<T>(place, codec as unknown as Struct<T>);
  if (!codec.inline) return new Messages(place, codec);
  const Class = bytesOfNumber(codec) === 8 ? Wides : Words;
  return new Class(place, codec as never) as unknown as Payloads<T>;
}

revives(KIND_QUEUE, (place) => new Queue(place));
