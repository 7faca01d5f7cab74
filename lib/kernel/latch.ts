/**
 * Latch: a count that goes down to zero, once.
 *
 * Source: java.util.concurrent.CountDownLatch.
 *
 * Down  compare-exchange to less, never below zero; who reaches zero wakes all
 * Wait  until the count is zero
 *
 * Invariant: the count never rises, so who has seen zero need not look again.
 */
import { BUSY, DONE, LATCH_COUNT, WAKE } from './layout';

/** DONE, WAKE when this reached zero, or BUSY when less than `n` is left. */
export function latchDown(l: usize, n: i32): i32 {
  while (true) {
    const seen = atomic.load<i32>(l, LATCH_COUNT);
    if (seen < n) return BUSY;
    // Publishes: all that was written before. By: this compare-exchange. Seen after: the load in latchCount().
    if (atomic.cmpxchg<i32>(l, seen, seen - n, LATCH_COUNT) === seen) return seen === n ? WAKE : DONE;
  }
}

export function latchCount(l: usize): i32 {
  return atomic.load<i32>(l, LATCH_COUNT);
}
