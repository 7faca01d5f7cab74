/**
 * Programs of virtual threads: what lib/memory/wait.ts, Mutex and Queue do around the kernel, step by step. The names are
 * theirs; whoever changes them there changes them here.
 */
import { HAND, THREAD_PARK, WAKE } from '../../../lib/kernel/layout.ts';
import type { Kernel } from '../../../lib/memory/kernel.ts';
import type { Ground } from './ground.ts';
import { THREADS } from './ground.ts';
import type { Classes } from './stage.ts';
import { LATE, type Request } from './thread.ts';

/** A part of a program, and what comes of it. */
export type Part<R> = Generator<Request, R, number>;

export const AGAIN: unique symbol = Symbol('again');
export const TIMED_OUT: unique symbol = Symbol('timed out');

export interface Operation<R> {
  readonly set: number;
  attempt(): Part<R | typeof AGAIN>;
  passOn?(): Part<boolean>;
  abandon?(): Part<void>;
}

export function* call(name: keyof Kernel, ...args: readonly (number | bigint)[]): Part<number> {
  return yield { kind: 'call', name, args };
}

export function* peek(address: number): Part<number> {
  return yield { kind: 'peek', address };
}

export function* touch(address: number, value?: number): Part<number> {
  return yield value === undefined ? { kind: 'touch', address } : { kind: 'touch', address, value };
}

export function* poke(address: number, value: number): Part<void> {
  yield { kind: 'poke', address, value };
}

export function* note(what: string, value: number): Part<void> {
  yield { kind: 'note', note: { what, value } };
}

/** What a mutant of the protocol does otherwise. */
export interface Protocol {
  /** Tries before it registers, and does not look again afterwards. */
  readonly lookFirst?: boolean;
  /** Wakes before it puts. */
  readonly wakeFirst?: boolean;
  readonly noPassOn?: boolean;
  readonly noNotify?: boolean;
  readonly noUnregister?: boolean;
  readonly noParkEnd?: boolean;
  /** A wake that promises got before their thread blocked is not passed on. */
  readonly keepsWithdrawn?: boolean;
  /** Promises whose registrations were withdrawn while the thread blocked stay so. */
  readonly noRejoin?: boolean;
  /** A repair that wakes those only who are in the wait sets still. */
  readonly repairSets?: boolean;
  /** A repair that does not touch the futex of who was told to wake. */
  readonly repairParked?: boolean;
  readonly noRepair?: boolean;
  /** Of a scenario that plays what ships: classes with a change. */
  readonly classes?: Partial<Classes>;
  /** The same: calls of the kernel that are left out, and what they answer. */
  readonly dropped?: Readonly<Record<string, number>>;
}

/** One thread's sleep: the blocking half of `Parker`. */
export class Parker {
  readonly #ground: Ground;
  readonly #slot: number;
  readonly #protocol: Protocol;
  #next = 0;

  constructor(ground: Ground, slot: number, protocol: Protocol = {}) {
    this.#ground = ground;
    this.#slot = slot;
    this.#protocol = protocol;
  }

  *block<R>(operation: Operation<R>, timed = false): Part<R | typeof TIMED_OUT> {
    const result = yield* this.#park(operation, timed);
    yield* this.leave(operation);
    return result;
  }

  *#park<R>(operation: Operation<R>, timed: boolean): Part<R | typeof TIMED_OUT> {
    let late = false;
    for (;;) {
      if (!this.#protocol.lookFirst) yield* call('register', operation.set, this.#slot);
      const result = yield* operation.attempt();
      if (result !== AGAIN) return result;
      if (this.#protocol.lookFirst) yield* call('register', operation.set, this.#slot);
      if (timed && (late || (yield { kind: 'expire' }) === 1)) {
        if (operation.abandon) yield* operation.abandon();
        return TIMED_OUT;
      }
      late = yield* this.#sleep(timed);
    }
  }

  *#sleep(timed: boolean): Part<boolean> {
    const record = this.#ground.record(this.#slot);
    if (!(yield* call('parkBegin', record))) return false;
    const said = yield { kind: 'sleep', word: record + THREAD_PARK, timed };
    if (!this.#protocol.noParkEnd) yield* call('parkEnd', record);
    return said === LATE;
  }

  *leave<R>(operation: Operation<R>): Part<void> {
    if (!this.#protocol.noUnregister) yield* call('unregister', operation.set, this.#slot);
    if (!operation.passOn || this.#protocol.noPassOn) return;
    if (yield* operation.passOn()) yield* this.wake(operation.set);
  }

  *wake(set: number): Part<void> {
    const slot = yield* call('takeWaiter', set, this.#next);
    if (slot < 0 || slot >= THREADS) return;
    this.#next = slot + 1 < THREADS ? slot + 1 : 0;
    yield* this.unpark(slot);
  }

  *wakeAll(set: number): Part<void> {
    for (let slot = 0; slot < THREADS; slot++) {
      if ((yield* call('isRegistered', set, slot)) && (yield* call('unregister', set, slot))) yield* this.unpark(slot);
    }
  }

  *unpark(slot: number): Part<void> {
    const record = this.#ground.record(slot);
    const sleeps = yield* call('unpark', record);
    if (sleeps && !this.#protocol.noNotify) yield { kind: 'notify', word: record + THREAD_PARK };
  }

  /** Wakes whom an unlock says: `#hasWoken` of Mutex. */
  *wakeAsSaid(said: number, set: number): Part<boolean> {
    if (said === WAKE) yield* this.wake(set);
    else if (said >= HAND) yield* this.unpark(said - HAND);
    else return false;
    return true;
  }
}

/**
 * The repair of the wait sets after a death: it waits for nothing any more, and a wake that it had taken to give may be lost
 * at any step of giving it. So everybody looks again, whether the park word says that it was woken or not.
 */
export function* repairWaits(
  ground: Ground,
  sets: readonly number[],
  dead: number,
  protocol: Protocol = {},
): Part<void> {
  if (protocol.noRepair) return;
  for (const set of sets) yield* call('unregister', set, dead);
  for (let slot = 0; slot < THREADS; slot++) {
    if (slot === dead) continue;
    if (protocol.repairSets && !(yield* isWaiting(sets, slot))) continue;
    const isParked = yield* call('unpark', ground.record(slot));
    if (isParked || !protocol.repairParked) yield { kind: 'notify', word: ground.record(slot) + THREAD_PARK };
  }
}

function* isWaiting(sets: readonly number[], slot: number): Part<boolean> {
  for (const set of sets) if (yield* call('isRegistered', set, slot)) return true;
  return false;
}
