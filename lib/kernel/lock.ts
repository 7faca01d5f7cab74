/**
 * Mutex: one word that carries its owner.
 *
 * Sources: the three-state mutex of Drepper, "Futexes Are Tricky" (2011), as in Rust's std::sys::sync::mutex::futex; the
 * owner in the word as in Linux' robust futexes; the hand-over to who has waited for long, Go's sync.Mutex.
 *
 * | word                                | meaning                                            |
 * |-------------------------------------|----------------------------------------------------|
 * | stamp                               | nobody holds it                                    |
 * | stamp, slot + 1                     | that thread holds it                               |
 * | stamp, slot + 1, CONTENDED          | it holds it, and some sleep                        |
 * | stamp, slot + 1, HANDED, CONTENDED  | that thread was given it, and does not know it yet |
 * | stamp, DEAD                         | its owner died, and nobody has recovered it yet    |
 *
 * The stamp is the low bits of the object's serial. It never changes while the mutex lives; a handle of a mutex that was
 * freed expects another one, so its compare-exchange fails, whatever lives there now. `held` is the second row, of the caller.
 *
 * Lock         1. compare-exchange free to held by me
 * Lock slowly  after registering as a waiter: 1. if free take it as CONTENDED, since others may sleep
 *              2. if it was handed to me take HANDED away: it is mine  3. if I have waited for long, say so
 *              4. make sure that the word says CONTENDED, then sleep
 * Unlock       1. compare-exchange held by me to free
 *              2. if it says CONTENDED: has one waited for long? Hand the lock to it, take it out of the set and wake it; if it
 *              is not in the set it may have given up before it could see that: take the lock back, unless it has it by now
 *              3. otherwise store free and wake one who is registered
 * Abandon      a waiter that gives up, and is out of the set: what was handed to it is taken and unlocked; if others wait,
 *              the word must be CONTENDED, or one of them must be woken
 * Bury         for the supervisor, of a thread that is gone: what it held becomes DEAD; what is HANDED, by it or to it or
 *              otherwise, goes free
 * Recover      compare-exchange DEAD to held by me
 *
 * Invariants: while somebody is registered and asleep, the word says CONTENDED, or a wake is on its way. Only its owner
 * changes the word of a lock that is held, but for adding CONTENDED; one that is HANDED, its owner or who handed it over.
 * Who hands over stores the word and then looks at the set, who gives up leaves the set and then looks at the word: so
 * either the lock is taken back or it is seen.
 * Nobody starves: a waiter that has said that it waits for long is handed the lock by the next unlock that finds it asleep,
 * or else is awake and tries; waiters are woken in turn, so each comes to say so.
 */
import {
  BUSY,
  CONTENDED,
  DEAD,
  DONE,
  FREED,
  HAND,
  HANDED,
  MUTEX_STARVING,
  MUTEX_WAITERS,
  MUTEX_WORD,
  OWNER,
  OWNER_DIED,
  STAMP_SHIFT,
  WAKE,
} from './layout';
import { unregister, waiting } from './waiters';

const STAMP = -1 << STAMP_SHIFT; // mask

/** Whether the caller has it now. */
export function lock(m: usize, held: i32): bool {
  return atomic.cmpxchg<i32>(m, held & STAMP, held, MUTEX_WORD) === (held & STAMP);
}

/** As `lock`, for one that spins: reads until it is free, so that the line stays with its owner. DONE, BUSY, OWNER_DIED or FREED. */
export function lockGlance(m: usize, held: i32): i32 {
  const seen = atomic.load<i32>(m, MUTEX_WORD);
  if ((seen & STAMP) !== (held & STAMP)) return FREED;
  if ((seen & OWNER) === DEAD) return OWNER_DIED;
  return seen === (held & STAMP) && lock(m, held) ? DONE : BUSY;
}

/** DONE, BUSY, OWNER_DIED or FREED; the caller is registered in the wait set, and `long` says whether it has waited for long. */
export function lockContended(m: usize, held: i32, long: bool): i32 {
  while (true) {
    const seen = atomic.load<i32>(m, MUTEX_WORD);
    if ((seen & STAMP) !== (held & STAMP)) return FREED;
    if (seen === (held & STAMP)) {
      if (atomic.cmpxchg<i32>(m, seen, held | CONTENDED, MUTEX_WORD) === seen) return settled(m, held);
    } else if ((seen & ~CONTENDED) === (held | HANDED)) {
      if (atomic.cmpxchg<i32>(m, seen, seen & ~HANDED, MUTEX_WORD) === seen) return settled(m, held);
    } else if ((seen & OWNER) === DEAD) return OWNER_DIED;
    else {
      if (long) atomic.cmpxchg<i32>(m, 0, held & OWNER, MUTEX_STARVING);
      if ((seen & CONTENDED) !== 0) return BUSY;
      if (atomic.cmpxchg<i32>(m, seen, seen | CONTENDED, MUTEX_WORD) === seen) return BUSY;
    }
  }
}

/** The caller waits no longer. */
function settled(m: usize, held: i32): i32 {
  if (atomic.load<i32>(m, MUTEX_STARVING) === (held & OWNER)) {
    atomic.cmpxchg<i32>(m, held & OWNER, 0, MUTEX_STARVING);
  }
  return DONE;
}

/** Whether it is unlocked; not when somebody sleeps, the caller is not the owner, or the mutex was freed. */
export function unlock(m: usize, held: i32): bool {
  // Publishes: all that was written under the lock. By: this compare-exchange. Seen after: the one in lock().
  return atomic.cmpxchg<i32>(m, held, held & STAMP, MUTEX_WORD) === held;
}

/** WAKE, HAND + slot, FREED, or BUSY when the caller is not the owner. */
export function unlockContended(m: usize, held: i32): i32 {
  const seen = atomic.load<i32>(m, MUTEX_WORD);
  if ((seen & STAMP) !== (held & STAMP)) return FREED;
  if ((seen & ~CONTENDED) !== held) return BUSY;
  return release(m, held & STAMP);
}

/** The caller owns the lock, and somebody may sleep: WAKE or HAND + slot. */
function release(m: usize, free: i32): i32 {
  const starving = atomic.load<i32>(m, MUTEX_STARVING);
  if (starving !== 0) {
    atomic.store<i32>(m, 0, MUTEX_STARVING);
    const handed = free | starving | HANDED | CONTENDED;
    // Publishes: all that was written under the lock. By: this store. Seen after: the load in lockContended().
    atomic.store<i32>(m, handed, MUTEX_WORD);
    if (unregister(m + MUTEX_WAITERS, starving - 1)) return HAND + starving - 1;
    // it may have left before the store: then nobody else would ever take the lock
    return atomic.cmpxchg<i32>(m, handed, free, MUTEX_WORD) === handed ? WAKE : HAND + starving - 1;
  }
  // Publishes: all that was written under the lock. By: this store. Seen after: the compare-exchange in lock().
  atomic.store<i32>(m, free, MUTEX_WORD);
  return WAKE;
}

/** A waiter leaves: WAKE or HAND + slot when another must be woken in its place. */
export function lockAbandon(m: usize, held: i32): i32 {
  settled(m, held);
  while (true) {
    const seen = atomic.load<i32>(m, MUTEX_WORD);
    if ((seen & ~CONTENDED) === (held | HANDED)) {
      if (atomic.cmpxchg<i32>(m, seen, seen & ~HANDED, MUTEX_WORD) === seen) return release(m, held & STAMP);
      continue;
    }
    if (!waiting(m + MUTEX_WAITERS)) return DONE;
    if (seen === (held & STAMP)) return WAKE;
    if ((seen & CONTENDED) !== 0 || (seen & OWNER) === DEAD) return DONE;
    if (atomic.cmpxchg<i32>(m, seen, seen | CONTENDED, MUTEX_WORD) === seen) return DONE;
  }
}

/** The thread `owner` is gone: OWNER_DIED when it held the lock, otherwise DONE. All waiters must look again. */
export function lockBury(m: usize, owner: i32): i32 {
  return leaveBehind(m, owner, DEAD);
}

/** The same, when the lock guards nothing that could be half changed: it goes free in one step, and nobody learns of a death. */
export function lockPardon(m: usize, owner: i32): void {
  leaveBehind(m, owner, 0);
}

/** The lock of one who is gone belongs to `next`; a lock on its way, by the dead thread perhaps, to one that had left, is free. */
function leaveBehind(m: usize, owner: i32, next: i32): i32 {
  atomic.cmpxchg<i32>(m, owner, 0, MUTEX_STARVING);
  while (true) {
    const seen = atomic.load<i32>(m, MUTEX_WORD);
    const wasHanded = (seen & HANDED) !== 0;
    if (!wasHanded && (seen & OWNER) !== owner) return DONE;
    if (atomic.cmpxchg<i32>(m, seen, (seen & STAMP) | (wasHanded ? 0 : next), MUTEX_WORD) !== seen) continue;
    return wasHanded ? DONE : OWNER_DIED;
  }
}

/** Whether the caller has it now, whose owner had died. */
export function lockRecover(m: usize, held: i32): bool {
  return atomic.cmpxchg<i32>(m, (held & STAMP) | DEAD, held, MUTEX_WORD) === ((held & STAMP) | DEAD);
}

/** The caller, who has recovered it, gives it back as dead: all waiters must look again. */
export function lockForsake(m: usize, held: i32): void {
  atomic.store<i32>(m, (held & STAMP) | DEAD, MUTEX_WORD);
}

/** The mutex is being freed: no handle's compare-exchange can succeed any more. */
export function lockKill(m: usize): void {
  atomic.store<i32>(m, 0, MUTEX_WORD);
}

/** slot + 1 of the thread that holds it or was handed it, or 0. */
export function lockOwner(m: usize): i32 {
  return atomic.load<i32>(m, MUTEX_WORD) & OWNER;
}

/** slot + 1 of the thread that holds it, knows that, and is not known to be dead; or 0. */
export function lockHolder(m: usize): i32 {
  const seen = atomic.load<i32>(m, MUTEX_WORD);
  return (seen & HANDED) !== 0 || (seen & OWNER) === DEAD ? 0 : seen & OWNER;
}

/** Whether the caller holds it, and knows that it does. */
export function lockHeld(m: usize, held: i32): bool {
  return (atomic.load<i32>(m, MUTEX_WORD) & ~CONTENDED) === held;
}
