/**
 * What every lock does with a function: lock, run, unlock.
 *
 * A condition gives up the lock while it waits. When it cannot lock again, since an owner died meanwhile or the lock was
 * freed, the function ends with an error and without the lock: `lose` notes that, and whoever runs under the lock passes the
 * error on instead of unlocking what is not its own.
 */
import type { SharedObject } from '../memory/handles.ts';
import type { AsyncWaitOptions, WaitOptions } from '../memory/wait.ts';

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

/** Errors, and the locks that were lost with them. */
const lost = new WeakMap<object, SharedObject>();

/** The caller, who held `lock`, could not lock it again for that reason. */
export function lose(lock: SharedObject, reason: unknown): void {
  if (reason instanceof Error) lost.set(reason, lock);
}

export function runLocked<R>(lock: LockFace, fn: () => R, options?: WaitOptions): R {
  lock.lock(options);
  let result: R;
  try {
    result = fn();
  } catch (error) {
    unlockAfter(lock, error);
    throw error;
  }
  lock.unlock();
  return result;
}

export async function runLockedAsync<R>(
  lock: LockFace,
  fn: () => R | Promise<R>,
  options?: AsyncWaitOptions,
): Promise<R> {
  await lock.lockAsync(options);
  let result: R;
  try {
    result = await fn();
  } catch (error) {
    unlockAfter(lock, error);
    throw error;
  }
  lock.unlock();
  return result;
}

/** Unlocks, unless the lock was lost by that error or by what caused it. */
function unlockAfter(lock: LockFace, error: unknown): void {
  for (let at = error; at instanceof Error; at = at.cause) {
    const held = lost.get(at);
    if (held && isSame(held, lock as Partial<SharedObject>)) return;
  }
  lock.unlock();
}

/** Two objects of this thread may stand for one lock. */
function isSame(a: SharedObject, b: Partial<SharedObject>): boolean {
  return a.region === b.region && a.offset === b.offset;
}
