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
import { BUSY, DONE, MUTEX_WORD, OWNER, RLOCK_AGAIN, STAMP_SHIFT } from './layout';
import { lock, unlock } from './lock';

/** DONE or BUSY; `free` and `held` are the words of the mutex before and after. */
export function rlock(m: usize, free: i32, held: i32): i32 {
  return lock(m, free, held) === DONE ? DONE : rlockAgain(m, held);
}

/** DONE, or BUSY when it is for `unlockContended` to say why. */
export function runlock(m: usize, free: i32, held: i32): i32 {
  const again = load<i32>(m, RLOCK_AGAIN);
  if (again === 0) return unlock(m, free, held);
  if (!owns(m, held)) return BUSY;
  store<i32>(m, again - 1, RLOCK_AGAIN);
  return DONE;
}

/** DONE, or BUSY when this thread does not hold it: a waiter of it then goes on as one of a mutex. */
export function rlockAgain(m: usize, held: i32): i32 {
  if (!owns(m, held)) return BUSY;
  store<i32>(m, load<i32>(m, RLOCK_AGAIN) + 1, RLOCK_AGAIN);
  return DONE;
}

function owns(m: usize, held: i32): bool {
  const seen = atomic.load<i32>(m, MUTEX_WORD);
  return (seen & OWNER) === (held & OWNER) && seen >> STAMP_SHIFT === held >> STAMP_SHIFT;
}
