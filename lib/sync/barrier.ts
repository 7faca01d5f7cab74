/**
 * Barrier: nobody goes on before all are there. Rounds, and how one of them is broken: ../kernel/barrier.ts.
 */
import {
  BARRIER_BYTES,
  BARRIER_PARTIES,
  BARRIER_WAITERS,
  BROKEN,
  CLOSED,
  DONE,
  KIND_BARRIER,
  OBJECT_SERIAL,
  OVER,
  WAKE,
} from '../kernel/layout.ts';
import { BrokenBarrierError, requireInteger } from '../memory/errors.ts';
import { LivePlace, placement, revives, SharedObject, type SharedObjectOptions } from '../memory/handles.ts';
import type { Kernel } from '../memory/kernel.ts';
import type { Place } from '../memory/region.ts';
import {
  AGAIN,
  type AsyncWaitOptions,
  type Operation,
  type Parker,
  requireSignal,
  requireWaitOptions,
  spin,
  type WaitOptions,
} from '../memory/wait.ts';

const MOST = 2 ** 30 - 1;

/** Options of `new Barrier`. */
export interface BarrierOptions extends SharedObjectOptions {
  /** How many wait for each other, 1 to 1,073,741,823: threads, or async tasks of which one thread may run several. */
  parties: number;
}

/** One party that has arrived, and waits for the others. */
interface Arrival {
  readonly index: number;
  readonly operation: Operation<number>;
  /** Whether all parties have come: this one is the last, or was about to give up when they had. */
  complete: boolean;
}

/**
 * A number of parties wait for each other; when the last one has come, all go on, and the next round begins. Whoever goes on
 * sees all that the others wrote before they came.
 *
 * When a party gives up, by its timeout or an abort, the round can never be complete: the barrier is broken, and `wait`
 * throws BrokenBarrierError to all the others until `reset`.
 *
 * @example
 * const phase = new Barrier({ parties: 2, name: 'phase' });
 * const order = await Promise.all([phase.waitAsync(), phase.waitAsync()]); // 0 and 1
 */
export class Barrier extends SharedObject {
  /** @internal */ readonly kind: number = KIND_BARRIER;
  readonly #kernel: Kernel;
  readonly #parker: Parker;

  /** Makes a barrier in the region. Throws RangeError or TypeError for `parties`, RegionFullError. */
  constructor(options: BarrierOptions);
  /** @internal */
  constructor(place: LivePlace);
  constructor(options: BarrierOptions | LivePlace) {
    super(options instanceof LivePlace ? options : create(options));
    this.#kernel = this.region.kernel;
    this.#parker = this.region.parker;
  }

  /**
   * Arrives, and blocks the thread until all parties have. The result is 0 to parties - 1, in the order of arrival, each once
   * a round. Throws TimeoutError after `timeout` milliseconds, which breaks the barrier for all others; BrokenBarrierError
   * when it is broken, or breaks or is reset meanwhile.
   */
  wait(options?: WaitOptions): number {
    const timeout = requireWaitOptions(options);
    const arrival = this.#arrive();
    if (arrival.complete) return arrival.index;
    try {
      const result = spin(arrival.operation.attempt);
      return result === AGAIN ? this.#parker.block(arrival.operation, timeout) : result;
    } catch (error) {
      if (arrival.complete) return arrival.index;
      throw error;
    } finally {
      this.#leave();
    }
  }

  /**
   * As `wait`, without blocking the event loop. An abort rejects with `signal.reason`, and breaks the barrier; a signal that
   * was aborted before does not, since this party never arrived.
   */
  async waitAsync(options?: AsyncWaitOptions): Promise<number> {
    requireWaitOptions(options);
    requireSignal(options?.signal);
    options?.signal?.throwIfAborted();
    const arrival = this.#arrive();
    if (arrival.complete) return arrival.index;
    try {
      return await this.#parker.wait(arrival.operation, options);
    } catch (error) {
      if (arrival.complete) return arrival.index;
      throw error;
    } finally {
      this.#leave();
    }
  }

  /** Breaks it: all who wait, and all who come until `reset`, get BrokenBarrierError. */
  abort(): void {
    this.region.check(this);
    while (this.#break(this.#kernel.barrierRound(this.offset)) === OVER);
  }

  /** Makes it as new. All who wait at the moment get BrokenBarrierError. */
  reset(): void {
    this.region.check(this);
    if (this.#kernel.barrierReset(this.offset) === WAKE) this.#wakeAll();
  }

  /** Whether it was broken at some instant during the call. */
  get broken(): boolean {
    return (this.#arrived & BROKEN) !== 0;
  }

  /** How many waited for the others at some instant during the call; 0 when it is broken. */
  get waiting(): number {
    const arrived = this.#arrived;
    return (arrived & BROKEN) === 0 ? arrived : 0;
  }

  /** How many it takes. */
  get parties(): number {
    this.region.check(this);
    return this.region.i32[(this.offset + BARRIER_PARTIES) >> 2] ?? 0;
  }

  get #arrived(): number {
    this.region.check(this);
    return this.#kernel.barrierArrived(this.offset);
  }

  #arrive(): Arrival {
    this.region.check(this);
    for (;;) {
      // first, so that a thread which dies once it has arrived is known to have been here
      this.#kernel.register(this.#set, this.region.slot);
      const round = this.#kernel.barrierRound(this.offset);
      const resets = this.#kernel.barrierResets(this.offset);
      const index = this.#kernel.barrierArrive(this.offset, round);
      if (index === OVER) continue;
      if (index === CLOSED) {
        this.#leave();
        throw new BrokenBarrierError(this.title);
      }
      const arrival = this.#arrival(index, round, resets);
      if (arrival.complete) this.#wakeAll();
      return arrival;
    }
  }

  /** This thread waits no longer, unless promises of it do. */
  #leave(): void {
    if (this.#lives && !this.#parker.hasWaiters(this.#set)) this.#kernel.unregister(this.#set, this.region.slot);
  }

  get #set(): number {
    return this.offset + BARRIER_WAITERS;
  }

  #arrival(index: number, round: number, resets: number): Arrival {
    const ended = () => this.#kernel.barrierEnded(this.offset, round, resets);
    const arrival: Arrival = {
      index,
      complete: index === this.parties - 1,
      operation: {
        what: `wait at ${this.title}`,
        object: this,
        set: this.#set,
        attempt: () => {
          this.region.check(this);
          const said = ended();
          if (said === CLOSED) throw new BrokenBarrierError(this.title);
          return said === DONE ? index : AGAIN;
        },
        abandon: () => {
          arrival.complete = this.#lives && this.#break(round) === OVER && ended() === DONE;
        },
        passOn: () => false, // the last party wakes all, and so does who breaks it
      },
    };
    return arrival;
  }

  #break(round: number): number {
    const said = this.#kernel.barrierBreak(this.offset, round);
    if (said === WAKE) this.#wakeAll();
    return said;
  }

  #wakeAll(): void {
    this.#parker.wakeAll(this.#set);
  }

  /** Whether it was not freed: a wait that ends since it was has nothing to break. */
  get #lives(): boolean {
    return this.region.i32[(this.offset + OBJECT_SERIAL) >> 2] === this.serial;
  }
}

function create(options: BarrierOptions): Place {
  const { region, name } = placement(options);
  requireInteger('parties', options.parties, 1, MOST);
  return region.create(KIND_BARRIER, BARRIER_BYTES, name, (offset) => {
    region.i32[(offset + BARRIER_PARTIES) >> 2] = options.parties;
  });
}

revives(KIND_BARRIER, (place) => new Barrier(place));
