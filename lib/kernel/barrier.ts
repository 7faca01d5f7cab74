/**
 * Barrier: a number of parties wait for each other, round after round.
 *
 * Source: the sense-reversing barrier of Mellor-Crummey and Scott, "Algorithms for Scalable Synchronization on Shared-Memory
 * Multiprocessors" (1991), with a round number in place of the sense; breaking and resetting as in Python's
 * threading.Barrier.
 *
 * One 64-bit word holds the round and how many have arrived in it, so that each step is one compare-exchange.
 *
 * Arrive  in the round that the caller saw: one more, whose index is how many were there; the last one of all parties begins
 *         the next round, and wakes all
 * Ended   the round is another one: it was completed, unless there was a reset since
 * Break   while the round is not over: BROKEN, and wake all; nobody can arrive any more
 * Reset   1. break the round if somebody is in it  2. count the reset  3. begin the next round, unbroken
 *
 * A waiter remembers its round and, read while that round lasts, the number of resets.
 *
 * Invariants: in one round each index is given once. A round ends by its last party or by a reset, and by one of them only.
 * A reset is counted before its round ends, so no waiter takes a round that was given up for a completed one. The other way
 * round it may be: who was asleep since its round was completed, and wakes after a reset of a later one, is told that it
 * was broken, as the waiters of the moment are.
 */
import { BARRIER_PARTIES, BARRIER_RESETS, BARRIER_STATE, BROKEN, BUSY, CLOSED, DONE, OVER, WAKE } from './layout';

function roundOf(state: i64): i32 {
  return <i32>(state >>> 32);
}

function begin(round: i32): i64 {
  return (<i64>round) << 32;
}

export function barrierRound(b: usize): i32 {
  return roundOf(atomic.load<i64>(b, BARRIER_STATE));
}

export function barrierResets(b: usize): i32 {
  return atomic.load<i32>(b, BARRIER_RESETS);
}

/** The caller's index in `round`; CLOSED when it is broken, OVER when the round is another one by now. */
export function barrierArrive(b: usize, round: i32): i32 {
  const last = load<i32>(b, BARRIER_PARTIES) - 1;
  while (true) {
    const seen = atomic.load<i64>(b, BARRIER_STATE);
    const arrived = <i32>seen;
    if (roundOf(seen) !== round) return OVER;
    if ((arrived & BROKEN) !== 0) return CLOSED;
    // Publishes: all that the parties wrote before. By: the last one's compare-exchange. Seen after: barrierEnded().
    const next = arrived === last ? begin(round + 1) : seen + 1;
    if (atomic.cmpxchg<i64>(b, seen, next, BARRIER_STATE) === seen) return arrived;
  }
}

/** DONE when all parties came, CLOSED when the round was broken, or BUSY. */
export function barrierEnded(b: usize, round: i32, resets: i32): i32 {
  const seen = atomic.load<i64>(b, BARRIER_STATE);
  if (roundOf(seen) === round) return (<i32>seen & BROKEN) !== 0 ? CLOSED : BUSY;
  return atomic.load<i32>(b, BARRIER_RESETS) === resets ? DONE : CLOSED;
}

/** WAKE when this broke it, DONE when it was broken already, or OVER. */
export function barrierBreak(b: usize, round: i32): i32 {
  while (true) {
    const seen = atomic.load<i64>(b, BARRIER_STATE);
    if (roundOf(seen) !== round) return OVER;
    if ((<i32>seen & BROKEN) !== 0) return DONE;
    if (atomic.cmpxchg<i64>(b, seen, seen | <i64>BROKEN, BARRIER_STATE) === seen) return WAKE;
  }
}

/** WAKE when there was a round to give up, DONE when the barrier was as new. */
export function barrierReset(b: usize): i32 {
  while (true) {
    const seen = atomic.load<i64>(b, BARRIER_STATE);
    if (<i32>seen === 0) return DONE;
    if ((<i32>seen & BROKEN) === 0) {
      atomic.cmpxchg<i64>(b, seen, seen | <i64>BROKEN, BARRIER_STATE);
      continue;
    }
    atomic.add<i32>(b, 1, BARRIER_RESETS);
    if (atomic.cmpxchg<i64>(b, seen, begin(roundOf(seen) + 1), BARRIER_STATE) === seen) return WAKE;
  }
}

/** How many have arrived in this round, with BROKEN. */
export function barrierArrived(b: usize): i32 {
  return <i32>atomic.load<i64>(b, BARRIER_STATE);
}
