/**
 * Event: set or not set, and nobody misses a set that is cleared at once.
 *
 * Source: the epoch of the event count (Reed and Kanodia, "Synchronization with Eventcounts and Sequencers", 1979).
 *
 * One word counts the changes: odd while the event is set. A waiter remembers the even count that it saw.
 *
 * Set    even: compare-exchange to the next count, and wake all
 * Clear  odd: compare-exchange to the next count
 * Wait   passed when the count is odd, or another than the one that was seen: it was set in between
 *
 * Invariant: between two equal counts the event was not set, unless 2^32 changes lie between them.
 */
import { DONE, EVENT_CHANGES, WAKE } from './layout';

/** How often it was set or cleared; odd while it is set. */
export function eventChanges(e: usize): i32 {
  return atomic.load<i32>(e, EVENT_CHANGES);
}

/** Sets it with `from` 0, clears it with 1: WAKE when it was so, DONE when there was nothing to change. */
export function eventChange(e: usize, from: i32): i32 {
  while (true) {
    const seen = atomic.load<i32>(e, EVENT_CHANGES);
    if ((seen & 1) !== from) return DONE;
    // Publishes: all that was written before a set. By: this compare-exchange. Seen after: the load in eventChanges().
    if (atomic.cmpxchg<i32>(e, seen, seen + 1, EVENT_CHANGES) === seen) return WAKE;
  }
}
