/** What is explored of the mutex: a counter is raised under the lock, with plain accesses that race if two are inside. */
import {
  BUSY,
  DONE,
  HANDED,
  MUTEX_BYTES,
  MUTEX_STARVING,
  MUTEX_WAITERS,
  MUTEX_WORD,
  STAMP_SHIFT,
} from '../../../lib/kernel/layout.ts';
import { EventLoop } from './event-loop.ts';
import type { Ground } from './ground.ts';
import { type Cast, Failure, type Machine, type Scenario } from './machine.ts';
import {
  AGAIN,
  call,
  note,
  type Operation,
  Parker,
  type Part,
  type Protocol,
  repairWaits,
  TIMED_OUT,
  touch,
} from './programs.ts';
import type { Program, VirtualThread } from './thread.ts';

/** How a thread locks. */
export interface Locker {
  /** How often. */
  readonly times?: number;
  /** With a deadline that may end at any step. */
  readonly timed?: boolean;
  /** When it says that it has waited for long: at its first try, or only after a sleep. */
  readonly long?: 'at once' | 'later';
  /** By promises, all of them at once. */
  readonly async?: boolean;
  /** Never waits. */
  readonly tries?: boolean;
}

interface LockScenario {
  readonly lockers: readonly Locker[];
  readonly kills?: number;
  readonly timeouts?: number;
  /** Of the object, so that stamps differ. */
  readonly serial?: number;
  readonly protocol?: Protocol;
  /** Runs as one more thread after a death; by default it lets everybody look again, and leaves the lock as it is. */
  readonly repair?: (ground: Ground, mutex: number, dead: VirtualThread) => Part<void>;
}

export function lockScenario(name: string, options: LockScenario): Scenario {
  const { kills = 0, timeouts = 0 } = options;
  return { name, kills, timeouts, setup: (machine) => castOf(machine, options) };
}

function castOf(machine: Machine, { lockers, serial = 5, protocol = {}, repair }: LockScenario): Cast {
  const { ground } = machine;
  const free = serial << STAMP_SHIFT;
  const { at, counter } = layOut(ground, free);
  const lockOf = (slot: number): Lock => new Lock(ground, at, free, slot, protocol);
  // what is left to the repair of the mutex itself: its owner died, or died while it handed the lock over
  const isWedged = (): boolean =>
    machine.dead !== undefined &&
    (machine.solo('lockOwner', at) === machine.dead.slot + 1 || (ground.get(at + MUTEX_WORD) & HANDED) !== 0);
  return {
    programs: lockers.map((locker, slot) => () => raises(lockOf(slot), locker, counter)),
    repair: (dead) =>
      repair ? repair(ground, at, dead) : repairWaits(ground, [at + MUTEX_WAITERS], dead.slot, protocol),
    final: () => {
      checkCount(machine, ground.get(counter));
      if (!isWedged()) checkIdle(machine, at, free);
    },
    maySleep: isWedged,
  };
}

function layOut(ground: Ground, free: number): { at: number; counter: number } {
  const at = ground.take(MUTEX_BYTES);
  const counter = ground.take(4);
  ground.set(at + MUTEX_WORD, free);
  ground.name({ name: 'mutex word', at: at + MUTEX_WORD, bytes: 4 });
  ground.name({ name: 'starving', at: at + MUTEX_STARVING, bytes: 4 });
  ground.name({ name: 'waiters', at: at + MUTEX_WAITERS, bytes: 64 });
  ground.name({ name: 'counter', at: counter, bytes: 4 });
  return { at, counter };
}

function checkCount({ threads, dead }: Machine, counted: number): void {
  const raised = threads.flatMap(({ said }) => said).length;
  const spare = dead ? 1 : 0; // who died had raised it, and could not say so any more
  if (counted < raised || counted > raised + spare) throw new Failure(`raised ${raised} times: ${counted}`);
}

function checkIdle({ ground, dead }: Machine, at: number, free: number): void {
  if (ground.get(at + MUTEX_WORD) !== free) throw new Failure(`the word is left ${ground.get(at + MUTEX_WORD)}`);
  if (ground.get(at + MUTEX_WAITERS) !== 0) throw new Failure('somebody is left in the wait set');
  if (!dead && ground.get(at + MUTEX_STARVING) !== 0) throw new Failure('somebody is left as starving');
}

function* raises(lock: Lock, locker: Locker, counter: number): Program {
  const inside = function* (): Part<void> {
    const seen = yield* touch(counter);
    yield* touch(counter, seen + 1);
    yield* note('raised', 1);
    yield* lock.unlock();
  };
  for (let i = 0; i < (locker.times ?? 1); i++) {
    if (locker.async) yield* lock.lockAsync(locker, inside);
    else if (yield* lock.lock(locker)) yield* inside();
  }
  yield* lock.loop.run();
}

/** The verbs of Mutex for one virtual thread. */
class Lock {
  readonly loop: EventLoop;
  readonly #at: number;
  readonly #held: number;
  readonly #slot: number;
  readonly #parker: Parker;

  constructor(ground: Ground, at: number, free: number, slot: number, protocol: Protocol) {
    this.#at = at;
    this.#held = free | (slot + 1);
    this.#slot = slot;
    this.#parker = new Parker(ground, slot, protocol);
    this.loop = new EventLoop(ground, slot, protocol);
  }

  /** Whether it is locked now: false when the time is up, or when it is not to wait. */
  *lock(locker: Locker): Part<boolean> {
    if (yield* call('lock', this.#at, this.#held)) return true;
    if (locker.tries) return (yield* call('lockGlance', this.#at, this.#held)) === DONE;
    return (yield* this.#parker.block(this.#locking(locker), locker.timed)) !== TIMED_OUT;
  }

  /** Runs `then` when it is locked. */
  *lockAsync(locker: Locker, then: () => Part<void>): Part<void> {
    yield* this.loop.wait(this.#locking(locker), then, locker.timed);
  }

  #locking({ long }: Locker): Operation<true> {
    const [at, held, parker] = [this.#at, this.#held, this.#parker];
    const set = at + MUTEX_WAITERS;
    let attempts = 0;
    return {
      set,
      *attempt() {
        const isLong = long === 'at once' || (long === 'later' && attempts > 0);
        attempts++;
        return (yield* call('lockContended', at, held, Number(isLong))) === DONE ? true : AGAIN;
      },
      *passOn() {
        yield* parker.wakeAsSaid(yield* call('lockAbandon', at, held), set);
        return false;
      },
    };
  }

  *unlock(): Part<void> {
    if (yield* call('unlock', this.#at, this.#held)) return;
    const said = yield* call('unlockContended', this.#at, this.#held);
    if (said === BUSY) throw new Failure(`thread ${this.#slot} holds it and cannot unlock it`);
    yield* this.#parker.wakeAsSaid(said, this.#at + MUTEX_WAITERS);
  }
}
