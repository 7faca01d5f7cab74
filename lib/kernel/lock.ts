/**
 * Mutex: one word that carries its owner.
 *
 * Source: the three-state mutex of Drepper, "Futexes Are Tricky" (2011), as in Rust's std::sys::sync::mutex::futex;
 * the owner in the word as in Linux' robust futexes.
 *
 * | word                       | meaning                     |
 * |----------------------------|-----------------------------|
 * | stamp                      | nobody holds it             |
 * | stamp, slot + 1            | that thread holds it        |
 * | stamp, slot + 1, CONTENDED | it holds it, and some sleep |
 *
 * The stamp is the low bits of the object's serial. It never changes while the mutex lives; a handle of a mutex that was
 * freed expects another one, so its compare-exchange fails, whatever lives there now.
 *
 * Lock         1. compare-exchange free to held by me
 * Lock slowly  after registering as a waiter: 1. if free take it as CONTENDED, since others may sleep
 *              2. else make sure that it says CONTENDED, then sleep
 * Unlock       1. compare-exchange held by me to free  2. if it says CONTENDED, store free and wake one who is registered
 * Abandon      a waiter that gives up: if others wait, the word must be CONTENDED, or one of them must be woken
 *
 * Invariant: while somebody is registered and asleep, the word says CONTENDED, or a wake is on its way.
 */
import { BUSY, CONTENDED, DONE, FREED, MUTEX_WAITERS, MUTEX_WORD, OWNER, STAMP_SHIFT, WAKE } from './layout';
import { waiting } from './waiters';

/** DONE or BUSY; `free` and `held` are the words before and after. */
export function lock(m: usize, free: i32, held: i32): i32 {
  return atomic.cmpxchg<i32>(m, free, held, MUTEX_WORD) === free ? DONE : BUSY;
}

/** As `lock`, for one that spins: reads until it is free, so that the line stays with its owner. DONE, BUSY or FREED. */
export function lockGlance(m: usize, free: i32, held: i32): i32 {
  const seen = atomic.load<i32>(m, MUTEX_WORD);
  if (seen >> STAMP_SHIFT !== free >> STAMP_SHIFT) return FREED;
  return seen === free ? lock(m, free, held) : BUSY;
}

/** DONE, BUSY or FREED; the caller is registered in the wait set. */
export function lockContended(m: usize, free: i32, held: i32): i32 {
  while (true) {
    const seen = atomic.load<i32>(m, MUTEX_WORD);
    if (seen >> STAMP_SHIFT !== free >> STAMP_SHIFT) return FREED;
    if (seen === free) {
      if (atomic.cmpxchg<i32>(m, free, held | CONTENDED, MUTEX_WORD) === free) return DONE;
    } else {
      if ((seen & CONTENDED) !== 0) return BUSY;
      if (atomic.cmpxchg<i32>(m, seen, seen | CONTENDED, MUTEX_WORD) === seen) return BUSY;
    }
  }
}

/** DONE, or BUSY when somebody sleeps, `held` is not the owner, or the mutex was freed. */
export function unlock(m: usize, free: i32, held: i32): i32 {
  // Publishes: all that was written under the lock. By: this compare-exchange. Seen after: the one in lock().
  return atomic.cmpxchg<i32>(m, held, free, MUTEX_WORD) === held ? DONE : BUSY;
}

/** WAKE, FREED, or BUSY when `held` does not name the owner. */
export function unlockContended(m: usize, free: i32, held: i32): i32 {
  const seen = atomic.load<i32>(m, MUTEX_WORD);
  if (seen >> STAMP_SHIFT !== free >> STAMP_SHIFT) return FREED;
  if ((seen & OWNER) !== (held & OWNER)) return BUSY;
  // Publishes: all that was written under the lock. By: this store. Seen after: the compare-exchange in lock().
  atomic.store<i32>(m, free, MUTEX_WORD);
  return WAKE;
}

/** A waiter leaves without the lock: WAKE when another must be woken in its place. */
export function lockAbandon(m: usize, free: i32): i32 {
  while (true) {
    if (!waiting(m + MUTEX_WAITERS)) return DONE;
    const seen = atomic.load<i32>(m, MUTEX_WORD);
    if (seen === free) return WAKE;
    if ((seen & CONTENDED) !== 0) return DONE;
    if (atomic.cmpxchg<i32>(m, seen, seen | CONTENDED, MUTEX_WORD) === seen) return DONE;
  }
}

/** The mutex is being freed: no handle's compare-exchange can succeed any more. */
export function lockKill(m: usize): void {
  atomic.store<i32>(m, 0, MUTEX_WORD);
}

/** slot + 1 of the thread that holds it, or 0. */
export function lockOwner(m: usize): i32 {
  return atomic.load<i32>(m, MUTEX_WORD) & OWNER;
}
