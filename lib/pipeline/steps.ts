import { show } from '../memory/errors.ts';
import type { Outlet } from './outlet.ts';
import type { Later } from './tickets.ts';

// What a stage does with one record. Each step gives a promise only where something has to be awaited: a stage of plain
// functions makes none.

/** A function of the user's module. */
export type Callable = (...args: unknown[]) => unknown;

/** What a stage does: with a function but for `pass`. */
export type StepKind = 'map' | 'flatMap' | 'filter' | 'tap' | 'pass';

/** Does it with one record, whose output goes into the outlet. */
export type Step = (record: unknown) => Later;

/** How a function is called. */
interface Manner {
  /** How often it may be tried again; then what comes of a record is gathered first, as it must not give twice. */
  readonly retries: number;
  /** Whether the function of `map` gets a view to write what it gives into. */
  readonly views: boolean;
}

export function stepOf(kind: StepKind, fn: Callable, outlet: Outlet, { retries, views }: Manner): Step {
  if (kind === 'pass') return (record) => outlet.put(record);
  const give = GIVERS[kind](outlet, retries > 0);
  const call: Callable = kind === 'map' && views ? (record) => fn(record, outlet.blank()) : fn;
  return (record) => {
    const result = call(record);
    return isThenable(result) ? later(result, record, give) : give(result, record);
  };
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

type Give = (result: unknown, record: unknown) => Later;

async function later(result: PromiseLike<unknown>, record: unknown, give: Give): Promise<void> {
  await give(await result, record);
}

const GIVERS: Record<Exclude<StepKind, 'pass'>, (outlet: Outlet, hold: boolean) => Give> = {
  map: (outlet) => (result) => {
    if (result !== undefined) return outlet.put(result);
    throw new TypeError(
      'the function of map returned undefined: return null, or leave records out by filter or flatMap',
    );
  },
  filter: (outlet) => (keeps, record) => (keeps ? outlet.put(record) : undefined),
  tap: (outlet) => (_, record) => outlet.put(record),
  flatMap: (outlet, hold) => (result) => {
    if (Array.isArray(result)) return giveAll(result.values(), outlet);
    if (isAsyncIterable(result)) return giveEach(result, outlet, hold);
    if (!isIterable(result)) {
      throw new TypeError(`the function of flatMap must return an array or an iterable: got ${show(result)}`);
    }
    return giveAll((hold ? [...result] : result)[Symbol.iterator](), outlet);
  },
};

/** Gives what an iterator has, and closes it when giving fails. */
function giveAll(from: Iterator<unknown>, outlet: Outlet): Later {
  for (let next = from.next(); !next.done; next = from.next()) {
    let given: Later;
    try {
      given = outlet.put(next.value);
    } catch (error) {
      from.return?.();
      throw error;
    }
    if (given) return given.then(() => giveAll(from, outlet));
  }
  return undefined;
}

async function giveEach(from: AsyncIterable<unknown>, outlet: Outlet, hold: boolean): Promise<void> {
  const held: unknown[] = [];
  for await (const value of from) {
    if (hold) held.push(value);
    else await outlet.put(value);
  }
  for (const value of held) await outlet.put(value);
}

/** What takes records and gives one result. */
export interface Fold {
  readonly step: Step;
  result(): unknown;
}

/** `reduce`: the next state from the one before and a record. */
export function folding(fn: Callable, initial: unknown): Fold {
  let state = initial;
  const keep = (next: unknown): void => {
    state = next;
  };
  return {
    step: (record) => {
      const next = fn(state, record);
      return isThenable(next) ? Promise.resolve(next).then(keep) : void keep(next);
    },
    result: () => state,
  };
}

/** `forEach`: what the function gives is awaited, and dropped. */
export function visiting(fn: Callable): Fold {
  return {
    step: (record) => {
      const result = fn(record);
      return isThenable(result) ? Promise.resolve(result).then(() => {}) : undefined;
    },
    result: () => undefined,
  };
}

/** Text is iterable too, and is meant as one value. */
export function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value;
}

export function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
