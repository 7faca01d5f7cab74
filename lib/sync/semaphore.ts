/**
 * Semaphore: so many at a time. The line of its waiters, and why none of them starves: ../kernel/semaphore.ts.
 */
import {
  BUSY,
  DONE,
  FREED,
  KIND_SEMAPHORE,
  REGION_THREADS,
  SEMAPHORE_MAX,
  SEMAPHORE_SHARES,
  SEMAPHORE_STATE,
  SEMAPHORE_WAITERS,
  SHARE_SHIFT,
  WAKE,
} from '../kernel/layout.ts';
import { InvalidHandleError, requireInteger } from '../memory/errors.ts';
import { LivePlace, placement, revives, SharedObject, type SharedObjectOptions } from '../memory/handles.ts';
import type { Kernel } from '../memory/kernel.ts';
import type { Place } from '../memory/region.ts';
import {
  AGAIN,
  type AsyncWaitOptions,
  type Operation,
  type Parker,
  requireWaitOptions,
  spin,
  type WaitOptions,
} from '../memory/wait.ts';

const MOST = 2 ** 31 - 1;
const NOBODY = -1;

/** Options of `new Semaphore`. */
export interface SemaphoreOptions extends SharedObjectOptions {
  /** How many can be taken at first, 0 to 2,147,483,647. */
  permits: number;
  /** How many may be there at the most: `release` beyond it throws. 2,147,483,647 by default. */
  max?: number | undefined;
}

/** What `acquire` took: released once, at the end of a `using` block or before. It belongs to the thread that has it. */
export interface Permit {
  /** How many permits it stands for. */
  readonly permits: number;
  /** Releases them; once only, a second call does nothing. */
  release(): void;
  [Symbol.dispose](): void;
}

/**
 * A count of permits: `acquire` takes some and waits until there are enough, `release` gives some, in any thread, also where
 * none were taken. Whoever acquires sees all that was written before the releases.
 *
 * No waiter starves: a waiter for many permits keeps those who want fewer from taking them one by one, so a waiter for one
 * may have to wait although one is there. Threads that need not wait may come before those that do, but not for long.
 *
 * @example
 * const downloads = new Semaphore({ permits: 4, name: 'downloads' });
 * const pages = await Promise.all(paths.map((path) => downloads.withAsync(() => fetch(path))));
 */
export class Semaphore extends SharedObject {
  /** @internal */ readonly kind: number = KIND_SEMAPHORE;
  readonly #kernel: Kernel;
  readonly #parker: Parker;
  readonly #slot: number;

  /** Makes a semaphore in the region. Throws RangeError or TypeError for `permits` or `max`, RegionFullError. */
  constructor(options: SemaphoreOptions);
  /** @internal */
  constructor(place: LivePlace);
  constructor(options: SemaphoreOptions | LivePlace) {
    super(options instanceof LivePlace ? options : create(options));
    this.#kernel = this.region.kernel;
    this.#parker = this.region.parker;
    this.#slot = this.region.slot;
  }

  /**
   * Takes `n` permits at once, 1 by default, and blocks the thread until they are there. The result gives them back at the
   * end of a `using` block; it need not be kept when `release(n)` is called instead. Throws TimeoutError after `timeout`
   * milliseconds, with nothing taken; RangeError for more than `max`.
   */
  acquire(n: number = 1, options?: WaitOptions): Permit {
    if (n !== 1) this.#requireAmount(n);
    if (options !== undefined) requireWaitOptions(options);
    const said = this.#kernel.semaphoreAcquire(this.offset, this.serial, this.#slot, n);
    return said === DONE ? new HeldPermit(this, n) : this.#acquireSlowly(n, options);
  }

  #acquireSlowly(n: number, options?: WaitOptions): Permit {
    this.region.check(this);
    const result = spin(() => this.#taken(this.#kernel.semaphoreAcquire(this.offset, this.serial, this.#slot, n), n));
    return result === AGAIN ? this.#parker.block(this.#operation(n), requireWaitOptions(options)) : result;
  }

  #taken(said: number, n: number): Permit | typeof AGAIN {
    if (said === FREED) throw this.#freed();
    if (said === BUSY) return AGAIN;
    if (said === WAKE) this.#settle(NOBODY);
    return new HeldPermit(this, n);
  }

  /** Takes `n` permits if they are there and no waiter has a right to them; never waits. Throws RangeError as `acquire`. */
  tryAcquire(n: number = 1): boolean {
    if (n !== 1) this.#requireAmount(n);
    const said = this.#kernel.semaphoreAcquire(this.offset, this.serial, this.#slot, n);
    if (said === FREED) throw this.#freed();
    return said === DONE;
  }

  /** Takes `n` permits without blocking the event loop; rejects as `acquire` throws, or with `signal.reason`. */
  async acquireAsync(n: number = 1, options?: AsyncWaitOptions): Promise<Permit> {
    this.#requireAmount(n);
    return this.#parker.wait(this.#operation(n), options);
  }

  /**
   * Gives `n` permits, 1 by default, and wakes a waiter for whom there are enough now. It need not be the thread that took
   * them. Throws RangeError when there would be more than `max`, and gives none then.
   */
  release(n: number = 1): void {
    if (n !== 1) this.#requireAmount(n);
    const said = this.#kernel.semaphoreRelease(this.offset, this.serial, this.#slot, n);
    if (said !== DONE) this.#released(said, n);
  }

  #released(said: number, n: number): void {
    if (said === FREED) throw this.#freed();
    if (said === WAKE) this.#settle(NOBODY);
    if (said !== BUSY) return;
    const there = `${this.available} are there, ${this.#max} are allowed`;
    throw new RangeError(`the thread in slot ${this.#slot} cannot release ${n} to ${this.title}: ${there}`);
  }

  /** Runs `fn` with `n` permits, 1 by default; releases them when it returned or threw. */
  with<R>(fn: () => R, n: number = 1, options?: WaitOptions): R {
    this.acquire(n, options);
    try {
      return fn();
    } finally {
      this.release(n);
    }
  }

  /** Runs `fn` with `n` permits without blocking the event loop; releases them when its promise is settled. */
  async withAsync<R>(fn: () => R | Promise<R>, n: number = 1, options?: AsyncWaitOptions): Promise<R> {
    await this.acquireAsync(n, options);
    try {
      return await fn();
    } finally {
      this.release(n);
    }
  }

  /** How many permits were there at some instant during the call. */
  get available(): number {
    this.region.check(this);
    return this.#kernel.semaphoreAvailable(this.offset);
  }

  #operation(n: number): Operation<Permit> {
    return {
      what: `acquire of ${n} from ${this.title}`,
      object: this,
      set: this.offset + SEMAPHORE_WAITERS,
      attempt: () => this.#taken(this.#kernel.semaphoreAttempt(this.offset, this.serial, this.#slot, n), n),
      passOn: () => {
        this.#settle(this.#slot);
        return false; // whom to wake was settled: not anybody, but who comes first in line
      },
    };
  }

  /** Wakes who comes first in line if there is enough for it; `left` waits no more. */
  #settle(left: number): void {
    const next = this.#kernel.semaphoreSettle(this.offset, this.serial, this.#slot + 1, left);
    if (next !== NOBODY) this.#parker.unpark(next);
  }

  get #max(): number {
    return this.region.i32[(this.offset + SEMAPHORE_MAX) >> 2] ?? MOST;
  }

  #requireAmount(n: number): void {
    this.region.check(this);
    requireInteger('n', n, 1, this.#max);
  }

  #freed(): InvalidHandleError {
    return new InvalidHandleError(`the semaphore at offset ${this.offset} was freed`);
  }
}

class HeldPermit implements Permit {
  readonly permits: number;
  #semaphore: Semaphore | undefined;

  constructor(semaphore: Semaphore, permits: number) {
    this.#semaphore = semaphore;
    this.permits = permits;
  }

  release(): void {
    const semaphore = this.#semaphore;
    this.#semaphore = undefined;
    semaphore?.release(this.permits);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

function create(options: SemaphoreOptions): Place {
  const { region, name } = placement(options);
  const { permits, max = MOST } = options;
  requireInteger('max', max, 1, MOST);
  requireInteger('permits', permits, 0, max);
  const threads = region.i32[REGION_THREADS >> 2] ?? 0;
  return region.create(KIND_SEMAPHORE, SEMAPHORE_SHARES + (threads << SHARE_SHIFT), name, (offset) => {
    region.i32[(offset + SEMAPHORE_STATE) >> 2] = permits;
    region.i32[(offset + SEMAPHORE_MAX) >> 2] = max;
  });
}

revives(KIND_SEMAPHORE, (place) => new Semaphore(place));
