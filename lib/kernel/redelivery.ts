/**
 * Redelivery: items that stay their consumer's until it acknowledges them, and come back when its thread dies first.
 *
 * Source: the unacknowledged deliveries of AMQP 0-9-1, section 3.1.8; here the state word of the item's block holds them.
 *
 * | state of a block, beside those of blocks.ts | meaning                                                          |
 * |---------------------------------------------|------------------------------------------------------------------|
 * | TAKEN + owner, shifted by one               | that thread took the item, and has not acknowledged it           |
 * | TAKEN, shifted by one                       | returned: the thread that had taken it died, the next may have it |
 *
 * Get          1. a returned block, the one that was taken first: compare-exchange its state to TAKEN by me
 *              2. none: from the ring, where the compare-exchange of the state says TAKEN by me at once: see ring.ts
 * Acknowledge  one store: TAKEN by me becomes mine, as if I had written it; then it is freed as any block
 * Give back    1. the block becomes returned, by one store  2. count RETURNS
 * Return       for the supervisor, of a thread that is gone, each block that it had TAKEN: 1. if it died before it moved the
 *              head behind the item, move it  2. the block becomes returned, by one store
 *              3. count RETURNS: consumers look at the blocks only when that is not what they have seen last
 * Settled      1. the ring is empty  2. no block is taken or returned  3. nothing was put meanwhile
 *
 * Invariants: an item stays in its block, so a walk over the blocks misses none; its state is TAKEN from the step that takes
 * it to the one that acknowledges it. RETURNS counts after the blocks, and whoever notes what he saw of it had read it before
 * he looked at them: what he notes is never ahead. A return that was cut off is done again by the next supervisor, which
 * counts if any block is returned, whoever returned it.
 */

import { blockAt } from './blocks';
import {
  BLOCK_ORDER,
  BLOCK_STATE,
  BUSY,
  DONE,
  FREED,
  NO_BLOCK,
  OBJECT_SERIAL,
  QUEUE_BLOCKS,
  QUEUE_HEAD,
  QUEUE_RETURNS,
  QUEUE_RETURNS_SEEN,
  TAKEN,
  THREAD_MAIL,
} from './layout';
import { slotAt, stampOf } from './ring';

const RETURNED: i32 = TAKEN << 1;

function stateOf(q: usize, index: i32): i32 {
  return atomic.load<i32>(blockAt(q, index), BLOCK_STATE);
}

/** Takes the returned item that was taken first before for `taker`, a thread with TAKEN: DONE, BUSY when there is none, or FREED. */
export function blockTake(q: usize, serial: i32, me: usize, taker: i32): i32 {
  if (load<i32>(q, OBJECT_SERIAL) !== serial) return FREED;
  const returns = atomic.load<i32>(q, QUEUE_RETURNS);
  if (returns === atomic.load<i32>(q, QUEUE_RETURNS_SEEN)) return BUSY;
  while (true) {
    const first = firstReturned(q);
    if (first === NO_BLOCK) {
      atomic.store<i32>(q, returns, QUEUE_RETURNS_SEEN);
      return BUSY;
    }
    const block = blockAt(q, first);
    if (atomic.cmpxchg<i32>(block, RETURNED, taker << 1, BLOCK_STATE) !== RETURNED) continue;
    store<i64>(me, <i64>block, THREAD_MAIL);
    return DONE;
  }
}

function firstReturned(q: usize): i32 {
  const blocks = load<i32>(q, QUEUE_BLOCKS);
  let first = NO_BLOCK;
  let order = 0;
  for (let index = 0; index < blocks; index++) {
    if (stateOf(q, index) !== RETURNED) continue;
    const taken = load<i32>(blockAt(q, index), BLOCK_ORDER);
    if (first !== NO_BLOCK && taken - order >= 0) continue;
    first = index;
    order = taken;
  }
  return first;
}

/** The block is acknowledged: its owner now has it as one that it writes. */
export function blockAcknowledge(block: usize, owner: i32): void {
  atomic.store<i32>(block, owner << 1, BLOCK_STATE);
}

/** Gives a block that the caller had taken back: the next may have it. Who waits must look again. */
export function blockGiveBack(q: usize, block: usize): void {
  // Publishes: the item, again. By: this store. Seen after: the load in blockTake().
  atomic.store<i32>(block, RETURNED, BLOCK_STATE);
  atomic.add<i32>(q, 1, QUEUE_RETURNS);
}

/** Moves the head on if it stands at the item of this block, which was taken: the ring would not be known to be empty. */
function passOver(q: usize, block: usize): void {
  const head = atomic.load<i32>(q, QUEUE_HEAD);
  const word = atomic.load<i64>(slotAt(q, head));
  if (stampOf(word) === (head | 1) && <usize>(<i32>word) === block) {
    atomic.cmpxchg<i32>(q, head, head + 2, QUEUE_HEAD);
  }
}

/** What the thread `owner`, which is gone, had taken comes back: how many. All who wait must look again. */
export function blockReturn(q: usize, owner: i32): i32 {
  const blocks = load<i32>(q, QUEUE_BLOCKS);
  let returned = 0;
  let some = false;
  for (let index = 0; index < blocks; index++) {
    const state = stateOf(q, index);
    if (state === (owner | TAKEN) << 1) {
      passOver(q, blockAt(q, index));
      // Publishes: the item, again. By: this store. Seen after: the load in blockTake().
      atomic.store<i32>(blockAt(q, index), RETURNED, BLOCK_STATE);
      returned++;
    } else if (state !== RETURNED) continue;
    some = true;
  }
  if (some) atomic.add<i32>(q, 1, QUEUE_RETURNS);
  return returned;
}
