/**
 * Blocks: the bytes of messages that do not fit a slot. A queue has as many as its capacity, and some to spare.
 *
 * Source: the owner-stamped index set of iceoryx2 (robust_unique_index_set): claiming and naming the owner are one step.
 *
 * Claim   from a starting point on, compare-exchange the first BLOCK_FREE state with my owner number
 * Send    the ring stores the position in the state just before it publishes the slot
 * Take    the consumer compare-exchanges that position with its own number: see ring.ts
 * Free    one store; who wants to know whether somebody waits for it looks after that
 *
 * Invariant: at any instant the state says who is responsible for the block: nobody, a thread, or the ring.
 */
import {
  BLOCK_FREE,
  BLOCK_STATE,
  FREED,
  NO_BLOCK,
  OBJECT_SERIAL,
  PUTTERS_WAIT,
  QUEUE_BLOCK_STRIDE,
  QUEUE_BLOCKS,
  QUEUE_BLOCKS_AT,
  QUEUE_PUTTERS,
  QUEUE_RESERVERS,
  RESERVERS_WAIT,
} from './layout';
import { waiting } from './waiters';

/** Claims a block for `owner`, looking from block `from` on: its index, NO_BLOCK when none is free, or FREED. */
export function blockClaim(q: usize, serial: i32, owner: i32, from: i32): i32 {
  if (load<i32>(q, OBJECT_SERIAL) !== serial) return FREED;
  const blocks = load<i32>(q, QUEUE_BLOCKS);
  let index = from;
  for (let looked = 0; looked < blocks; looked++) {
    const block = blockAt(q, index);
    if (
      atomic.load<i32>(block, BLOCK_STATE) === BLOCK_FREE &&
      atomic.cmpxchg<i32>(block, BLOCK_FREE, owner << 1, BLOCK_STATE) === BLOCK_FREE
    ) {
      return index;
    }
    if (++index === blocks) index = 0;
  }
  return NO_BLOCK;
}

/** The address of a block. */
export function blockAt(q: usize, index: i32): usize {
  return <usize>(load<i32>(q, QUEUE_BLOCKS_AT) + index * load<i32>(q, QUEUE_BLOCK_STRIDE));
}

export function blockFree(block: usize): void {
  // Publishes: that the bytes were read. By: this store. Seen after: the compare-exchange in blockClaim().
  atomic.store<i32>(block, BLOCK_FREE, BLOCK_STATE);
}

/** Frees a block of the queue: PUTTERS_WAIT, RESERVERS_WAIT, both or neither. */
export function blockGive(q: usize, block: usize): i32 {
  blockFree(block);
  return (waiting(q + QUEUE_PUTTERS) ? PUTTERS_WAIT : 0) | (waiting(q + QUEUE_RESERVERS) ? RESERVERS_WAIT : 0);
}
