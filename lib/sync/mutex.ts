/**
 * Mutex: inside the lock everything is one after another. The word and its protocol: ../kernel/lock.ts.
 */
import {
  DEAD,
  DONE,
  FREED,
  HAND,
  KIND_MUTEX,
  MUTEX_BYTES,
  MUTEX_WAITERS,
  MUTEX_WORD,
  OWNER_DIED,
  STAMP_SHIFT,
  WAKE,
} from '../kernel/layout.ts';
import { DeadlockError, InvalidHandleError, NotOwnerError, OwnerDiedError } from '../memory/errors.ts';
import { LivePlace, placement, revives, SharedObject, type SharedObjectOptions } from '../memory/handles.ts';
import type { Kernel } from '../memory/kernel.ts';
import type { Place } from '../memory/region.ts';
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
import { runLocked, runLockedAsync } from './locked.ts';

const LONG_WAIT = 1; // ms, after which a waiter is handed the lock

/**
 * A lock between threads and between async tasks of one thread. Nobody else enters while it is held; it is not re-entrant.
 * Locking is a compare-exchange in shared memory, and a thread sleeps only when it must wait. Whoever locks sees all that
 * was written under the lock before. Waiters are not served in strict order, since a thread that is awake may come first; but
 * a waiter that has waited for more than a millisecond is handed the lock as soon as it is its turn, so that none starves.
 *
 * @example
 * const mutex = new Mutex({ name: 'stock' });
 * const left = mutex.with(() => --stock[0]);
 */
export class Mutex extends SharedObject {
  /** @internal */ readonly kind: number = KIND_MUTEX;
  readonly #kernel: Kernel;
  readonly #parker: Parker;
  // what every call needs, in private fields, and results compared with no imported name: each saves half a nanosecond of 15
  readonly #lock: Kernel['lock'];
  readonly #unlock: Kernel['unlock'];
  readonly #at: number;
  readonly #held: number;

  /** Makes an unlocked mutex in the region. Throws RegionFullError. */
  constructor(options?: SharedObjectOptions);
  /** @internal */
  constructor(place: LivePlace);
  constructor(options: SharedObjectOptions | LivePlace = {}) {
    super(options instanceof LivePlace ? options : create(options));
    this.#kernel = this.region.kernel;
    this.#parker = this.region.parker;
    this.#lock = this.#kernel.lock;
    this.#unlock = this.#kernel.unlock;
    this.#at = this.offset;
    this.#held = (this.serial << STAMP_SHIFT) | (this.region.slot + 1);
  }

  /**
   * Locks, and blocks the thread until it can. Throws TimeoutError after `timeout` milliseconds; OwnerDiedError when its owner
   * has died, see `recover`; and DeadlockError when it could never end: this thread holds it already, or, without a timeout,
   * the threads that this one would wait for wait for this one.
   */
  lock(options?: WaitOptions): this {
    if (options !== undefined) requireWaitOptions(options);
    return this.#lock(this.#at, this.#held) ? this : this.#lockContended(options);
  }

  #lockContended(options?: WaitOptions): this {
    if (this.held) throw this.#deadlock();
    const result = spin(() => this.#locked(this.#kernel.lockGlance(this.offset, this.#held)));
    return result === AGAIN ? this.#parker.block(this.locking(this), requireWaitOptions(options)) : result;
  }

  #locked(said: number): this | typeof AGAIN {
    if (said === FREED) throw this.#freed();
    if (said === OWNER_DIED) throw this.died();
    return said === DONE ? this : AGAIN;
  }

  /** Locks if nobody holds it; never waits. */
  tryLock(): boolean {
    if (this.#lock(this.#at, this.#held)) return true;
    return this.#locked(this.#kernel.lockGlance(this.offset, this.#held)) !== AGAIN;
  }

  /** Locks without blocking the event loop; rejects with TimeoutError or with `signal.reason`. */
  async lockAsync(options?: AsyncWaitOptions): Promise<this> {
    requireAsyncWaitOptions(options);
    const isFirst = !this.#parker.hasWaiters(this.offset + MUTEX_WAITERS);
    return isFirst && this.#lock(this.#at, this.#held) ? this : this.#parker.wait(this.locking(this), options);
  }

  /** Unlocks, and wakes one waiter if there is any. Throws NotOwnerError when this thread does not hold it. */
  unlock(): void {
    if (!this.#unlock(this.#at, this.#held)) this.#unlockContended();
  }

  #unlockContended(): void {
    const said = this.#kernel.unlockContended(this.offset, this.#held);
    if (this.#hasWoken(said)) return;
    if (said === FREED) throw this.#freed();
    throw new NotOwnerError(`the thread in slot ${this.region.slot} cannot unlock ${this.title}: ${this.holder}`);
  }

  /**
   * After `OwnerDiedError`: locks, runs `repair`, which puts what the lock guards in order, and unlocks; from then on everybody
   * can lock again. Blocks while another thread holds it, as one does that repairs just now: `repair` may find that nothing
   * is left to do. When it throws, so does this, and the owner still counts as dead.
   *
   * @example
   * try {
   *   mutex.lock();
   * } catch (error) {
   *   if (!(error instanceof OwnerDiedError)) throw error;
   *   mutex.recover(() => { stock[1] = 100 - stock[0]; });
   * }
   */
  recover<R>(repair: () => R): R {
    if (this.held) throw this.#deadlock();
    const wasDead = this.#lockOrRecover();
    let repaired = false;
    try {
      const result = repair();
      repaired = true;
      return result;
    } finally {
      if (wasDead && !repaired) {
        this.forsake();
      } else this.unlock();
    }
  }

  /** @internal Locks it if its owner has died. */
  tryRecover(): boolean {
    return this.#kernel.lockRecover(this.offset, this.#held) !== 0;
  }

  /** @internal After that: its owner counts as dead again. */
  forsake(): void {
    this.#kernel.lockForsake(this.offset, this.#held);
    this.#parker.wakeAll(this.offset + MUTEX_WAITERS);
  }

  /** Locks; whether its owner had died. */
  #lockOrRecover(): boolean {
    for (;;) {
      if (this.tryRecover()) return true;
      try {
        this.lock();
        return false;
      } catch (error) {
        if (!(error instanceof OwnerDiedError)) throw error;
      }
    }
  }

  /** Runs `fn` under the lock; unlocks when it returned or threw. */
  with<R>(fn: () => R, options?: WaitOptions): R {
    return runLocked(this, fn, options);
  }

  /** Runs `fn` under the lock without blocking the event loop; unlocks when its promise is settled. */
  withAsync<R>(fn: () => R | Promise<R>, options?: AsyncWaitOptions): Promise<R> {
    return runLockedAsync(this, fn, options);
  }

  /** Whether somebody held it at some instant during the call, be it a thread that died. */
  get locked(): boolean {
    this.region.check(this);
    return this.#kernel.lockOwner(this.offset) !== 0;
  }

  /** The slot of the thread that held it at some instant during the call; -1 for nobody who is alive. */
  get owner(): number {
    this.region.check(this);
    const owner = this.#kernel.lockOwner(this.offset);
    return owner === DEAD ? -1 : owner - 1;
  }

  /** @internal Who holds it, in words. */
  get holder(): string {
    const owner = this.#kernel.lockOwner(this.offset);
    if (owner === DEAD) return 'its owner has died';
    return owner === 0 ? 'nobody holds it' : `the thread in slot ${owner - 1} holds it`;
  }

  /**
   * Unlocks if this thread holds it, so that `using guard = mutex.lock()` may also unlock early. Of two async tasks of one
   * thread it cannot tell which one holds it: there, use `withAsync`.
   */
  [Symbol.dispose](): void {
    this.region.check(this);
    if (this.held) this.unlock();
  }

  /** @internal Whether this thread holds it. */
  get held(): boolean {
    return this.#kernel.lockHeld(this.offset, this.#held) !== 0;
  }

  /** Wakes whom an unlock says, if it says so. */
  #hasWoken(said: number): boolean {
    if (said === WAKE) this.#parker.wake(this.offset + MUTEX_WAITERS);
    else if (said >= HAND) this.#parker.unpark(said - HAND);
    else return false;
    return true;
  }

  /** @internal What waits for the lock, and gives `result`. */
  locking<R>(result: R): Operation<R> {
    const since = performance.now();
    const isLong = () => Number(performance.now() - since > LONG_WAIT);
    return {
      what: `lock of ${this.title}`,
      object: this,
      set: this.offset + MUTEX_WAITERS,
      attempt: () =>
        this.#locked(this.#kernel.lockContended(this.offset, this.#held, isLong())) === AGAIN ? AGAIN : result,
      passOn: () => {
        this.#hasWoken(this.#kernel.lockAbandon(this.offset, this.#held));
        return false;
      },
    };
  }

  #deadlock(): DeadlockError {
    return new DeadlockError(`${this.title} is held by this thread already (slot ${this.region.slot})`);
  }

  /** @internal */
  died(): OwnerDiedError {
    return new OwnerDiedError(
      `the thread that held ${this.title} has died: what it guards may be half changed, see recover()`,
    );
  }

  #freed(): InvalidHandleError {
    return new InvalidHandleError(`the mutex at offset ${this.offset} was freed`);
  }
}

function create(options: SharedObjectOptions): Place {
  const { region, name } = placement(options);
  return region.create(KIND_MUTEX, MUTEX_BYTES, name, (offset, serial) => {
    region.i32[(offset + MUTEX_WORD) >> 2] = serial << STAMP_SHIFT;
  });
}

revives(KIND_MUTEX, (place) => new Mutex(place));
