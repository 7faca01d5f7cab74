/**
 * A mutex inside another object, and what every lock does with a function: lock, run, unlock.
 */
import type { LivePlace } from '../memory/handles.ts';
import type { AsyncWaitOptions, WaitOptions } from '../memory/wait.ts';
import { Mutex } from './mutex.ts';

/**
 * The forms of a lock. `with` and `withAsync` unlock when the function has ended, also by an error; a guard of
 * `using guard = face.lock()` unlocks at the end of its block.
 */
export interface LockFace extends Disposable {
  lock(options?: WaitOptions): this;
  tryLock(): boolean;
  lockAsync(options?: AsyncWaitOptions): Promise<this>;
  unlock(): void;
  with<R>(fn: () => R, options?: WaitOptions): R;
  withAsync<R>(fn: () => R | Promise<R>, options?: AsyncWaitOptions): Promise<R>;
}

/** The mutex whose word and wait set lie in an object of another class, under the name of that one in its errors. */
export class InnerMutex extends Mutex {
  readonly #title: string;

  constructor(place: LivePlace, title: string) {
    super(place);
    this.#title = title;
  }

  override get title(): string {
    return this.#title;
  }
}

export function runLocked<R>(lock: LockFace, fn: () => R, options?: WaitOptions): R {
  lock.lock(options);
  try {
    return fn();
  } finally {
    lock.unlock();
  }
}

export async function runLockedAsync<R>(
  lock: LockFace,
  fn: () => R | Promise<R>,
  options?: AsyncWaitOptions,
): Promise<R> {
  await lock.lockAsync(options);
  try {
    return await fn();
  } finally {
    lock.unlock();
  }
}
