/**
 * Waits: what a blocked thread waits for, written by itself and read by anybody.
 *
 * Source: the version word of a seqlock, with a number that is never used twice in place of a version.
 *
 * Begin  1. write what is waited for  2. take a ticket  3. store it: from now on the words count
 * End    store 0
 * Read   1. load the ticket; 0: the thread does not block  2. load the words  3. the same ticket still: they belong together
 *
 * Invariants: the words change only while the ticket is 0. A ticket is taken before it is stored, so of two waits the one
 * with the higher ticket may be seen first; but whoever stores one sees all that were stored before.
 */
import {
  REGION_TICKETS,
  THREAD_WAIT_ENDLESS,
  THREAD_WAIT_OBJECT,
  THREAD_WAIT_SERIAL,
  THREAD_WAIT_SET,
  THREAD_WAIT_SINCE,
  THREAD_WAIT_TICKET,
} from './layout';

export function waitBegin(record: usize, object: i32, serial: i32, set: i32, endless: bool, since: f64): void {
  atomic.store<i32>(record, object, THREAD_WAIT_OBJECT);
  atomic.store<i32>(record, serial, THREAD_WAIT_SERIAL);
  atomic.store<i32>(record, set, THREAD_WAIT_SET);
  atomic.store<i32>(record, <i32>endless, THREAD_WAIT_ENDLESS);
  atomic.store<i64>(record, <i64>since, THREAD_WAIT_SINCE);
  const ticket = atomic.add<i64>(0, 1, REGION_TICKETS) + 1;
  // Publishes: the words above. By: this store. Seen after: the load in waitTicket().
  atomic.store<i64>(record, ticket, THREAD_WAIT_TICKET);
}

export function waitEnd(record: usize): void {
  atomic.store<i64>(record, 0, THREAD_WAIT_TICKET);
}

/** The number of the wait, or 0 when the thread does not block; tickets count to 2^53 at the most. */
export function waitTicket(record: usize): f64 {
  return <f64>atomic.load<i64>(record, THREAD_WAIT_TICKET);
}

export function waitSince(record: usize): f64 {
  return <f64>atomic.load<i64>(record, THREAD_WAIT_SINCE);
}

/** A word that other threads may change, for one who only looks. */
export function peek(address: usize): i32 {
  return atomic.load<i32>(address);
}
