/**
 * Waiters: who sleeps, and whom to wake. A wait set has one bit for each slot of the threads table.
 *
 * Source: the flag handshake of Dekker; the parking of Rust's std::sys::thread_parking (futex), three states a word.
 *
 * Wait   1. set my bit  2. look again  3. park on my own word  4. whoever leaves clears its bit
 * Wake   1. change what is waited for  2. is a bit set?  3. clear one bit: that wake is mine to give
 *        4. exchange the park word of that thread with NOTIFIED; only if it was PARKED is the futex touched
 *
 * Invariants: bits and park words are only changed by whole-word atomic operations, so a bit of a dead thread can be
 * cleared at any time. Every operation is sequentially consistent: either the waker sees the bit or the waiter sees the
 * change. A wake is a hint: the woken thread looks again.
 */
import {
  EMPTY,
  NOTIFIED,
  PARKED,
  REGION_WORDS,
  THREAD_CLAIM,
  THREAD_GENERATION,
  THREAD_PARK,
  THREAD_WAIT_TICKET,
} from './layout';

function wordOf(set: usize, slot: i32): usize {
  return set + <usize>((slot >> 6) << 3);
}

function bitOf(slot: i32): i64 {
  return (<i64>1) << (<i64>(slot & 63));
}

export function register(set: usize, slot: i32): void {
  atomic.or<i64>(wordOf(set, slot), bitOf(slot));
}

/** Clears the bit of `slot`; says whether it was still set, which means that nobody woke it. */
export function unregister(set: usize, slot: i32): bool {
  const bit = bitOf(slot);
  return (atomic.and<i64>(wordOf(set, slot), ~bit) & bit) !== 0;
}

export function isRegistered(set: usize, slot: i32): bool {
  return (atomic.load<i64>(wordOf(set, slot)) & bitOf(slot)) !== 0;
}

/** Whether anybody waits. */
export function waiting(set: usize): bool {
  const words = load<i32>(0, REGION_WORDS);
  for (let i = 0; i < words; i++) {
    if (atomic.load<i64>(set + <usize>(i << 3)) !== 0) return true;
  }
  return false;
}

/** Takes one waiter out of the set, the first at or behind slot `from`, cyclically; its slot, or -1 when nobody waits. */
export function takeWaiter(set: usize, from: i32): i32 {
  const words = load<i32>(0, REGION_WORDS);
  let index = from >> 6;
  let mask = (<i64>-1) << (<i64>(from & 63));
  for (let looked = 0; looked <= words; looked++) {
    const at = set + <usize>(index << 3);
    while (true) {
      const bits = atomic.load<i64>(at) & mask;
      if (bits === 0) break;
      const bit = bits & -bits;
      if ((atomic.and<i64>(at, ~bit) & bit) !== 0) return (index << 6) + <i32>ctz<i64>(bit);
    }
    mask = -1;
    if (++index === words) index = 0;
  }
  return -1;
}

/** Before a park: true when the thread may sleep on its word, false when a wake was pending (and is now used up). */
export function parkBegin(record: usize): bool {
  const seen = atomic.cmpxchg<i32>(record, EMPTY, PARKED, THREAD_PARK);
  if (seen !== NOTIFIED) return true;
  atomic.store<i32>(record, EMPTY, THREAD_PARK);
  return false;
}

export function parkEnd(record: usize): void {
  atomic.store<i32>(record, EMPTY, THREAD_PARK);
}

/** Leaves a wake for the thread; says whether it sleeps, so that its word must be notified. */
export function unpark(record: usize): bool {
  return atomic.xchg<i32>(record, NOTIFIED, THREAD_PARK) === PARKED;
}

/** Takes the slot of `record` for a thread; says whether it was free. */
export function threadJoin(record: usize, claim: i32): bool {
  return atomic.cmpxchg<i32>(record, 0, claim, THREAD_CLAIM) === 0;
}

/** Gives the slot back under a new generation. */
export function threadLeave(record: usize): void {
  atomic.add<i32>(record, 1, THREAD_GENERATION);
  atomic.store<i32>(record, EMPTY, THREAD_PARK);
  atomic.store<i64>(record, 0, THREAD_WAIT_TICKET);
  atomic.store<i32>(record, 0, THREAD_CLAIM);
}

/** The thread in slot `by` will bury the one that has that claim on the slot; says whether nobody else does. */
export function threadBury(record: usize, claim: i32, by: i32): bool {
  return atomic.cmpxchg<i32>(record, claim, -(by + 1), THREAD_CLAIM) === claim;
}

/** Who holds the slot: 0, threadId + 1, or -(slot + 1) of the thread that buries it. */
export function threadClaim(record: usize): i32 {
  return atomic.load<i32>(record, THREAD_CLAIM);
}
