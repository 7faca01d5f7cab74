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
import { BUSY, DONE, EVENT_CHANGES, EVENT_WAITERS, FREED, OBJECT_SERIAL, WAKE } from './layout';
import { waiting } from './waiters';

/** 1 or 0, or FREED. */
export function eventIsSet(e: usize, serial: i32): i32 {
  return load<i32>(e, OBJECT_SERIAL) === serial ? atomic.load<i32>(e, EVENT_CHANGES) & 1 : FREED;
}

/** What a waiter has to remember. */
export function eventSeen(e: usize): i32 {
  return atomic.load<i32>(e, EVENT_CHANGES);
}

/** DONE when it is set, or was set since; BUSY or FREED. */
export function eventPassed(e: usize, serial: i32, seen: i32): i32 {
  if (load<i32>(e, OBJECT_SERIAL) !== serial) return FREED;
  const changes = atomic.load<i32>(e, EVENT_CHANGES);
  return (changes & 1) !== 0 || changes !== seen ? DONE : BUSY;
}

/** DONE, WAKE when all who wait have to be woken, or FREED. */
export function eventSet(e: usize, serial: i32): i32 {
  // Publishes: all that was written before. By: this change. Seen after: the load in eventIsSet() or eventPassed().
  const said = change(e, serial, 0);
  return said === WAKE && !waiting(e + EVENT_WAITERS) ? DONE : said;
}

/** DONE, WAKE when this cleared it, or FREED. */
export function eventClear(e: usize, serial: i32): i32 {
  return change(e, serial, 1);
}

/** From a count whose lowest bit is `from` to the next; DONE when it was not so. */
function change(e: usize, serial: i32, from: i32): i32 {
  if (load<i32>(e, OBJECT_SERIAL) !== serial) return FREED;
  while (true) {
    const seen = atomic.load<i32>(e, EVENT_CHANGES);
    if ((seen & 1) !== from) return DONE;
    if (atomic.cmpxchg<i32>(e, seen, seen + 1, EVENT_CHANGES) === seen) return WAKE;
  }
}
