/**
 * What a queue and a lock can do at any distance: between threads, processes and machines. `Queue` and `Mutex` have these
 * faces, and so have their likes of `ringfence/socket` and `ringfence/nats`; code that is written against them need not
 * know where the other side is. What each distance promises is in docs/beyond.md.
 */
import type { AsyncWaitOptions } from '../memory/wait.ts';

/**
 * A bounded queue, near or far. `taskDone` says that an item which was taken is dealt with: between threads `joinAsync`
 * waits for it, and beyond them an item that nobody acknowledges so comes back when its taker dies. So whoever takes an
 * item calls `taskDone` for it, after what was to be done with it is done.
 *
 * @example
 * async function work(jobs: AsyncQueue<string>): Promise<void> {
 *   for await (const job of jobs) {
 *     console.log(job);
 *     await jobs.taskDone();
 *   }
 * }
 */
export interface AsyncQueue<T = unknown> extends AsyncIterable<T> {
  /** How many items it holds at the most. */
  readonly capacity: number;
  /** How many items are in it; of a queue of this process a number, and a promise of others: `await` both. */
  readonly size: number | Promise<number>;
  /** Puts an item; resolves when it is in the queue, which while the queue is full it is not. */
  putAsync(value: T, options?: AsyncWaitOptions): Promise<void>;
  /** Puts all items in order. */
  putManyAsync(values: ArrayLike<T>, options?: AsyncWaitOptions): Promise<void>;
  /** Takes the oldest item; rejects with ClosedError once the queue is closed and drained. */
  getAsync(options?: AsyncWaitOptions): Promise<T>;
  /** Takes at least one and at most `max` items, as many as are there. */
  getManyAsync(max: number, options?: AsyncWaitOptions): Promise<T[]>;
  /** Says that `n` items which were taken are dealt with, the oldest first. */
  taskDone(n?: number): void | Promise<void>;
  /** Resolves when all that was put is dealt with. */
  joinAsync(options?: AsyncWaitOptions): Promise<void>;
  /** From now on nothing can be put; what is there can still be taken. */
  close(): void | Promise<void>;
}

/**
 * A lock, near or far.
 *
 * @example
 * async function sell(till: AsyncMutex): Promise<void> {
 *   await till.withAsync(() => {
 *     // nobody else is in here
 *   });
 * }
 */
export interface AsyncMutex {
  /** Locks; waits while somebody else holds it. */
  lockAsync(options?: AsyncWaitOptions): Promise<unknown>;
  /** Unlocks; NotOwnerError when it is not held from here. */
  unlock(): void | Promise<void>;
  /** Runs `fn` under the lock; unlocks when its promise is settled. */
  withAsync<R>(fn: () => R | Promise<R>, options?: AsyncWaitOptions): Promise<R>;
}

/** What was taken from afar, with an acknowledgement of its own: for several items in hand that end in any order. */
export interface Task<T> {
  readonly value: T;
  /** Says that it is dealt with. A second call does nothing. */
  done(): void | Promise<void>;
  /** Gives it back: it goes to somebody, be it again to whoever gives it back. */
  giveBack(): void | Promise<void>;
}

/** A queue beyond this process: what was taken and not acknowledged comes back when its taker is gone. */
export interface RemoteQueue<T = unknown> extends AsyncQueue<T> {
  readonly size: Promise<number>;
  /** As `getAsync`, with an acknowledgement of its own, which `taskDone` then does not count. */
  takeAsync(options?: AsyncWaitOptions): Promise<Task<T>>;
  /** As `takeAsync`, up to `max` items with one acknowledgement; resolves with `undefined` once the queue is closed and drained. */
  takeManyAsync(max: number, options?: AsyncWaitOptions): Promise<Task<T[]> | undefined>;
  /** How many items may be taken and not acknowledged, as far as that is known. */
  readonly mostInHand: number;
  taskDone(n?: number): Promise<void>;
  close(): Promise<void>;
}
