/**
 * Event: something has happened. Why no waiter misses a set that is cleared at once: ../kernel/event.ts.
 */
import { DONE, EVENT_BYTES, EVENT_WAITERS, FREED, KIND_EVENT, WAKE } from '../kernel/layout.ts';
import { InvalidHandleError } from '../memory/errors.ts';
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
    const said = this.#alive(this.#kernel.eventSet(this.offset, this.serial));
    if (said === WAKE) this.#parker.wakeAll(this.offset + EVENT_WAITERS);
  }

  /** Clears it: who waits from now on waits for the next `set`. */
  clear(): void {
    this.#alive(this.#kernel.eventClear(this.offset, this.serial));
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
    this.region.check(this);
    return this.#parker.wait(this.#operation(), options);
  }

  /** Whether it was set at some instant during the call. */
  get isSet(): boolean {
    return this.#alive(this.#kernel.eventIsSet(this.offset, this.serial)) === 1;
  }

  #operation(): Operation<void> {
    const seen = this.#kernel.eventSeen(this.offset);
    return {
      what: `wait for ${this.title}`,
      object: this,
      set: this.offset + EVENT_WAITERS,
      attempt: () => {
        const said = this.#alive(this.#kernel.eventPassed(this.offset, this.serial, seen));
        return said === DONE ? undefined : AGAIN;
      },
      passOn: () => false, // a set wakes all
    };
  }

  #alive(said: number): number {
    if (said === FREED) throw new InvalidHandleError(`the event at offset ${this.offset} was freed`);
    return said;
  }
}

function create(options: SharedObjectOptions): Place {
  const { region, name } = placement(options);
  return region.create(KIND_EVENT, EVENT_BYTES, name);
}

revives(KIND_EVENT, (place) => new Event(place));
