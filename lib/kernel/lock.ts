/**
 * Mutex: one word that carries its owner.
 *
 * Source: the three-state mutex of Drepper, "Futexes Are Tricky" (2011), as in Rust's std::sys::sync::mutex::futex;
 * the owner in the word as in Linux' robust futexes.
 *
 * | word                | meaning                     |
 * |---------------------|-----------------------------|
 * | UNLOCKED            | nobody holds it             |
 * | slot + 1            | that thread holds it        |
 * | slot + 1, CONTENDED | it holds it, and some sleep |
 *
 * Lock         1. compare-exchange UNLOCKED to me
 * Lock slowly  after registering as a waiter: 1. if UNLOCKED take it as CONTENDED, since others may sleep
 *              2. else make sure that it says CONTENDED, then sleep
 * Unlock       1. exchange with UNLOCKED  2. if it said CONTENDED, wake one of those who are registered
 * Abandon      a waiter that gives up: if others wait, the word must be CONTENDED, or one of them must be woken
 *
 * Invariant: while somebody is registered and asleep, the word says CONTENDED, or a wake is on its way.
 */
import { CONTENDED, DONE, BUSY, FREED, MUTEX_WAITERS, MUTEX_WORD, OBJECT_SERIAL, OWNER, UNLOCKED, WAKE } from './layout';
import { waiting } from './waiters';

/** DONE, BUSY, or FREED. */
export function lock(m: usize, serial: i32, owner: i32): i32 {
  if (load<i32>(m, OBJECT_SERIAL) != serial) return FREED;
  return atomic.load<i32>(m, MUTEX_WORD) == UNLOCKED && atomic.cmpxchg<i32>(m, UNLOCKED, owner, MUTEX_WORD) == UNLOCKED
    ? DONE
    : BUSY;
}

/** DONE, BUSY, or FREED; the caller is registered in the wait set. */
export function lockContended(m: usize, serial: i32, owner: i32): i32 {
  if (load<i32>(m, OBJECT_SERIAL) != serial) return FREED;
  while (true) {
    const seen = atomic.load<i32>(m, MUTEX_WORD);
    if (seen == UNLOCKED) {
      if (atomic.cmpxchg<i32>(m, UNLOCKED, owner | CONTENDED, MUTEX_WORD) == UNLOCKED) return DONE;
    } else {
      if ((seen & CONTENDED) != 0) return BUSY;
      if (atomic.cmpxchg<i32>(m, seen, seen | CONTENDED, MUTEX_WORD) == seen) return BUSY;
    }
  }
}

/** DONE, WAKE, FREED, or BUSY when `owner` does not hold it. */
export function unlock(m: usize, serial: i32, owner: i32): i32 {
  if (load<i32>(m, OBJECT_SERIAL) != serial) return FREED;
  if ((atomic.load<i32>(m, MUTEX_WORD) & OWNER) != owner) return BUSY;
  // Publishes: all that was written under the lock. By: this exchange. Seen after: the compare-exchange in lock().
  return (atomic.xchg<i32>(m, UNLOCKED, MUTEX_WORD) & CONTENDED) != 0 ? WAKE : DONE;
}

/** A waiter leaves without the lock: WAKE when another must be woken in its place. */
export function lockAbandon(m: usize): i32 {
  while (true) {
    if (!waiting(m + MUTEX_WAITERS)) return DONE;
    const seen = atomic.load<i32>(m, MUTEX_WORD);
    if (seen == UNLOCKED) return WAKE;
    if ((seen & CONTENDED) != 0) return DONE;
    if (atomic.cmpxchg<i32>(m, seen, seen | CONTENDED, MUTEX_WORD) == seen) return DONE;
  }
}

/** slot + 1 of the thread that holds it, or 0. */
export function lockOwner(m: usize): i32 {
  return atomic.load<i32>(m, MUTEX_WORD) & OWNER;
}
