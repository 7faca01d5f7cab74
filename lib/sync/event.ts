/**
 * Event: something has happened. Why no waiter misses a set that is cleared at once: ../kernel/event.ts.
 */
import { EVENT_BYTES, EVENT_WAITERS, KIND_EVENT, WAKE } from '../kernel/layout.ts';
import { LivePlace, placement, revives, SharedObject, type SharedObjectOptions } from '../memory/handles.ts';
import type { Kernel } from '../memory/kernel.ts';
import type { Place } from '../memory/region.ts';
import type { Selectable } from '../memory/selectable.ts';
import {
  AGAIN,
  type AsyncWaitOptions,
  type Operation,
  type Parker,
  requireWaitOptions,
  spin,
  type WaitOptions,
} from '../memory/wait.ts';

/**
 * A flag for which threads can wait: `set` frees all who wait, and all who come until `clear`. Whoever waited sees all that
 * was written before the `set`.
 *
 * @example
 * const ready = new Event({ name: 'ready' });
 * await Promise.all([ready.waitAsync({ timeout: 1000 }), ready.set()]);
 */
export class Event extends SharedObject {
  /** @internal */ readonly kind: number = KIND_EVENT;
  readonly #kernel: Kernel;
  readonly #parker: Parker;

  /** Makes an event that is not set. Throws RegionFullError. */
  constructor(options?: SharedObjectOptions);
  /** @internal */
  constructor(place: LivePlace);
  constructor(options: SharedObjectOptions | LivePlace = {}) {
    super(options instanceof LivePlace ? options : create(options));
    this.#kernel = this.region.kernel;
    this.#parker = this.region.parker;
  }

  /** Sets it, and wakes all who wait; they are freed even if `clear` follows at once. Nothing happens when it is set already. */
  set(): void {
    this.region.check(this);
    if (this.#kernel.eventChange(this.offset, 0) === WAKE) this.#parker.wakeAll(this.offset + EVENT_WAITERS);
  }

  /** Clears it: who waits from now on waits for the next `set`. */
  clear(): void {
    this.region.check(this);
    this.#kernel.eventChange(this.offset, 1);
  }

  /** Blocks the thread until it is set, not at all when it is set now. Throws TimeoutError after `timeout` milliseconds. */
  wait(options?: WaitOptions): void {
    const timeout = requireWaitOptions(options);
    if (this.isSet) return;
    const operation = this.#operation();
    if (spin(operation.attempt) === AGAIN) this.#parker.block(operation, timeout);
  }

  /** Waits without blocking the event loop; rejects with TimeoutError or with `signal.reason`. */
  async waitAsync(options?: AsyncWaitOptions): Promise<void> {
    return this.#parker.wait(this.#operation(), options);
  }

  /** Whether it was set at some instant during the call. */
  get isSet(): boolean {
    return (this.#changes & 1) === 1;
  }

  #operation(): Operation<void> {
    const seen = this.#changes;
    return {
      what: `wait for ${this.title}`,
      object: this,
      set: this.offset + EVENT_WAITERS,
      attempt: () => {
        const changes = this.#changes;
        return changes !== seen || (changes & 1) === 1 ? undefined : AGAIN;
      },
      passOn: () => false, // a set wakes all
    };
  }

  /** @internal What `select` needs: ready once it is set, or was set since. */
  selectable(): Selectable<undefined> {
    const { set, attempt } = this.#operation();
    const take = () => (attempt() === AGAIN ? AGAIN : undefined);
    return { object: this, set, ready: () => take() !== AGAIN, take };
  }

  get #changes(): number {
    this.region.check(this);
    return this.#kernel.eventChanges(this.offset);
  }
}

function create(options: SharedObjectOptions): Place {
  const { region, name } = placement(options);
  return region.create(KIND_EVENT, EVENT_BYTES, name);
}

revives(KIND_EVENT, (place) => new Event(place));
