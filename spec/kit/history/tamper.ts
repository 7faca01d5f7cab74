import { random } from '../random.ts';
import type { Operation, Verb } from './lane.ts';

// Changes of a recording, each so that no order explains it any more, for the reason that stands beside it.

type History = readonly Operation[];
type Pick = <T>(among: readonly T[]) => T;
export type Tamper = (history: History, pick: Pick) => History;

const STRANGER = 30; // a lane that the recording has not

/** A change at a place that depends on the seed. */
export function tampered(tamper: Tamper, history: History, seed: number): History {
  const next = random(seed);
  return tamper(history, (among) => {
    if (among.length === 0) throw new Error('the recording has no place for that change');
    return among[next(among.length)] as never;
  });
}

/** Operations that went well, in the order of their calls. */
function good(history: History, ...verbs: readonly Verb[]): Operation[] {
  return history
    .filter(({ verb, outcome }) => verbs.includes(verb) && outcome !== undefined && outcome >= 0)
    .sort((a, b) => a.call - b.call);
}

/** The same, without those at the end that nothing depends on. */
function early(history: History, ...verbs: readonly Verb[]): Operation[] {
  const all = good(history, ...verbs);
  return all.slice(0, all.length / 2);
}

/** What the same lane did next. */
function nextOf(history: History, operation: Operation): Operation {
  return history[history.indexOf(operation) + 1] as Operation;
}

function changed(history: History, operation: Operation, change: Partial<Operation>): History {
  return history.map((each) => (each === operation ? { ...each, ...change } : each));
}

function without(history: History, ...lost: readonly Operation[]): History {
  return history.filter((operation) => !lost.includes(operation));
}

const LOCKS: readonly Verb[] = ['lock', 'tryLock'];
const WRITES: readonly Verb[] = ['write', 'tryWrite'];
const PUTS: readonly Verb[] = ['put', 'tryPut'];
const GETS: readonly Verb[] = ['get', 'tryGet'];
const ACQUIRES: readonly Verb[] = ['acquire', 'tryAcquire'];

/** Two that came one after the other have seen each other's values. */
function swap(...verbs: readonly Verb[]): Tamper {
  return (history, pick) => {
    const all = good(history, ...verbs);
    const first = pick(all.slice(0, all.length / 2));
    const second = pick(all.filter(({ call, outcome }) => call >= first.return && outcome !== first.outcome));
    const { outcome } = first;
    return changed(changed(history, first, { outcome: second.outcome }), second, { outcome });
  };
}

/** A value that can be seen once is seen by two. */
function duplicate(...verbs: readonly Verb[]): Tamper {
  return (history, pick) => {
    const all = good(history, ...verbs);
    const first = pick(all);
    return changed(history, pick(without(all, first)), { outcome: first.outcome });
  };
}

/** A critical section is missing, and with it a count. */
function loseSection(...locks: readonly Verb[]): Tamper {
  return (history, pick) => {
    const lock = pick(early(history, ...locks));
    return without(history, lock, nextOf(history, lock));
  };
}

/** The lock is left after the next one had seen what was written in it. */
function leaveLate(locks: readonly Verb[], seers: readonly Verb[]): Tamper {
  return (history, pick) => {
    const lock = pick(early(history, ...locks));
    const unlock = nextOf(history, lock);
    const seer = good(history, ...seers).find(({ outcome }) => outcome === (lock.outcome ?? 0) + 1) as Operation;
    return changed(history, unlock, { call: seer.return, return: seer.return + 1 });
  };
}

/** Somebody is inside for so long as another one certainly is. */
function intrude(verb: Verb, argument: number, ...locks: readonly Verb[]): Tamper {
  return (history, pick) => {
    const lock = pick(good(history, ...locks));
    const inside = { call: 4 * lock.return, return: 4 * nextOf(history, lock).call + 1 };
    return [...stretched(history), { ...lock, lane: STRANGER, verb, argument, ...inside }];
  };
}

/** The same order, with room between any two stamps. */
function stretched(history: History): History {
  return history.map((operation) => ({ ...operation, call: 4 * operation.call + 2, return: 4 * operation.return }));
}

export const TAMPERS: Readonly<Record<string, Readonly<Record<string, Tamper>>>> = {
  mutex: {
    swap: swap(...LOCKS),
    duplicate: duplicate(...LOCKS),
    'lose a section': loseSection(...LOCKS),
    'lose an unlock': (history, pick) => without(history, pick(early(history, 'unlock'))),
    'beyond real time': leaveLate(LOCKS, LOCKS),
    intrude: intrude('lock', 0, ...LOCKS),
  },
  queue: {
    // of two values the later one was not yet being put when the earlier one had come out
    swap: (history, pick) => {
      const gets = good(history, ...GETS);
      const first = pick(gets.slice(0, gets.length / 2));
      const puts = new Map(good(history, ...PUTS).map((put) => [put.argument, put]));
      const later = gets.filter(({ outcome }) => (puts.get(outcome ?? 0)?.call ?? 0) >= first.return);
      const second = pick(later);
      return changed(changed(history, first, { outcome: second.outcome }), second, { outcome: first.outcome });
    },
    duplicate: duplicate(...GETS),
    'lose a get': (history, pick) => without(history, pick(early(history, ...GETS))), // the others wait behind its item
    'lose a put': (history, pick) => without(history, pick(good(history, ...PUTS))),
    'beyond real time': (history, pick) => {
      const put = pick(good(history, ...PUTS).filter(({ call }) => call > 0));
      const get = good(history, ...GETS).find(({ outcome }) => outcome === put.argument) as Operation;
      return changed(history, get, { lane: STRANGER, call: put.call - 1, return: put.call });
    },
  },
  semaphore: {
    'lose the releases of a lane': (history, pick) => {
      const { lane } = pick(good(history, 'release'));
      return history.filter((operation) => operation.lane !== lane || operation.verb !== 'release');
    },
    intrude: (history, pick) => intrude('acquire', permitsOf(history), ...ACQUIRES)(history, pick),
  },
  rwlock: {
    swap: swap('read', 'tryRead'),
    duplicate: duplicate(...WRITES),
    'lose a section': loseSection(...WRITES),
    'beyond real time': leaveLate(WRITES, ['read', 'tryRead', ...WRITES]),
    'intrude to read': intrude('read', 0, ...WRITES),
    'intrude to write': intrude('write', 0, 'read', 'tryRead'),
  },
};

/** As many as one of them ever had, which is all that a semaphore of two has. */
function permitsOf(history: History): number {
  return Math.max(...good(history, ...ACQUIRES).map(({ argument }) => argument));
}
