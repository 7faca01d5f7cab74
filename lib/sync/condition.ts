/**
 * Condition: waiting, under a lock, until another thread says that something has changed. The counts: ../kernel/condition.ts.
 *
 * A notification is for a thread; which of its waiters gets it: ./line.ts. Before a waiter comes, all notifications of the
 * thread are dealt out to those who waited before it.
 */
import {
  CONDITION_COUNTS,
  CONDITION_MUTEX,
  CONDITION_MUTEX_KIND,
  CONDITION_MUTEX_SERIAL,
  CONDITION_WAITERS,
  FREED,
  KIND_CONDITION,
  OBJECT_SERIAL,
  REGION_THREADS,
} from '../kernel/layout.ts';
import {
  InvalidHandleError,
  NotOwnerError,
  requireInteger,
  requireOptions,
  show,
  TimeoutError,
} from '../memory/errors.ts';
import { LivePlace, placement, revive, revives, SharedObject, type SharedObjectOptions } from '../memory/handles.ts';
import type { Place } from '../memory/region.ts';
import {
  AGAIN,
  type AsyncWaitOptions,
  type Operation,
  requireSignal,
  requireWaitOptions,
  spin,
  type WaitOptions,
} from '../memory/wait.ts';
import { Line, type Waiter } from './line.ts';
import { lose } from './locked.ts';
import { Mutex } from './mutex.ts';
import { RLock } from './rlock.ts';

/** Options of `new Condition`. */
export interface ConditionOptions extends SharedObjectOptions {
  /** The lock under which what is waited for changes; the condition lives in its region. */
  mutex: Mutex | RLock;
}

/** Why a wait ended without a notification. */
interface Ended {
  readonly reason: unknown;
}

/**
 * Lets threads and async tasks that hold a lock wait until another one, holding the same lock, notifies them. `wait` gives
 * the lock up whole, an `RLock` at any depth, and holds it again, as deep, when it returns or throws.
 *
 * One notification frees exactly one of those who waited before it, and is never lost: a waiter whose time ran out just when
 * it was notified returns normally. Nobody is woken without a notification; but what was waited for may have changed again
 * until the lock is had, so prefer `waitFor`. Threads are notified in turn, of one thread the promises in their order.
 *
 * @example
 * const filled = new Condition({ mutex, name: 'filled' });
 * mutex.with(() => { stock[0] = 5; filled.notify(); });
 * mutex.with(() => filled.waitFor(() => stock[0]! > 0)); // in another thread
 */
export class Condition extends SharedObject {
  /** @internal */ readonly kind: number = KIND_CONDITION;
  /** The lock that was given, live in every thread. */
  readonly mutex: Mutex | RLock;
  readonly #line: Line;

  /** Makes a condition for which nobody waits, of 8 bytes for each thread that the region may have. Throws RegionFullError. */
  constructor(options: ConditionOptions);
  /** @internal */
  constructor(place: LivePlace);
  constructor(options: ConditionOptions | LivePlace) {
    super(options instanceof LivePlace ? options : create(options));
    this.mutex = options instanceof LivePlace ? this.#findMutex() : options.mutex;
    this.#line = Line.of(this);
  }

  /**
   * Waits for a notification, and blocks the thread. Throws TimeoutError when none has come for `timeout` milliseconds, and
   * NotOwnerError when this thread does not hold the lock. To lock again takes as long as it takes, also after the timeout.
   *
   * Throws OwnerDiedError when a thread died meanwhile that held the lock. Then this thread does not hold it: `with` and
   * `withAsync` of the lock pass that on and do not unlock, as does the end of `using`; who unlocks by hand must not. So does
   * an InvalidHandleError of a lock that was freed, and so do the other forms of waiting here.
   */
  wait(options?: WaitOptions): void {
    const timeout = requireWaitOptions(options);
    const ended = this.#wait(timeout, performance.now() + timeout);
    if (ended) throw ended.reason;
  }

  /**
   * Waits until `predicate` gives something true, and gives that; it is called under the lock, first of all and after each
   * notification. After `timeout` milliseconds it is called a last time, before TimeoutError is thrown.
   */
  waitFor<R>(predicate: () => R, options?: WaitOptions): R {
    const timeout = requireWaitOptions(options);
    requirePredicate(predicate);
    this.#requireOwner('wait on');
    const deadline = performance.now() + timeout;
    for (let ended: Ended | undefined; ; ended = this.#wait(timeout, deadline)) {
      const value = mayHold(ended) && predicate();
      if (value) return value;
      if (ended) throw ended.reason;
    }
  }

  /**
   * As `wait`, without blocking the event loop; an abort rejects with `signal.reason`. The lock is given up before this
   * returns, and held again when the promise is settled.
   */
  async waitAsync(options?: AsyncWaitOptions): Promise<void> {
    const timeout = requireAsyncOptions(options);
    const ended = await this.#waitAsync(timeout, performance.now() + timeout, options?.signal);
    if (ended) throw ended.reason;
  }

  /** As `waitFor`, without blocking the event loop; `predicate` may give a promise, and is awaited under the lock. */
  async waitForAsync<R>(predicate: () => R | Promise<R>, options?: AsyncWaitOptions): Promise<R> {
    const timeout = requireAsyncOptions(options);
    requirePredicate(predicate);
    this.#requireOwner('wait on');
    const deadline = performance.now() + timeout;
    for (let ended: Ended | undefined; ; ended = await this.#waitAsync(timeout, deadline, options?.signal)) {
      const value = mayHold(ended) && (await predicate());
      if (value) return value;
      if (ended) throw ended.reason;
    }
  }

  /**
   * Frees `n` of those who wait, or all if they are fewer; they go on when they get the lock, which this thread keeps.
   * Throws NotOwnerError when this thread does not hold the lock, RangeError for an `n` below 0 or no integer.
   */
  notify(n: number = 1): void {
    requireInteger('n', n, 0, 2 ** 31 - 1);
    this.#requireOwner('notify');
    this.#notify(n);
  }

  /** Frees all who wait. Throws NotOwnerError when this thread does not hold the lock. */
  notifyAll(): void {
    this.#requireOwner('notify');
    this.#notify(Number.POSITIVE_INFINITY);
  }

  #notify(n: number): void {
    const { kernel, parker } = this.region;
    for (let left = n; left > 0; left--) {
      const slot = kernel.conditionNotify(this.offset);
      if (slot < 0) return;
      if (kernel.unregister(this.offset + CONDITION_WAITERS, slot)) parker.unpark(slot);
    }
  }

  #wait(timeout: number, deadline: number): Ended | undefined {
    const waiter = this.#enter(true);
    const again = this.#unlock();
    let ended: Ended | undefined;
    try {
      const operation = this.#operation(waiter);
      if (spin(operation.attempt) === AGAIN) this.region.parker.block(operation, timeout, deadline);
    } catch (reason) {
      ended = { reason };
    }
    try {
      this.mutex.lock();
      this.#restore(again);
    } catch (reason) {
      lose(this.mutex, reason);
      throw reason;
    } finally {
      this.#leave(waiter);
    }
    return waiter.notified ? undefined : ended;
  }

  async #waitAsync(timeout: number, deadline: number, signal: AbortSignal | undefined): Promise<Ended | undefined> {
    signal?.throwIfAborted();
    const waiter = this.#enter(false);
    const again = this.#unlock();
    let ended: Ended | undefined;
    try {
      const operation = this.#operation(waiter);
      await this.region.parker.wait(operation, {
        timeout: Math.max(0, Math.ceil(deadline - performance.now())),
        signal,
      });
    } catch (reason) {
      ended = { reason: reason instanceof TimeoutError ? this.#late(timeout) : reason };
    }
    try {
      await this.mutex.lockAsync();
      this.#restore(again);
    } catch (reason) {
      lose(this.mutex, reason);
      throw reason;
    } finally {
      this.#leave(waiter);
    }
    return waiter.notified ? undefined : ended;
  }

  #operation(waiter: Waiter): Operation<this> {
    return {
      what: `wait on ${this.title}`,
      object: this,
      set: this.offset + CONDITION_WAITERS,
      attempt: () => {
        this.#deal();
        return waiter.notified ? this : AGAIN;
      },
      passOn: () => false, // a notification has its waiter already
    };
  }

  #late(timeout: number): TimeoutError {
    return new TimeoutError(`wait on ${this.title}`, timeout);
  }

  /** Counts a waiter of this thread. Throws NotOwnerError. */
  #enter(blocks: boolean): Waiter {
    this.#requireOwner('wait on');
    this.#deal();
    const waiter = this.#line.join(blocks);
    this.region.kernel.conditionEnter(this.offset, this.serial, this.region.slot);
    return waiter;
  }

  /** A waiter goes, notified or not. */
  #leave(waiter: Waiter): void {
    const { kernel, slot } = this.region;
    while (!waiter.notified) {
      const freed = this.region.i32[(this.offset + OBJECT_SERIAL) >> 2] !== this.serial;
      if (!freed) this.#deal();
      if (!waiter.notified && (freed || kernel.conditionLeave(this.offset, slot))) break;
    }
    this.#line.leave(waiter);
  }

  /** Gives this thread's notifications to its waiters. Throws InvalidHandleError. */
  #deal(): void {
    const taken = this.region.kernel.conditionTake(this.offset, this.serial, this.region.slot);
    if (taken === FREED) throw new InvalidHandleError(`the condition at offset ${this.offset} was freed`);
    for (let left = taken; left > 0; left--) this.#line.notify();
  }

  #unlock(): number {
    if (this.mutex instanceof RLock) return this.mutex.giveUp();
    this.mutex.unlock();
    return 0;
  }

  #restore(again: number): void {
    if (this.mutex instanceof RLock) this.mutex.restore(again);
  }

  #requireOwner(verb: string): void {
    this.region.check(this);
    const { slot } = this.region;
    const { owner, title, holder } = this.mutex;
    if (owner === slot) return;
    throw new NotOwnerError(`the thread in slot ${slot} cannot ${verb} ${this.title} without ${title}: ${holder}`);
  }

  #findMutex(): Mutex | RLock {
    const word = (at: number) => this.region.i32[(this.offset + at) >> 2] ?? 0;
    const [offset, kind, serial] = [word(CONDITION_MUTEX), word(CONDITION_MUTEX_KIND), word(CONDITION_MUTEX_SERIAL)];
    return revive(this.region, offset, kind, serial) as Mutex | RLock;
  }
}

/** Whether the predicate is asked (again): not after an abort, or when the condition was freed. */
function mayHold(ended: Ended | undefined): boolean {
  return ended === undefined || ended.reason instanceof TimeoutError;
}

function requirePredicate(predicate: unknown): void {
  if (typeof predicate !== 'function') throw new TypeError(`predicate must be a function: got ${show(predicate)}`);
}

function requireAsyncOptions(options: AsyncWaitOptions | undefined): number {
  const timeout = requireWaitOptions(options);
  requireSignal(options?.signal);
  options?.signal?.throwIfAborted();
  return timeout;
}

function create(options: ConditionOptions): Place {
  requireOptions(options);
  const { mutex } = options;
  if (!(mutex instanceof Mutex || mutex instanceof RLock)) {
    throw new TypeError(`mutex must be a Mutex or an RLock: got ${show(mutex)}`);
  }
  const { region, name } = placement({ ...options, region: options.region ?? mutex.region });
  if (region !== mutex.region) throw new TypeError(`region must be that of ${mutex.title}: got another one`);
  region.check(mutex);
  const threads = region.i32[REGION_THREADS >> 2] ?? 0;
  return region.create(KIND_CONDITION, CONDITION_COUNTS + threads * 8, name, (offset) => {
    region.i32[(offset + CONDITION_MUTEX) >> 2] = mutex.offset;
    region.i32[(offset + CONDITION_MUTEX_KIND) >> 2] = mutex.kind;
    region.i32[(offset + CONDITION_MUTEX_SERIAL) >> 2] = mutex.serial;
  });
}

revives(KIND_CONDITION, (place) => new Condition(place));
