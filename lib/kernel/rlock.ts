/**
 * RLock: a mutex that its owner may enter again. The word and its protocol: ./lock.ts.
 *
 * Source: the recursive mutex of POSIX, pthread_mutex_lock with PTHREAD_MUTEX_RECURSIVE: an owner and a count.
 *
 * Lock    1. as a mutex  2. if that failed and the word names me, count one entry more
 * Unlock  1. if entries are counted and the word names me, count one less  2. else as a mutex
 *
 * Invariants: only the thread that the word names writes the count, so a plain word will do; what it writes is ordered by
 * the lock word. Nobody holds the lock: the count is 0. So whoever does not own it and reads anything else here learns from
 * the word that it is not the owner.
 */
import { RLOCK_AGAIN } from './layout';
import { lock, lockHeld, unlock } from './lock';

/** Whether the caller has it now; `held` is the word of a mutex that the caller holds. */
export function rlock(m: usize, held: i32): bool {
  return lock(m, held) || rlockAgain(m, held);
}

/** Whether one entry was taken back; if not, it is for `unlockContended` to say why. */
export function runlock(m: usize, held: i32): bool {
  const again = load<i32>(m, RLOCK_AGAIN);
  if (again === 0) return unlock(m, held);
  if (!lockHeld(m, held)) return false;
  store<i32>(m, again - 1, RLOCK_AGAIN);
  return true;
}

/** Whether the caller entered it again; not when it does not hold it: a waiter then goes on as one of a mutex. */
export function rlockAgain(m: usize, held: i32): bool {
  if (!lockHeld(m, held)) return false;
  store<i32>(m, load<i32>(m, RLOCK_AGAIN) + 1, RLOCK_AGAIN);
  return true;
}
