/**
 * RLock: a mutex that its owner may lock again. The count of that: ../kernel/rlock.ts.
 */
import { KIND_RLOCK, MUTEX_WAITERS, MUTEX_WORD, RLOCK_AGAIN, RLOCK_BYTES, STAMP_SHIFT } from '../kernel/layout.ts';
import { LivePlace, placement, revives, SharedObject, type SharedObjectOptions } from '../memory/handles.ts';
import type { Kernel } from '../memory/kernel.ts';
import type { Place } from '../memory/region.ts';
import {
  type AsyncWaitOptions,
  type Operation,
  type Parker,
  requireWaitOptions,
  type WaitOptions,
} from '../memory/wait.ts';
import { InnerMutex } from './inner.ts';
import { type LockFace, runLocked, runLockedAsync } from './locked.ts';

/**
 * A lock that the thread which holds it may lock again; it is free for others when it was unlocked as often.
 *
 * The owner is the **thread**, as in Python. All async tasks of one thread are the same owner: while one of them holds the
 * lock, `lockAsync` of the others enters at once, and they are not kept apart. To keep tasks of one thread apart, use a
 * `Mutex`. Between threads it is a `Mutex`.
 *
 * @example
 * const lock = new RLock({ name: 'accounts' });
 * const debit = (n: number) => lock.with(() => { stock[0]! -= n; });
 * lock.with(() => debit(5)); // enters twice
 */
export class RLock extends SharedObject implements LockFace {
  /** @internal */ readonly kind: number = KIND_RLOCK;
  readonly #kernel: Kernel;
  readonly #parker: Parker;
  readonly #mutex: InnerMutex;
  readonly #rlock: Kernel['rlock']; // see the fields of Mutex
  readonly #runlock: Kernel['runlock'];
  readonly #at: number;
  readonly #held: number;
  readonly #set: number;

  /** Makes an unlocked lock in the region. Throws RegionFullError. */
  constructor(options?: SharedObjectOptions);
  /** @internal */
  constructor(place: LivePlace);
  constructor(options: SharedObjectOptions | LivePlace = {}) {
    super(options instanceof LivePlace ? options : create(options));
    this.#kernel = this.region.kernel;
    this.#parker = this.region.parker;
    this.#mutex = new InnerMutex(new LivePlace(this), this.title);
    this.#rlock = this.#kernel.rlock;
    this.#runlock = this.#kernel.runlock;
    this.#at = this.offset;
    this.#held = (this.serial << STAMP_SHIFT) | (this.region.slot + 1);
    this.#set = this.offset + MUTEX_WAITERS;
  }

  /**
   * Locks, and blocks the thread until it can; at once when this thread holds it already. Throws TimeoutError after
   * `timeout` milliseconds.
   */
  lock(options?: WaitOptions): this {
    if (options !== undefined) requireWaitOptions(options);
    if (!this.#enter()) this.#mutex.lock(options);
    return this;
  }

  /** Locks if nobody or this thread holds it; never waits. */
  tryLock(): boolean {
    return this.#enter() || this.#mutex.tryLock();
  }

  /**
   * Locks without blocking the event loop, at once when a task of this thread holds it; rejects with TimeoutError or with
   * `signal.reason`.
   */
  lockAsync(options?: AsyncWaitOptions): Promise<this> {
    return this.#parker.wait(this.#operation(), options);
  }

  /** Takes back one `lock`; the last one frees it, and wakes a waiter. Throws NotOwnerError when this thread does not hold it. */
  unlock(): void {
    if (!this.#runlock(this.#at, this.#held)) this.#mutex.unlock();
  }

  /** As that of a `Mutex`, after `OwnerDiedError`; however often the owner had locked it. */
  recover<R>(repair: () => R): R {
    return this.#mutex.recover(() => {
      this.#again = 0;
      return repair();
    });
  }

  /** Runs `fn` under the lock; unlocks once when it returned or threw. */
  with<R>(fn: () => R, options?: WaitOptions): R {
    return runLocked(this, fn, options);
  }

  /** Runs `fn` under the lock without blocking the event loop; unlocks once when its promise is settled. */
  withAsync<R>(fn: () => R | Promise<R>, options?: AsyncWaitOptions): Promise<R> {
    return runLockedAsync(this, fn, options);
  }

  /** Whether somebody held it at some instant during the call. */
  get locked(): boolean {
    return this.#mutex.locked;
  }

  /** The slot of the thread that held it at some instant during the call; -1 for nobody. */
  get owner(): number {
    return this.#mutex.owner;
  }

  /** @internal Who holds it, in words. */
  get holder(): string {
    return this.#mutex.holder;
  }

  /**
   * Unlocks once if this thread holds it. It cannot tell one `lock` from another: who nests `using guard = lock.lock()`
   * leaves every unlock to the ends of the blocks.
   */
  [Symbol.dispose](): void {
    this.region.check(this);
    if (this.#mutex.held) this.unlock();
  }

  /** @internal Unlocks whole; how often it was entered again. The caller owns it. */
  giveUp(): number {
    const again = this.#again;
    this.#again = 0;
    this.#mutex.unlock();
    return again;
  }

  /** @internal Enters `again` times more. The caller owns it. */
  restore(again: number): void {
    this.#again += again;
  }

  get #again(): number {
    return this.region.i32[(this.offset + RLOCK_AGAIN) >> 2] ?? 0;
  }

  set #again(again: number) {
    this.region.i32[(this.offset + RLOCK_AGAIN) >> 2] = again;
  }

  #enter(): boolean {
    if (!this.#rlock(this.#at, this.#held)) return false;
    // promises of this thread that wait in line are the owner now
    if (this.#parker.hasWaiters(this.#set)) queueMicrotask(() => this.#parker.serve(this.#set));
    return true;
  }

  #operation(): Operation<this> {
    const { attempt, ...rest } = this.#mutex.locking(this);
    return {
      ...rest,
      attempt: () => (this.#kernel.rlockAgain(this.offset, this.#held) ? this : attempt()),
    };
  }
}

function create(options: SharedObjectOptions): Place {
  const { region, name } = placement(options);
  return region.create(KIND_RLOCK, RLOCK_BYTES, name, (offset, serial) => {
    region.i32[(offset + MUTEX_WORD) >> 2] = serial << STAMP_SHIFT;
  });
}

revives(KIND_RLOCK, (place) => new RLock(place));
