/**
 * Models: how a mutex, a queue, a semaphore and an rwlock behave, and how much an unsuccessful try may know. States are
 * strings: they are remembered, compared and printed.
 *
 * Where a try fails, or a wait runs out of time, it need not have met the exact state. What is allowed beyond it:
 *
 * | says        | must have been so at some instant of the call                                                         |
 * |-------------|-------------------------------------------------------------------------------------------------------|
 * | locked      | somebody held it; or a waiter was about to give up, which may have been handed the lock just then     |
 * | empty       | nothing was in it; or its oldest item was of a put that had not returned                              |
 * | full        | it held as many items as its capacity, those of puts and gets that had not returned included          |
 * | no permits  | there were not enough; or another thread was waiting for some, and may have had the right to them     |
 * | no read     | somebody wrote; or another thread was about to write, or to try                                       |
 * | no write    | somebody read or wrote; or another thread was about to, or was just leaving                           |
 *
 * Everything else is exact.
 */
import { CLOSED, type Operation, OWNER_DIED, REFUSED, type Verb } from './lane.ts';
import type { Model, UnderWay } from './linearize.ts';

const IMPOSSIBLE: readonly string[] = [];

function when(condition: boolean, state: string): readonly string[] {
  return condition ? [state] : IMPOSSIBLE;
}

/** Whether one of the other lanes is in the middle of such an operation. */
function others(underWay: UnderWay, { lane }: Operation, verbs: readonly Verb[], gaveUp = false): boolean {
  return underWay.some(
    (other) => other.lane !== lane && verbs.includes(other.verb) && (!gaveUp || other.outcome === REFUSED),
  );
}

/** What says no, and changes nothing. */
function idle({ outcome }: Operation): boolean {
  return outcome !== undefined && outcome < 0;
}

/**
 * A mutex and a plain counter that every owner reads, raises by one and unlocks: "owner count", the owner a lane, `free` or
 * `dead`. The outcome of a lock is the count that was read. `recover` reads it too, and does not raise it: a dead owner may
 * have raised it or not. Its second half, `settle`, unlocks.
 */
export const mutexModel: Model = {
  initial: 'free 0',
  idle,
  step(state, operation, underWay) {
    const [owner = '', text] = state.split(' ');
    const count = Number(text);
    const { lane, verb, argument, outcome } = operation;
    if (outcome === OWNER_DIED) return when(owner === 'dead', state);
    if (outcome === REFUSED) return when(owner !== 'free' || others(underWay, operation, ['lock'], true), state);
    const had = [owner === 'free' && count, owner === 'dead' && verb === 'recover' && [count, count + 1]].flat();
    switch (verb) {
      case 'lock':
      case 'tryLock':
      case 'recover':
        return had.filter((seen) => seen !== false && (outcome ?? seen) === seen).map((seen) => `${lane} ${seen}`);
      case 'unlock':
        return when(owner === `${lane}`, `free ${count + 1}`);
      case 'settle':
        return when(owner === `${lane}`, `free ${count}`);
      case 'death':
        return [owner === `${argument}` ? `dead ${count}` : state];
      default:
        return IMPOSSIBLE;
    }
  },
};

const DROPPED = '~'; // before an item whose producer died in the middle of its put: it may never be seen
const END = '|'; // behind the last item of a closed queue

/** A queue of distinct numbers: its items with spaces between. */
export function queueModel(capacity: number): Model {
  return {
    initial: '',
    idle,
    step(state, operation, underWay) {
      const items = state === '' ? [] : state.split(' ');
      const closed = items.at(-1) === END;
      if (closed) items.pop();
      const close = (left: readonly string[]): string => (closed ? [...left, END] : left).join(' ');
      const { verb, argument, outcome } = operation;
      switch (verb) {
        case 'put':
        case 'tryPut':
          if (outcome === CLOSED) return when(closed, state);
          if (outcome === REFUSED) return when(!closed && items.length === capacity, state);
          return closed || idle(operation) ? IMPOSSIBLE : putInto(items, capacity, argument);
        case 'get':
        case 'tryGet':
          if (outcome === CLOSED) return when(closed && live(items).length === 0, state);
          if (outcome === REFUSED) return when(mayLookEmpty(live(items), closed, underWay), state);
          return [...taken(items, outcome)].map(close);
        case 'close':
          return [closed ? state : [...items, END].join(' ')];
        case 'death':
          return [close(marked(items, operation, underWay))];
        default:
          return IMPOSSIBLE;
      }
    },
  };
}

/** Without what may have vanished in front. */
function live(items: readonly string[]): string[] {
  const first = items.findIndex((item) => !item.startsWith(DROPPED));
  return first < 0 ? [] : items.slice(first);
}

function putInto(items: readonly string[], capacity: number, value: number): readonly string[] {
  const room = items.length < capacity ? items : live(items);
  return when(room.length < capacity, [...room, value].join(' '));
}

function mayLookEmpty([front]: readonly string[], closed: boolean, underWay: UnderWay): boolean {
  if (front === undefined) return !closed;
  return underWay.some((other, done) => done && /ut$/.test(other.verb) && other.argument === Number(front));
}

/** What is left after a get of `value`, or of any when that is not known. */
function* taken(items: readonly string[], value: number | undefined): Generator<string[]> {
  for (const [at, item] of items.entries()) {
    const number = Number(item.replace(DROPPED, ''));
    if (number === (value ?? number)) yield items.slice(at + 1);
    if (!item.startsWith(DROPPED)) return;
  }
}

/** The items of a dead lane that it had not finished putting may be there or not. */
function marked(items: readonly string[], { argument: dead }: Operation, underWay: UnderWay): string[] {
  return items.map((item) => {
    const unfinished = underWay.some((other) => other.lane === dead && other.argument === Number(item));
    return unfinished && !item.startsWith(DROPPED) ? DROPPED + item : item;
  });
}

/** A semaphore: how many permits there are. The argument is how many are taken or given. */
export function semaphoreModel(permits: number): Model {
  return {
    initial: `${permits}`,
    idle,
    step(state, operation, underWay) {
      const { verb, argument, outcome } = operation;
      const available = Number(state);
      if (verb === 'release') return [`${available + argument}`];
      if (outcome === REFUSED) return when(available < argument || others(underWay, operation, ['acquire']), state);
      return when(available >= argument && !idle(operation), `${available - argument}`);
    },
  };
}

/**
 * An rwlock and a plain version that every writer raises by one: "readers writer version", the writer a lane or `-`. The
 * outcome of a lock is the version that was read.
 */
export const rwlockModel: Model = {
  initial: '0 - 0',
  idle,
  step(state, operation, underWay) {
    const [count, writer, text] = state.split(' ');
    const [readers, version] = [Number(count), Number(text)];
    const { lane, verb, outcome } = operation;
    const [unread, free] = [writer === '-', writer === '-' && readers === 0];
    const seen = (outcome ?? version) === version;
    switch (verb) {
      case 'read':
      case 'tryRead':
        if (outcome === REFUSED) return when(!unread || others(underWay, operation, ['write', 'tryWrite']), state);
        return when(unread && seen, `${readers + 1} - ${version}`);
      case 'unlockRead':
        return when(unread && readers > 0, `${readers - 1} - ${version}`);
      case 'write':
      case 'tryWrite':
        if (outcome === REFUSED) return when(!free || others(underWay, operation, WRITERS_AND_READERS), state);
        return when(free && seen, `0 ${lane} ${version}`);
      case 'unlockWrite':
        return when(writer === `${lane}`, `0 - ${version + 1}`);
      default:
        return IMPOSSIBLE;
    }
  },
};

const WRITERS_AND_READERS: readonly Verb[] = ['read', 'tryRead', 'write', 'tryWrite', 'unlockWrite'];
