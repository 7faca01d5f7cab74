/**
 * Subscription: one subscriber's place in a broadcast. The ring and the cursors: ../kernel/broadcast.ts.
 */
import {
  BROADCAST_CODEC,
  BROADCAST_MAIL_STRIDE,
  BROADCAST_MAILS_AT,
  BROADCAST_PUBLISHERS,
  BROADCAST_TEXT,
  BUSY,
  CELL_DATA,
  CELL_LENGTH,
  CLOSED,
  FREED,
  KIND_SUBSCRIPTION,
  OBJECT_SERIAL,
  SUBSCRIPTION_BROADCAST,
  SUBSCRIPTION_WAITERS,
} from '../kernel/layout.ts';
import { ClosedError, InvalidHandleError } from '../memory/errors.ts';
import { type LivePlace, revives, SharedObject } from '../memory/handles.ts';
import type { Kernel } from '../memory/kernel.ts';
import type { Place, Region } from '../memory/region.ts';
import { OVER, type Selectable } from '../memory/selectable.ts';
import {
  AGAIN,
  type AsyncWaitOptions,
  type Operation,
  type Parker,
  requireWaitOptions,
  spin,
  type WaitOptions,
} from '../memory/wait.ts';
import type { Codec } from './codec.ts';
import { codecOf } from './known.ts';

/** The codec of a broadcast. */
export function codecIn<T>(region: Region, broadcast: number): Codec<T> {
  const word = (at: number) => region.i32[(broadcast + at) >> 2] ?? 0;
  const codec = codecOf<T>(region, word(BROADCAST_CODEC), word(BROADCAST_TEXT));
  return codec.bind?.(region) ?? codec;
}

/** Address of the memory by which messages of this thread go into a cell of a broadcast, and out of it. */
export function mailOf({ i32, slot }: Region, broadcast: number): number {
  const mails = i32[(broadcast + BROADCAST_MAILS_AT) >> 2] ?? 0;
  return mails + slot * (i32[(broadcast + BROADCAST_MAIL_STRIDE) >> 2] ?? 0);
}

/** Wakes a publisher if one waits and has room. */
export function wakePublisher({ kernel, parker }: Region, broadcast: number): void {
  const set = broadcast + BROADCAST_PUBLISHERS;
  if (kernel.waiting(set) && kernel.broadcastWritable(broadcast)) parker.wake(set);
}

/**
 * What `subscribe` returns: each item that is published from then on, in order. Hand it to another thread as any shared
 * object; it belongs to the thread that used it last, and when that thread ends it is closed. If several threads use one,
 * each item goes to one of them.
 *
 * @example
 * const prices = new Broadcast<number>({ capacity: 100 });
 * const mine = prices.subscribe();
 * prices.publish(42);
 * mine.get(); // 42
 */
export class Subscription<T = unknown> extends SharedObject {
  /** @internal */ readonly kind: number = KIND_SUBSCRIPTION;
  readonly #kernel: Kernel;
  readonly #parker: Parker;
  readonly #broadcast: Place;
  readonly #codec: Codec<T>;
  readonly #mail: number;
  readonly #waiters: number;
  #closed = false; // by this object: from then on its place may be another subscription's

  /** @internal `Broadcast.subscribe` makes them. */
  constructor(place: LivePlace) {
    super(place);
    const { region, offset } = this;
    const { i32 } = region;
    const broadcast = i32[(offset + SUBSCRIPTION_BROADCAST) >> 2] ?? 0;
    this.#broadcast = { region, offset: broadcast, serial: i32[(broadcast + OBJECT_SERIAL) >> 2] ?? 0 };
    this.#kernel = region.kernel;
    this.#parker = region.parker;
    this.#codec = codecIn<T>(region, broadcast);
    this.#mail = mailOf(region, broadcast);
    this.#waiters = offset + SUBSCRIPTION_WAITERS;
  }

  /**
   * Takes the next item; blocks while there is none. Throws TimeoutError, and ClosedError once the broadcast is closed and its
   * items were taken, or when this subscription was closed.
   */
  get(options?: WaitOptions): T {
    const item = this.#next(requireWaitOptions(options));
    if (item === OVER) throw new ClosedError(this.title);
    return item;
  }

  /** Takes the next item, or returns `undefined` when there is none; never waits. Throws ClosedError as `get`. */
  tryGet(): T | undefined {
    const item = this.#take();
    if (item === OVER) throw new ClosedError(this.title);
    return item === AGAIN ? undefined : item;
  }

  /** Takes the next item without blocking the event loop. Rejects as `get` throws, or with `signal.reason`. */
  async getAsync(options?: AsyncWaitOptions): Promise<T> {
    const item = await this.#parker.wait(this.#taking(), options);
    if (item === OVER) throw new ClosedError(this.title);
    return item;
  }

  /**
   * How many items were overwritten before this subscriber took them; only a broadcast with `slow: 'skip'` does that. It grows
   * when an item is taken, so that between two items it says how many are missing there. Counts modulo 2^32.
   */
  get missed(): number {
    this.region.check(this);
    return this.#kernel.subscriptionMissed(this.offset) >>> 0;
  }

  /** Leaves: what was not taken is for the others only, and no publisher waits for this subscriber. Closing twice is fine. */
  close(): void {
    if (this.#isReplaced()) return;
    this.region.check(this);
    this.#closed = true;
    this.#leave();
  }

  /** As `close`; any later use, in any thread, throws InvalidHandleError. Its memory is the broadcast's. */
  override free(): void {
    if (this.#isReplaced()) return;
    this.region.check(this);
    this.region.i32[(this.offset + OBJECT_SERIAL) >> 2] = 0;
    this.#leave();
    this.#parker.rejectAll(this.#waiters, this.#freed());
  }

  /** `close`, so that `using` ends the subscription. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Takes items, blocking, until the broadcast is closed and its items were taken, or this subscription is closed. */
  *[Symbol.iterator](): Iterator<T> {
    for (;;) {
      const item = this.#next(Number.POSITIVE_INFINITY);
      if (item === OVER) return;
      yield item;
    }
  }

  /** As the iterator, without blocking the event loop. */
  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (;;) {
      const item = await this.#parker.wait(this.#taking());
      if (item === OVER) return;
      yield item;
    }
  }

  /** @internal What `select` needs. */
  selectable(): Selectable<T> {
    return { object: this.#broadcast, set: this.#waiters, ready: this.#ready, take: this.#take };
  }

  #next(timeout: number): T | typeof OVER {
    let item = this.#take();
    if (item === AGAIN) item = spin(this.#take);
    return item === AGAIN ? this.#parker.block(this.#taking(), timeout) : item;
  }

  readonly #take = (): T | typeof AGAIN | typeof OVER => {
    const said = this.#kernel.subscriptionTake(this.offset, this.serial, this.region.slot);
    if (said === BUSY) return AGAIN;
    if (said === CLOSED || (said === FREED && this.#isReplaced())) return OVER;
    if (said === FREED) throw this.#freed();
    wakePublisher(this.region, this.#broadcast.offset);
    const data = this.#mail + CELL_DATA;
    const length = this.region.i32[(this.#mail + CELL_LENGTH) >> 2] as number;
    return this.#codec.decode(this.region.buffer, data, data + length);
  };

  readonly #ready = (): boolean => this.#kernel.subscriptionReadable(this.offset) !== 0;

  /** The object of the wait is the broadcast: it outlives the subscription, whose place and wait set are used again. */
  #taking(): Operation<T | typeof OVER> {
    return {
      what: `get from ${this.title}`,
      object: this.#broadcast,
      set: this.#waiters,
      attempt: this.#take,
      passOn: () => this.#kernel.waiting(this.#waiters) !== 0 && this.#ready(),
    };
  }

  #leave(): void {
    this.#kernel.subscriptionLeave(this.offset, this.serial);
    this.#parker.wakeAll(this.#waiters);
    wakePublisher(this.region, this.#broadcast.offset);
  }

  /** Whether this object was closed, and another subscription has its place. */
  #isReplaced(): boolean {
    const { i32 } = this.region;
    const { offset, serial } = this.#broadcast;
    const there = i32[(this.offset + OBJECT_SERIAL) >> 2];
    return this.#closed && i32[(offset + OBJECT_SERIAL) >> 2] === serial && there !== this.serial && there !== 0;
  }

  #freed(): InvalidHandleError {
    return new InvalidHandleError(`the subscription at offset ${this.offset} was freed`);
  }
}

revives(KIND_SUBSCRIPTION, (place) => new Subscription(place));
