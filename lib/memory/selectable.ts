/**
 * Selectable: what `select` asks of the things that it can wait for. A Queue, a Connection and so on give theirs by `selectable()`.
 */
import type { AGAIN } from './wait.ts';

/** What `take` returns when it is closed and drained: nothing will ever come. */
export const OVER: unique symbol = Symbol('over');

/** One source of a `select`. */
export interface Selectable<T> {
  /** The object in whose memory the wait set lies. */
  readonly object: { readonly offset: number; readonly serial: number };
  /** Address of the wait set of those who want a value. */
  readonly set: number;
  /** Whether `take` would give something other than AGAIN, as far as one can see. */
  ready(): boolean;
  /** Takes one value if there is any, and never waits; throws what the caller shall get. */
  take(): T | typeof AGAIN | typeof OVER;
}
