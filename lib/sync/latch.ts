/**
 * Latch: a gate that opens when enough has happened, once. The count: ../kernel/latch.ts.
 */
import { BUSY, KIND_LATCH, LATCH_BYTES, LATCH_COUNT, LATCH_WAITERS, WAKE } from '../kernel/layout.ts';
import { requireInteger } from '../memory/errors.ts';
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

/** Options of `new Latch`. */
export interface LatchOptions extends SharedObjectOptions {
  /** How often it must be counted down until it opens, 0 to 2,147,483,647; with 0 it is open. */
  count: number;
}

/**
 * A count that goes down to zero and stays there; threads wait for that. Whoever waited sees all that was written before
 * each `countDown`.
 *
 * @example
 * const loaded = new Latch({ count: 2, name: 'loaded' });
 * loaded.countDown();
 * loaded.countDown();
 * loaded.wait();
 */
export class Latch extends SharedObject {
  /** @internal */ readonly kind: number = KIND_LATCH;
  readonly #kernel: Kernel;
  readonly #parker: Parker;

  /** Makes a latch in the region. Throws RangeError or TypeError for `count`, RegionFullError. */
  constructor(options: LatchOptions);
  /** @internal */
  constructor(place: LivePlace);
  constructor(options: LatchOptions | LivePlace) {
    super(options instanceof LivePlace ? options : create(options));
    this.#kernel = this.region.kernel;
    this.#parker = this.region.parker;
  }

  /**
   * Counts down by `n`, 1 by default, and wakes all who wait when that is zero. Throws RangeError when less than `n` is left,
   * and changes nothing then: somebody was counted twice.
   */
  countDown(n: number = 1): void {
    requireInteger('n', n, 1, MOST);
    this.region.check(this);
    const said = this.#kernel.latchDown(this.offset, n);
    if (said === WAKE) this.#parker.wakeAll(this.offset + LATCH_WAITERS);
    if (said !== BUSY) return;
    const { slot } = this.region;
    throw new RangeError(
      `the thread in slot ${slot} cannot count ${this.title} down by ${n}: its count is ${this.count}`,
    );
  }

  /** Blocks the thread until the count is zero. Throws TimeoutError after `timeout` milliseconds. */
  wait(options?: WaitOptions): void {
    const timeout = requireWaitOptions(options);
    const operation = this.#operation();
    if (operation.attempt() !== AGAIN || spin(operation.attempt) !== AGAIN) return;
    this.#parker.block(operation, timeout);
  }

  /** Waits without blocking the event loop; rejects with TimeoutError or with `signal.reason`. */
  waitAsync(options?: AsyncWaitOptions): Promise<void> {
    return this.#parker.wait(this.#operation(), options);
  }

  /** How much was left at some instant during the call; 0 is final. */
  get count(): number {
    this.region.check(this);
    return this.#kernel.latchCount(this.offset);
  }

  #operation(): Operation<void> {
    return {
      what: `wait for ${this.title}`,
      object: this,
      set: this.offset + LATCH_WAITERS,
      attempt: () => (this.count === 0 ? undefined : AGAIN),
      passOn: () => false, // the last count wakes all
    };
  }
}

function create(options: LatchOptions): Place {
  const { region, name } = placement(options);
  requireInteger('count', options.count, 0, MOST);
  return region.create(KIND_LATCH, LATCH_BYTES, name, (offset) => {
    region.i32[(offset + LATCH_COUNT) >> 2] = options.count;
  });
}

revives(KIND_LATCH, (place) => new Latch(place));
