/**
 * Ring: a bounded queue, many producers to many consumers, lock-free, first in first out.
 *
 * Sources: Dmitry Vyukov, "Bounded MPMC queue" (1024cores.net), for the stamp in each slot; the tail as a hint that others
 * correct, Michael and Scott, "Simple, Fast, and Practical Non-Blocking and Blocking Concurrent Queue Algorithms" (1996);
 * the owner in the claimed place, iceoryx2; the gate on a remembered head, rigtorp's SPSCQueue.
 *
 * A slot is one 64-bit word: a stamp in its upper half, 32 bits in its lower half. Numbers of a batch, and wide ones (f64,
 * i64), lie side by side in an array of their own, one beside each slot: a run of them is one copy in and one copy out, and
 * a consumer looks at no slot but its first. Positions count in twos, so that a stamp has a bit to say that the slot is
 * published.
 *
 * | word of position p's slot       | meaning                                                               |
 * |---------------------------------|-----------------------------------------------------------------------|
 * | anything older, or 0            | free, once the head is less than a lap behind                         |
 * | p + 1, payload                  | published                                                             |
 * | p, count << CLAIM_SHIFT         | published: a run of which `count` numbers are left, this one included |
 * | p, count << CLAIM_SHIFT + owner | that thread claimed `count` positions from p on, and is filling them  |
 * | p, count << CLAIM_SHIFT + DEAD  | the owner of that claim died: whoever comes here passes over it       |
 * | p, CLOSED_MARK                  | the queue ends here, for ever                                         |
 *
 * Seek    1. start at the tail, which is a hint and never ahead  2. a published slot: the next position; a claimed one: the
 *         position behind its claim; a slot of a later lap: the hint is stale, start at the head  3. what is left is free
 *         or says closed, and is where the queue ends
 * Put     1. seek  2. is there room before the head (first the remembered one, then the true one)?
 *         3. compare-exchange the slot's word: claims the position and publishes the item at once  4. note the tail
 * Many    3. compare-exchange the first slot's word to a claim  4. note the tail  5. write the numbers, and all words
 *         behind the first, plainly  6. store the first word as published: that publishes all
 * Get     1. load the head and its slot's word  2. published: copy the payload, or as much of the run as is wanted
 *         3. compare-exchange the head: the copy is the item, and the slot is free; otherwise drop the copy and start again
 *         A payload that is a block is claimed by its own state word first, so that a block has an owner at any instant;
 *         whoever finds it claimed moves the head on in the owner's place.
 *         A claim that was buried: compare-exchange the head to the position behind it, and start again
 * Close   1. seek  2. compare-exchange the free word to CLOSED_MARK; there is one slot more than the capacity
 * Bury    for the supervisor, of a thread that is gone: its claim, of which there is one at the most, becomes DEAD by one store
 *
 * Invariants: 0 <= end - head <= capacity. All positions before the one that seek ends at are claimed or published: each
 * step passes a claimed or published slot, the tail is noted behind such a slot only, and the head never passes a slot that
 * is not published. Nobody looks at the words inside a claim before its first one is published. A word is replaced by
 * compare-exchange from what was free, and a stamp occurs once in 2^31 positions, so a word that was overtaken fails.
 * A copy that another consumer overtook is never used: the compare-exchange of the head fails.
 * One item is never half there, wherever its producer dies; a claim names its owner, so that it can be buried.
 * "Empty" and "full" are relaxed: an item whose earlier neighbour is claimed but not yet published is not seen.
 */
import {
  BATCH,
  BLOCK_ORDER,
  BLOCK_STATE,
  BUSY,
  CLAIM_SHIFT,
  CLOSED,
  CLOSED_MARK,
  DEAD,
  DONE,
  FREED,
  NO_CLAIM,
  OBJECT_SERIAL,
  OWNER,
  QUEUE_BEREFT,
  QUEUE_BLOCKS,
  QUEUE_FINISHED,
  QUEUE_GETTERS,
  QUEUE_HEAD,
  QUEUE_HEAD_SEEN,
  QUEUE_JOINERS,
  QUEUE_LIMIT,
  QUEUE_MASK,
  QUEUE_NUMBER_SHIFT,
  QUEUE_NUMBERS_AT,
  QUEUE_PUTTERS,
  QUEUE_SLOT_SHIFT,
  QUEUE_SLOTS,
  QUEUE_TAIL,
  SKIPPED,
  THREAD_BATCH,
  THREAD_MAIL,
  THREAD_SENDING,
  THREAD_SENDING_AS,
  WAKE,
} from './layout';
import { waiting } from './waiters';

let end: i32 = 0; // where the last seek ended,
let found: i64 = 0; // and the word of that slot

export function slotAt(q: usize, position: i32): usize {
  return (
    q + QUEUE_SLOTS + <usize>(((<u32>position >> 1) & <u32>load<i32>(q, QUEUE_MASK)) << load<i32>(q, QUEUE_SLOT_SHIFT))
  );
}

export function stampOf(word: i64): i32 {
  return <i32>(word >>> 32);
}

export function wordOf(stamp: i32, payload: i32): i64 {
  return ((<i64>stamp) << 32) | <i64>(<u32>payload);
}

/** Finds where the queue ends: `end`, `found`. CLOSED when it says so there, otherwise DONE. */
function seek(q: usize): i32 {
  let t = atomic.load<i32>(q, QUEUE_TAIL);
  while (true) {
    const word = atomic.load<i64>(slotAt(q, t));
    const ahead = stampOf(word) - t;
    const mark = <i32>word;
    if (ahead === 1) t += 2;
    else if (ahead > 1 && word !== 0) t = atomic.load<i32>(q, QUEUE_HEAD);
    else if (ahead === 0 && mark > 0) t += (mark >> CLAIM_SHIFT) << 1;
    else {
      end = t;
      found = word;
      return ahead === 0 && mark === CLOSED_MARK ? CLOSED : DONE;
    }
  }
}

/** Room for how many items behind `t`, in twos: 0 when full, negative when `t` is no longer the end. */
function room(q: usize, t: i32): i32 {
  const limit = load<i32>(q, QUEUE_LIMIT);
  const seen = t - load<i32>(q, QUEUE_HEAD_SEEN);
  if (<u32>seen < <u32>limit) return limit - seen;
  const head = atomic.load<i32>(q, QUEUE_HEAD);
  store<i32>(q, head, QUEUE_HEAD_SEEN);
  const used = t - head;
  return used < 0 ? used : limit - used;
}

export function said(set: usize): i32 {
  return waiting(set) ? WAKE : DONE;
}

/** Puts an item of 32 bits: DONE, WAKE (a consumer waits), BUSY (full), CLOSED or FREED. */
export function ringPut(q: usize, serial: i32, payload: i32): i32 {
  if (load<i32>(q, OBJECT_SERIAL) !== serial) return FREED;
  // as seek() and room() would find it, when the tail is right and the remembered head leaves room: four puts of five
  const t = atomic.load<i32>(q, QUEUE_TAIL);
  const slot = slotAt(q, t);
  const word = atomic.load<i64>(slot);
  // Publishes: the payload. By: this compare-exchange. Seen after: the load in ringGet().
  if (
    (stampOf(word) - t < 0 || word === 0) &&
    <u32>(t - load<i32>(q, QUEUE_HEAD_SEEN)) < <u32>load<i32>(q, QUEUE_LIMIT) &&
    atomic.cmpxchg<i64>(slot, word, wordOf(t | 1, payload)) === word
  ) {
    store<i32>(q, t + 2, QUEUE_TAIL);
    return said(q + QUEUE_GETTERS);
  }
  return putSlowly(q, payload);
}

function putSlowly(q: usize, payload: i32): i32 {
  while (true) {
    if (seek(q) === CLOSED) return CLOSED;
    const t = end;
    const free = room(q, t);
    if (free === 0) return BUSY;
    if (free < 0) continue;
    // Publishes: the payload. By: this compare-exchange. Seen after: the load in ringGet().
    if (atomic.cmpxchg<i64>(slotAt(q, t), found, wordOf(t | 1, payload)) !== found) continue;
    store<i32>(q, t + 2, QUEUE_TAIL);
    return said(q + QUEUE_GETTERS);
  }
}

/** As ringPut, for a block of the caller's, which belongs to the ring then. */
export function ringPutBlock(q: usize, serial: i32, me: usize, block: usize): i32 {
  if (load<i32>(q, OBJECT_SERIAL) !== serial) return FREED;
  const mine = load<i32>(block, BLOCK_STATE);
  store<i32>(me, <i32>block, THREAD_SENDING);
  while (true) {
    if (seek(q) === CLOSED) return CLOSED;
    const t = end;
    const free = room(q, t);
    if (free === 0) return BUSY;
    if (free < 0) continue;
    store<i32>(me, t | 1, THREAD_SENDING_AS);
    store<i32>(block, t | 1, BLOCK_STATE);
    // Publishes: the block. By: this compare-exchange. Seen after: the load in ringGetBlock().
    if (atomic.cmpxchg<i64>(slotAt(q, t), found, wordOf(t | 1, <i32>block)) === found) {
      store<i32>(q, t + 2, QUEUE_TAIL);
      return said(q + QUEUE_GETTERS);
    }
    store<i32>(block, mine, BLOCK_STATE);
  }
}

/** As ringPut, for the 8 bytes of the caller's mail. */
export function ringPutWide(q: usize, serial: i32, me: usize, owner: i32): i32 {
  if (load<i32>(q, OBJECT_SERIAL) !== serial) return FREED;
  const n = claim(q, owner, 1);
  if (n <= 0) return n;
  store<i64>(numberAt(q, end), load<i64>(me, THREAD_MAIL));
  publishRun(q, end, 1);
  return said(q + QUEUE_GETTERS);
}

/** Puts the first of `count` payloads of the caller's batch, as many as there is room for: how many, BUSY, CLOSED or FREED. */
export function ringPutMany(q: usize, serial: i32, me: usize, owner: i32, count: i32): i32 {
  if (load<i32>(q, OBJECT_SERIAL) !== serial) return FREED;
  const n = claim(q, owner, count);
  if (n <= 0) return n;
  if (load<i32>(q, QUEUE_BLOCKS) !== 0) publishBlocks(q, end, n, me + THREAD_BATCH);
  else {
    copyNumbers(q, end, n, me + THREAD_BATCH, true);
    publishRun(q, end, n);
  }
  return n;
}

/** Claims positions for the first of `count` items, from `claimedAt()` on: how many, BUSY or CLOSED. */
export function claim(q: usize, owner: i32, count: i32): i32 {
  while (true) {
    if (seek(q) === CLOSED) return CLOSED;
    const t = end;
    let free = room(q, t);
    if (free > 0 && free >> 1 < count) free = load<i32>(q, QUEUE_LIMIT) - (t - atomic.load<i32>(q, QUEUE_HEAD)); // worth a look at the true head
    if (free === 0) return BUSY;
    if (free < 0) continue;
    const n = min(count, free >> 1);
    if (atomic.cmpxchg<i64>(slotAt(q, t), found, wordOf(t, (n << CLAIM_SHIFT) | owner)) !== found) continue;
    store<i32>(q, t + (n << 1), QUEUE_TAIL);
    return n;
  }
}

/** The first position of the claim just made. */
export function claimedAt(): i32 {
  return end;
}

/** Publishes the numbers of a claim, which are beside their slots, as a run. */
function publishRun(q: usize, t: i32, n: i32): void {
  for (let i = n - 1; i > 0; i--) store<i64>(slotAt(q, t + (i << 1)), wordOf(t + (i << 1), (n - i) << CLAIM_SHIFT));
  // Publishes: all numbers and words of the claim. By: this store. Seen after: the load in ringGet().
  atomic.store<i64>(slotAt(q, t), wordOf(t, n << CLAIM_SHIFT));
}

/** Writes the blocks of a claim into their slots, and publishes them. */
function publishBlocks(q: usize, t: i32, n: i32, from: usize): void {
  for (let i = n - 1; i >= 0; i--) {
    const position = t + (i << 1);
    const slot = slotAt(q, position);
    const block = load<i32>(from + <usize>(i << 3));
    store<i32>(<usize>block, position | 1, BLOCK_STATE);
    if (i > 0) store<i64>(slot, wordOf(position | 1, block));
    // Publishes: all words and blocks of the claim. By: this store. Seen after: the load in ringGetBlock().
    else atomic.store<i64>(slot, wordOf(position | 1, block));
  }
}

function numberAt(q: usize, position: i32): usize {
  const index = (<u32>position >> 1) & <u32>load<i32>(q, QUEUE_MASK);
  return <usize>(load<i32>(q, QUEUE_NUMBERS_AT) + (index << load<i32>(q, QUEUE_NUMBER_SHIFT)));
}

/** Copies the numbers of `n` positions from `t` on between the ring and a batch; they may go on at the ring's beginning. */
function copyNumbers(q: usize, t: i32, n: i32, batch: usize, isPut: bool): void {
  const shift = load<i32>(q, QUEUE_NUMBER_SHIFT);
  const mask = load<i32>(q, QUEUE_MASK);
  const first = min(n, mask + 1 - ((<u32>t >> 1) & mask));
  copyStretch(numberAt(q, t), batch, first << shift, isPut);
  if (first < n)
    copyStretch(<usize>load<i32>(q, QUEUE_NUMBERS_AT), batch + <usize>(first << shift), (n - first) << shift, isPut);
}

function copyStretch(numbers: usize, batch: usize, bytes: i32, isPut: bool): void {
  if (isPut) memory.copy(numbers, batch, bytes);
  else memory.copy(batch, numbers, bytes);
}

/** How many items of a run are left from `position` on, whose slot has this word: 0 when it is none. */
function leftOf(word: i64, position: i32): i32 {
  const mark = <i32>word;
  return stampOf(word) === position && mark > 0 && (mark & OWNER) === 0 ? mark >> CLAIM_SHIFT : 0;
}

/** What a consumer does that finds no item at `head`: CLOSED, BUSY, SKIPPED, or DONE when it must look again. */
export function notPublished(q: usize, head: i32, word: i64): i32 {
  const mark = <i32>word;
  if (stampOf(word) === head && mark === CLOSED_MARK) return CLOSED;
  if (stampOf(word) === head && (mark & OWNER) === DEAD) {
    const behind = head + ((mark >> CLAIM_SHIFT) << 1);
    const skipped = atomic.cmpxchg<i32>(q, head, behind, QUEUE_HEAD) === head;
    return skipped && waiting(q + QUEUE_PUTTERS) ? SKIPPED : DONE;
  }
  return atomic.load<i32>(q, QUEUE_HEAD) === head ? BUSY : DONE;
}

function numberOf(q: usize, position: i32): i64 {
  const at = numberAt(q, position);
  return load<i32>(q, QUEUE_NUMBER_SHIFT) === 3 ? load<i64>(at) : <i64>load<i32>(at);
}

/** Takes one item into the caller's mail: DONE, WAKE (a producer waits), BUSY (empty), SKIPPED, CLOSED (and drained) or FREED. */
export function ringGet(q: usize, serial: i32, me: usize): i32 {
  if (load<i32>(q, OBJECT_SERIAL) !== serial) return FREED;
  while (true) {
    const head = atomic.load<i32>(q, QUEUE_HEAD);
    const slot = slotAt(q, head);
    const word = atomic.load<i64>(slot);
    const isInWord = stampOf(word) === (head | 1);
    if (isInWord || leftOf(word, head) > 0) {
      const payload = isInWord ? <i64>(<i32>word) : numberOf(q, head);
      if (atomic.cmpxchg<i32>(q, head, head + 2, QUEUE_HEAD) !== head) continue;
      store<i64>(me, payload, THREAD_MAIL);
      return said(q + QUEUE_PUTTERS);
    }
    const why = notPublished(q, head, word);
    if (why !== DONE) return why;
  }
}

/** As ringGet, of a queue whose items are blocks: the mail is the address of a block that `owner`, or `owner | TAKEN`, now owns. */
export function ringGetBlock(q: usize, serial: i32, me: usize, owner: i32): i32 {
  if (load<i32>(q, OBJECT_SERIAL) !== serial) return FREED;
  while (true) {
    const head = atomic.load<i32>(q, QUEUE_HEAD);
    const word = atomic.load<i64>(slotAt(q, head));
    if (stampOf(word) === (head | 1)) {
      const block = <i32>word;
      const mine = atomic.cmpxchg<i32>(<usize>block, head | 1, owner << 1, BLOCK_STATE) === (head | 1);
      atomic.cmpxchg<i32>(q, head, head + 2, QUEUE_HEAD);
      if (!mine) continue;
      store<i32>(<usize>block, head, BLOCK_ORDER);
      store<i64>(me, <i64>block, THREAD_MAIL);
      return said(q + QUEUE_PUTTERS);
    }
    const why = notPublished(q, head, word);
    if (why !== DONE) return why;
  }
}

/** Takes up to `most` items into the caller's batch, for inline payloads: how many, or what ringGet says. */
export function ringGetMany(q: usize, serial: i32, me: usize, most: i32): i32 {
  if (load<i32>(q, OBJECT_SERIAL) !== serial) return FREED;
  while (true) {
    const head = atomic.load<i32>(q, QUEUE_HEAD);
    const n = copyPublished(q, me, head, min(most, BATCH));
    if (n > 0) {
      if (atomic.cmpxchg<i32>(q, head, head + (n << 1), QUEUE_HEAD) === head) return n;
      continue;
    }
    const why = notPublished(q, head, atomic.load<i64>(slotAt(q, head)));
    if (why !== DONE) return why;
  }
}

function copyPublished(q: usize, me: usize, head: i32, limit: i32): i32 {
  const batch = me + THREAD_BATCH;
  const shift = load<i32>(q, QUEUE_NUMBER_SHIFT);
  let n = 0;
  while (n < limit) {
    const position = head + (n << 1);
    const word = atomic.load<i64>(slotAt(q, position));
    if (stampOf(word) === (position | 1)) {
      store<i32>(batch + <usize>(n << shift), <i32>word);
      n++;
      continue;
    }
    const some = min(leftOf(word, position), limit - n);
    if (some === 0) break;
    copyNumbers(q, position, some, batch + <usize>(n << shift), false);
    n += some;
  }
  return n;
}

/** The first position of the claim that the thread `owner` has not published, or NO_CLAIM. */
export function ringClaimOf(q: usize, owner: i32): i32 {
  let t = atomic.load<i32>(q, QUEUE_HEAD);
  while (true) {
    const word = atomic.load<i64>(slotAt(q, t));
    const ahead = stampOf(word) - t;
    const mark = <i32>word;
    if (ahead === 1) t += 2;
    else if (ahead > 1 && word !== 0) t = atomic.load<i32>(q, QUEUE_HEAD);
    else if (ahead !== 0 || mark <= 0) return NO_CLAIM;
    else if ((mark & OWNER) === owner) return t;
    else t += (mark >> CLAIM_SHIFT) << 1;
  }
}

/** Of how many items the claim at position `t` is. */
export function ringClaimed(q: usize, t: i32): i32 {
  return <i32>atomic.load<i64>(slotAt(q, t)) >> CLAIM_SHIFT;
}

/** The claim at position `t`, whose owner is gone, will be passed over. All who wait must look again. */
export function ringBury(q: usize, t: i32): void {
  const slot = slotAt(q, t);
  // Publishes: that the claim is buried. By: this store. Seen after: the load in ringGet().
  atomic.store<i64>(slot, atomic.load<i64>(slot) | <i64>DEAD);
}

/**
 * Whether the thread `owner`, which is gone and whose record is `me`, was responsible for the block: it owned it, or was
 * about to send it, by itself or in its claim of `count` items from position `t` on.
 */
export function ringWasHeld(q: usize, block: usize, me: usize, owner: i32, t: i32, count: i32): bool {
  const state = atomic.load<i32>(block, BLOCK_STATE);
  if ((state & 1) === 0) return state === owner << 1;
  if (t !== NO_CLAIM && <u32>(state - (t | 1)) < <u32>(count << 1)) return true;
  if (load<i32>(me, THREAD_SENDING) !== <i32>block || load<i32>(me, THREAD_SENDING_AS) !== state) return false;
  return atomic.load<i64>(slotAt(q, state)) !== wordOf(state, <i32>block);
}

/** Whether an item can be taken, or never again: a consumer that sleeps should look. */
export function ringReadable(q: usize): bool {
  const head = atomic.load<i32>(q, QUEUE_HEAD);
  const word = atomic.load<i64>(slotAt(q, head));
  const isMarked = stampOf(word) === head && (<i32>word & OWNER) === DEAD; // buried or closed
  return isMarked || stampOf(word) === (head | 1) || leftOf(word, head) > 0;
}

/** Whether there is room, or never again: a producer that sleeps should look. */
export function ringWritable(q: usize): bool {
  return seek(q) === CLOSED || end - atomic.load<i32>(q, QUEUE_HEAD) < load<i32>(q, QUEUE_LIMIT);
}

/** Items in the ring, claimed ones included. */
export function ringSize(q: usize): i32 {
  while (true) {
    const head = atomic.load<i32>(q, QUEUE_HEAD);
    seek(q);
    if (atomic.load<i32>(q, QUEUE_HEAD) === head) return (end - head) >> 1;
  }
}

export function ringClose(q: usize): void {
  while (seek(q) !== CLOSED) {
    if (atomic.cmpxchg<i64>(slotAt(q, end), found, wordOf(end, CLOSED_MARK)) === found) return;
  }
}

export function ringClosed(q: usize): bool {
  return seek(q) === CLOSED;
}

/** Items that were put and for which taskDone() was not called. */
export function ringUnfinished(q: usize): i32 {
  const finished = atomic.load<i32>(q, QUEUE_FINISHED);
  seek(q);
  return <i32>(<u32>(end - finished) >> 1);
}

/**
 * Counts `n` items as finished: DONE, WAKE (none is left and somebody joins), BUSY when fewer are unfinished. When none is
 * left, the death that was noted before then bereaves nobody.
 */
export function ringFinish(q: usize, n: i32): i32 {
  while (true) {
    const finished = atomic.load<i32>(q, QUEUE_FINISHED);
    const death = ringBereft(q);
    seek(q);
    const open = <i32>(<u32>(end - finished) >> 1);
    if (open < n) return BUSY;
    if (atomic.cmpxchg<i32>(q, finished, finished + (n << 1), QUEUE_FINISHED) !== finished) continue;
    if (open !== n) return DONE;
    if (death !== 0) atomic.cmpxchg<i32>(q, death, 0, QUEUE_BEREFT);
    return said(q + QUEUE_JOINERS);
  }
}

/** Notes a death that left items which were taken and not finished. All who join must look again. */
export function ringBereave(q: usize, death: i32): void {
  atomic.store<i32>(q, death, QUEUE_BEREFT);
}

/** The death that was noted last, or 0. */
export function ringBereft(q: usize): i32 {
  return atomic.load<i32>(q, QUEUE_BEREFT);
}
