/**
 * Records: items of one fixed size, up to 2,040 bytes, that lie in the slots of a ring behind the word of each slot.
 *
 * Source: ring.ts; here is only how many bytes are copied, and from where.
 *
 * Put   1. claim positions by a compare-exchange of the first slot's word  2. copy the records into their slots, plainly
 *       3. publish all by one store
 * Get   1. copy what is published  2. compare-exchange the head: the copies are the items; otherwise drop them
 *
 * Invariants: those of ring.ts. A batch is one claim and one store, whatever its length: small records lie side by side
 * and cost no block, and each is an item of its own for whoever counts, takes or buries.
 */
import {
  DONE,
  FREED,
  OBJECT_SERIAL,
  QUEUE_GETTERS,
  QUEUE_HEAD,
  QUEUE_PUTTERS,
  QUEUE_RECORD,
  SLOT_RECORD,
} from './layout';
import { claim, claimedAt, notPublished, said, slotAt, stampOf, wordOf } from './ring';

function copy(to: usize, from: usize, bytes: i32): void {
  for (let at: usize = 0; at < <usize>bytes; at += 8) store<i64>(to + at, load<i64>(from + at));
}

/** Puts the first of the `count` records at `from`, as many as there is room for: how many, BUSY, CLOSED or FREED. */
export function recordsPut(q: usize, serial: i32, owner: i32, from: usize, count: i32): i32 {
  if (load<i32>(q, OBJECT_SERIAL) !== serial) return FREED;
  const n = claim(q, owner, count);
  if (n <= 0) return n;
  const t = claimedAt();
  const bytes = load<i32>(q, QUEUE_RECORD);
  for (let i = n - 1; i >= 0; i--) {
    const position = t + (i << 1);
    const slot = slotAt(q, position);
    copy(slot + SLOT_RECORD, from + <usize>(i * bytes), bytes);
    if (i > 0) store<i64>(slot, wordOf(position | 1, 0));
    // Publishes: all records and words of the claim. By: this store. Seen after: the load in recordsGet().
    else atomic.store<i64>(slot, wordOf(position | 1, 0));
  }
  return n;
}

/** Puts the record at `from`: DONE, WAKE (a consumer waits), BUSY (full), CLOSED or FREED. */
export function recordPut(q: usize, serial: i32, owner: i32, from: usize): i32 {
  const n = recordsPut(q, serial, owner, from, 1);
  return n > 0 ? said(q + QUEUE_GETTERS) : n;
}

/** Takes up to `most` records to `into`: how many, BUSY (empty), SKIPPED, CLOSED (and drained) or FREED. */
export function recordsGet(q: usize, serial: i32, into: usize, most: i32): i32 {
  if (load<i32>(q, OBJECT_SERIAL) !== serial) return FREED;
  while (true) {
    const head = atomic.load<i32>(q, QUEUE_HEAD);
    const n = copyPublished(q, head, into, most);
    if (n > 0) {
      if (atomic.cmpxchg<i32>(q, head, head + (n << 1), QUEUE_HEAD) === head) return n;
      continue;
    }
    const why = notPublished(q, head, atomic.load<i64>(slotAt(q, head)));
    if (why !== DONE) return why;
  }
}

function copyPublished(q: usize, head: i32, into: usize, most: i32): i32 {
  const bytes = load<i32>(q, QUEUE_RECORD);
  let n = 0;
  while (n < most) {
    const position = head + (n << 1);
    const slot = slotAt(q, position);
    if (stampOf(atomic.load<i64>(slot)) !== (position | 1)) break;
    copy(into + <usize>(n * bytes), slot + SLOT_RECORD, bytes);
    n++;
  }
  return n;
}

/** Takes a record to `into`: DONE, WAKE (a producer waits), or as recordsGet. */
export function recordGet(q: usize, serial: i32, into: usize): i32 {
  const n = recordsGet(q, serial, into, 1);
  return n > 0 ? said(q + QUEUE_PUTTERS) : n;
}
