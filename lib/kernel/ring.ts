/**
 * Ring: a bounded queue, many producers to many consumers, lock-free, first in first out.
 *
 * Source: Dmitry Vyukov, "Bounded MPMC queue" (1024cores.net), for the sequence word in each slot, here "stamp"; the gate on
 * the head with a remembered value, as in rigtorp's SPSCQueue and the LMAX Disruptor; the closed bit in the tail, as in
 * crossbeam-channel.
 *
 * Positions count in twos: the lowest bit of the tail says closed, the lowest bit of a stamp says published.
 *
 * Put    1. load the tail; closed?  2. is there room before the head (first the remembered one, then the true one)?
 *        3. note the intent  4. compare-exchange the tail: the positions are claimed
 *        5. write the payloads and the stamps behind the first, plainly  6. store the first stamp: all are published
 * Get    1. load the head and the stamp of its slot  2. published: copy the payload
 *        3. compare-exchange the head: the copy is the item, and the slot is free; otherwise drop the copy and start again
 *        not published: busy, without a look at the tail, so that who spins leaves the producers' line in peace
 *        A payload that is a block is claimed by its own state word first, so that a block has an owner at any instant;
 *        whoever finds it claimed moves the head on in the owner's place.
 *
 * Invariants: 0 <= tail - head <= capacity. A consumer reaches a stamp only by way of a head that was moved past the one
 * before it, so the first stamp of a batch publishes the whole batch. A copy that another consumer or producer overtook is
 * never used: the compare-exchange fails.
 * "Empty" and "full" are relaxed: an item whose earlier neighbour is claimed but not yet published is not seen.
 */
import {
  BATCH,
  BLOCK_STATE,
  BUSY,
  CLOSED,
  CLOSED_BIT,
  DONE,
  FREED,
  OBJECT_SERIAL,
  QUEUE_BLOCKS,
  QUEUE_FINISHED,
  QUEUE_GETTERS,
  QUEUE_HEAD,
  QUEUE_HEAD_SEEN,
  QUEUE_JOINERS,
  QUEUE_LIMIT,
  QUEUE_MASK,
  QUEUE_PUTTERS,
  QUEUE_SLOTS,
  QUEUE_TAIL,
  SLOT_PAYLOAD,
  SLOT_SHIFT,
  THREAD_BATCH,
  THREAD_INTENT_COUNT,
  THREAD_INTENT_POSITION,
  THREAD_INTENT_QUEUE,
  THREAD_MAIL,
  WAKE,
} from './layout';
import { waiting } from './waiters';

function slotAt(q: usize, position: i32): usize {
  return q + QUEUE_SLOTS + <usize>(((<u32>position >> 1) & <u32>load<i32>(q, QUEUE_MASK)) << SLOT_SHIFT);
}

function room(q: usize, tail: i32): i32 {
  const limit = load<i32>(q, QUEUE_LIMIT);
  const seen = tail - atomic.load<i32>(q, QUEUE_HEAD_SEEN);
  if (<u32>seen < <u32>limit) return limit - seen;
  const head = atomic.load<i32>(q, QUEUE_HEAD);
  atomic.store<i32>(q, head, QUEUE_HEAD_SEEN);
  const used = tail - head;
  return <u32>used < <u32>limit ? limit - used : 0;
}

function claim(q: usize, me: usize, tail: i32, count: i32): bool {
  store<i32>(me, <i32>q, THREAD_INTENT_QUEUE);
  store<i32>(me, tail, THREAD_INTENT_POSITION);
  store<i32>(me, count, THREAD_INTENT_COUNT);
  return atomic.cmpxchg<i32>(q, tail, tail + (count << 1), QUEUE_TAIL) === tail;
}

function said(set: usize): i32 {
  return waiting(set) ? WAKE : DONE;
}

/** Puts the 8 bytes of the caller's mail: DONE, WAKE (a consumer waits), BUSY (full), CLOSED or FREED. */
export function ringPut(q: usize, serial: i32, me: usize): i32 {
  if (load<i32>(q, OBJECT_SERIAL) !== serial) return FREED;
  while (true) {
    const tail = atomic.load<i32>(q, QUEUE_TAIL);
    if ((tail & CLOSED_BIT) !== 0) return CLOSED;
    if (room(q, tail) === 0) {
      if (atomic.load<i32>(q, QUEUE_TAIL) === tail) return BUSY;
      continue;
    }
    if (!claim(q, me, tail, 1)) continue;
    const slot = slotAt(q, tail);
    const payload = load<i64>(me, THREAD_MAIL);
    store<i64>(slot, payload, SLOT_PAYLOAD);
    if (load<i32>(q, QUEUE_BLOCKS) !== 0) atomic.store<i32>(<usize>payload, tail | 1, BLOCK_STATE);
    // Publishes: the payload, and the block that it names. By: this store. Seen after: the load in ringGet().
    atomic.store<i32>(slot, tail | 1);
    return said(q + QUEUE_GETTERS);
  }
}

/** Puts the first of `count` payloads of the caller's batch, as many as there is room for: how many, BUSY, CLOSED or FREED. */
export function ringPutMany(q: usize, serial: i32, me: usize, count: i32): i32 {
  if (load<i32>(q, OBJECT_SERIAL) !== serial) return FREED;
  while (true) {
    const tail = atomic.load<i32>(q, QUEUE_TAIL);
    if ((tail & CLOSED_BIT) !== 0) return CLOSED;
    let free = room(q, tail) >> 1;
    if (free < count && free > 0) {
      // the remembered head may be old: a batch is worth a look at the true one
      const used = tail - atomic.load<i32>(q, QUEUE_HEAD);
      if (<u32>used < <u32>load<i32>(q, QUEUE_LIMIT)) free = (load<i32>(q, QUEUE_LIMIT) - used) >> 1;
    }
    if (free === 0) {
      if (atomic.load<i32>(q, QUEUE_TAIL) === tail) return BUSY;
      continue;
    }
    const n = min(count, free);
    if (!claim(q, me, tail, n)) continue;
    const blocks = load<i32>(q, QUEUE_BLOCKS) !== 0;
    for (let i = n - 1; i >= 0; i--) {
      const position = tail + (i << 1);
      const slot = slotAt(q, position);
      const payload = load<i64>(me + <usize>(i << 3), THREAD_BATCH);
      store<i64>(slot, payload, SLOT_PAYLOAD);
      if (blocks) atomic.store<i32>(<usize>payload, position | 1, BLOCK_STATE);
      if (i > 0) store<i32>(slot, position | 1);
      // Publishes: all payloads and stamps of the batch. By: this store. Seen after: the load in ringGet().
      else atomic.store<i32>(slot, position | 1);
    }
    return n;
  }
}

/** Takes one item into the caller's mail: DONE, WAKE (a producer waits), BUSY (empty: ringEnded says whether for ever) or FREED. */
export function ringGet(q: usize, serial: i32, me: usize): i32 {
  if (load<i32>(q, OBJECT_SERIAL) !== serial) return FREED;
  while (true) {
    const head = atomic.load<i32>(q, QUEUE_HEAD);
    const slot = slotAt(q, head);
    if (atomic.load<i32>(slot) === (head | 1)) {
      const payload = load<i64>(slot, SLOT_PAYLOAD);
      if (atomic.cmpxchg<i32>(q, head, head + 2, QUEUE_HEAD) !== head) continue;
      store<i64>(me, payload, THREAD_MAIL);
      return said(q + QUEUE_PUTTERS);
    }
    if (atomic.load<i32>(q, QUEUE_HEAD) === head) return BUSY;
  }
}

/** As ringGet, of a queue whose items are blocks: the mail is the address of a block that `owner` now owns. */
export function ringGetBlock(q: usize, serial: i32, me: usize, owner: i32): i32 {
  if (load<i32>(q, OBJECT_SERIAL) !== serial) return FREED;
  while (true) {
    const head = atomic.load<i32>(q, QUEUE_HEAD);
    const slot = slotAt(q, head);
    if (atomic.load<i32>(slot) === (head | 1)) {
      const block = load<i32>(slot, SLOT_PAYLOAD);
      const mine = atomic.cmpxchg<i32>(<usize>block, head | 1, owner << 1, BLOCK_STATE) === (head | 1);
      atomic.cmpxchg<i32>(q, head, head + 2, QUEUE_HEAD);
      if (!mine) continue;
      store<i64>(me, <i64>block, THREAD_MAIL);
      return said(q + QUEUE_PUTTERS);
    }
    if (atomic.load<i32>(q, QUEUE_HEAD) === head) return BUSY;
  }
}

/** Whether it is closed and drained. The tail is the producers' line: only who would sleep or says so looks at it. */
export function ringEnded(q: usize): bool {
  const tail = atomic.load<i32>(q, QUEUE_TAIL);
  return (tail & CLOSED_BIT) !== 0 && (tail & ~CLOSED_BIT) === atomic.load<i32>(q, QUEUE_HEAD);
}

/** Takes up to `most` items into the caller's batch, for inline payloads: how many, BUSY or FREED. */
export function ringGetMany(q: usize, serial: i32, me: usize, most: i32): i32 {
  if (load<i32>(q, OBJECT_SERIAL) !== serial) return FREED;
  while (true) {
    const head = atomic.load<i32>(q, QUEUE_HEAD);
    const n = copyPublished(q, me, head, min(most, BATCH));
    if (n > 0) {
      if (atomic.cmpxchg<i32>(q, head, head + (n << 1), QUEUE_HEAD) === head) return n;
      continue;
    }
    if (atomic.load<i32>(q, QUEUE_HEAD) === head) return BUSY;
  }
}

function copyPublished(q: usize, me: usize, head: i32, limit: i32): i32 {
  let n = 0;
  while (n < limit) {
    const position = head + (n << 1);
    const slot = slotAt(q, position);
    if (atomic.load<i32>(slot) !== (position | 1)) break;
    store<i64>(me + <usize>(n << 3), load<i64>(slot, SLOT_PAYLOAD), THREAD_BATCH);
    n++;
  }
  return n;
}

/** Whether an item can be taken, or never again: a consumer that sleeps should look. */
export function ringReadable(q: usize): bool {
  const head = atomic.load<i32>(q, QUEUE_HEAD);
  return atomic.load<i32>(slotAt(q, head)) === (head | 1) || ringEnded(q);
}

/** Whether there is room, or never again: a producer that sleeps should look. */
export function ringWritable(q: usize): bool {
  const tail = atomic.load<i32>(q, QUEUE_TAIL);
  if ((tail & CLOSED_BIT) !== 0) return true;
  return <u32>(tail - atomic.load<i32>(q, QUEUE_HEAD)) < <u32>load<i32>(q, QUEUE_LIMIT);
}

/** Items in the ring, claimed ones included. */
export function ringSize(q: usize): i32 {
  while (true) {
    const head = atomic.load<i32>(q, QUEUE_HEAD);
    const tail = atomic.load<i32>(q, QUEUE_TAIL) & ~CLOSED_BIT;
    if (atomic.load<i32>(q, QUEUE_HEAD) === head) return <i32>(<u32>(tail - head) >> 1);
  }
}

export function ringClose(q: usize): void {
  atomic.or<i32>(q, CLOSED_BIT, QUEUE_TAIL);
}

export function ringClosed(q: usize): bool {
  return (atomic.load<i32>(q, QUEUE_TAIL) & CLOSED_BIT) !== 0;
}

/** Items that were put and for which taskDone() was not called. */
export function ringUnfinished(q: usize): i32 {
  const finished = atomic.load<i32>(q, QUEUE_FINISHED);
  return <i32>(<u32>((atomic.load<i32>(q, QUEUE_TAIL) & ~CLOSED_BIT) - finished) >> 1);
}

/** Counts `n` items as finished: DONE, WAKE (none is left and somebody joins), BUSY when fewer are unfinished. */
export function ringFinish(q: usize, n: i32): i32 {
  while (true) {
    const finished = atomic.load<i32>(q, QUEUE_FINISHED);
    const tail = atomic.load<i32>(q, QUEUE_TAIL) & ~CLOSED_BIT;
    const open = <i32>(<u32>(tail - finished) >> 1);
    if (open < n) return BUSY;
    if (atomic.cmpxchg<i32>(q, finished, finished + (n << 1), QUEUE_FINISHED) !== finished) continue;
    return open === n ? said(q + QUEUE_JOINERS) : DONE;
  }
}
