/**
 * Condition: who waits for a notification. One word for each thread, since a thread may have many waiters.
 *
 * Source: the monitor of Mesa (Lampson and Redell, "Experience with Processes and Monitors in Mesa", 1980): a notification
 * wakes a waiter, which then locks again.
 *
 * | half of the word | meaning                                                      |
 * |------------------|--------------------------------------------------------------|
 * | low              | waiters of the thread whom nobody has notified               |
 * | high             | notifications for them that the thread has not yet dealt out |
 *
 * Wait    1. holding the mutex, count one waiter  2. unlock the mutex  3. register, take my thread's notifications and deal
 *         them out, sleep until one is mine  4. lock the mutex
 * Notify  holding the mutex, from behind the thread of the last notification on: 1. of the first thread that has a waiter and
 *         is registered, turn a waiter into a notification  2. if there is none, of the first that has a waiter: it is about
 *         to register, or blocks elsewhere while its promises wait  3. wake it
 * Leave   holding the mutex, a waiter that was not notified: count one less
 *
 * Invariants: waiters come only under the mutex, and so do notifications: each falls on one who waited before. Waiters and
 * notifications of a thread are as many as it has waiters that were not dealt one. Each step is one atomic operation on one
 * word, so the word of a dead thread can be cleared, and its notifications given to others.
 *
 * Nobody starves: threads are notified in turn, and each deals to its waiters in their order. The words may lie side by side,
 * eight of them on a line: whoever writes one holds the mutex, or has just been woken.
 */
import {
  CONDITION_COUNTS,
  CONDITION_NEXT,
  CONDITION_WAITERS,
  DONE,
  FREED,
  OBJECT_SERIAL,
  REGION_THREADS,
} from './layout';
import { isRegistered } from './waiters';

const NOTIFICATION: i64 = 1 << 32;
const WAITERS: i64 = NOTIFICATION - 1; // mask

function countsOf(c: usize, slot: i32): usize {
  return c + CONDITION_COUNTS + <usize>(slot << 3);
}

/** DONE or FREED. */
export function conditionEnter(c: usize, serial: i32, slot: i32): i32 {
  if (load<i32>(c, OBJECT_SERIAL) !== serial) return FREED;
  atomic.add<i64>(countsOf(c, slot), 1);
  return DONE;
}

/** Takes the notifications of the thread in `slot`: how many, or FREED. */
export function conditionTake(c: usize, serial: i32, slot: i32): i32 {
  if (load<i32>(c, OBJECT_SERIAL) !== serial) return FREED;
  return <i32>(atomic.and<i64>(countsOf(c, slot), WAITERS) >>> 32);
}

/** Notifies one waiter: the slot of its thread, which must be woken, or -1 when nobody waits. */
export function conditionNotify(c: usize): i32 {
  const slot = notify(c, true);
  return slot >= 0 ? slot : notify(c, false);
}

function notify(c: usize, registered: bool): i32 {
  const threads = load<i32>(0, REGION_THREADS);
  let slot = load<i32>(c, CONDITION_NEXT);
  for (let looked = 0; looked < threads; looked++) {
    if (slot >= threads) slot = 0;
    if ((!registered || isRegistered(c + CONDITION_WAITERS, slot)) && turn(countsOf(c, slot), NOTIFICATION - 1)) {
      store<i32>(c, slot + 1, CONDITION_NEXT);
      return slot;
    }
    slot++;
  }
  return -1;
}

/** Adds to the word if a waiter is counted; says whether one was. */
function turn(counts: usize, change: i64): bool {
  while (true) {
    const seen = atomic.load<i64>(counts);
    if ((seen & WAITERS) === 0) return false;
    if (atomic.cmpxchg<i64>(counts, seen, seen + change) === seen) return true;
  }
}

/** One waiter less; false when all were notified meanwhile. */
export function conditionLeave(c: usize, slot: i32): bool {
  return turn(countsOf(c, slot), -1);
}

/** The thread in `slot` has ended: how many notifications it had and did not deal out. */
export function conditionForget(c: usize, slot: i32): i32 {
  return <i32>(atomic.xchg<i64>(countsOf(c, slot), 0) >>> 32);
}
