/**
 * Broadcast: a ring in which every subscriber sees every item. A cell holds the whole message, since all of them read it.
 *
 * Source: the LMAX Disruptor (Thompson and others, 2011) for cursors that gate the publishers, and for the remembered slowest
 * one; the seqlock for the copy that is checked afterwards, by the read-don't-modify-write of Boehm, "Can Seqlocks Get Along
 * With Programming Language Memory Models?" (2012).
 *
 * Publish    1. is the cell of the tail published a lap ago, and, unless slow subscribers miss items, has each taken it?
 *            2. compare-exchange the tail: the position is claimed  3. copy the message from the mail  4. store the stamp
 * Take       1. too far behind: move the cursor on to the oldest item, and count those that were missed
 *            2. is the cell of the cursor published?  3. copy the message into the mail
 *            4. was the position claimed anew meanwhile? then drop the copy and start again
 *            5. compare-exchange the cursor: the copy is the item, unless another thread has left meanwhile
 * Subscribe  1. compare-exchange the state of a free place to mine  2. the cursor becomes the tail  3. from now on it counts
 *            4. once more the cursor becomes the tail, where by now no publisher can be ahead of it unseen
 * Leave      compare-exchange the state to NOT_SUBSCRIBED: the cursor does not count any more
 *
 * After each of these the caller asks whether somebody sleeps who can go on now: broadcastSleeper() and
 * broadcastWritable().
 *
 * Invariants: BROADCAST_SEEN is never ahead of a cursor that counts. Where publishers wait, tail - cursor <= 2 * capacity, so
 * that nothing is overwritten that somebody must still take; where they do not, a copy is used only if its position was not
 * claimed anew before the copy was complete. Between claim and stamp there is no loop and no call: a publisher that dies has
 * done both or neither.
 */
import {
  BROADCAST_CELL_STRIDE,
  BROADCAST_CELLS_AT,
  BROADCAST_LIMIT,
  BROADCAST_MAIL_STRIDE,
  BROADCAST_MAILS_AT,
  BROADCAST_MASK,
  BROADCAST_PLACES,
  BROADCAST_PLACES_AT,
  BROADCAST_SEEN,
  BROADCAST_SKIPS,
  BROADCAST_TAIL,
  BROADCAST_USED,
  BUSY,
  CELL_DATA,
  CELL_LENGTH,
  CELL_STAMP,
  CLOSED,
  CLOSED_BIT,
  DONE,
  FREED,
  NOT_SUBSCRIBED,
  OBJECT_SERIAL,
  OWNER,
  SUBSCRIBED,
  SUBSCRIBER_SHIFT,
  SUBSCRIPTION_BROADCAST,
  SUBSCRIPTION_CURSOR,
  SUBSCRIPTION_MISSED,
  SUBSCRIPTION_SHIFT,
  SUBSCRIPTION_STATE,
  SUBSCRIPTION_WAITERS,
} from './layout';
import { waiting } from './waiters';

function cellAt(b: usize, position: i32): usize {
  const cell = <i32>(<u32>position >> 1) & load<i32>(b, BROADCAST_MASK);
  return <usize>(load<i32>(b, BROADCAST_CELLS_AT) + cell * load<i32>(b, BROADCAST_CELL_STRIDE));
}

function mailOf(b: usize, slot: i32): usize {
  return <usize>(load<i32>(b, BROADCAST_MAILS_AT) + slot * load<i32>(b, BROADCAST_MAIL_STRIDE));
}

function subscriptionAt(b: usize, place: i32): usize {
  return <usize>load<i32>(<usize>(load<i32>(b, BROADCAST_PLACES_AT) + (place << 2)));
}

function tailOf(b: usize): i32 {
  return atomic.load<i32>(b, BROADCAST_TAIL) & ~CLOSED_BIT;
}

/** Whether the position `tail` may be claimed. */
function room(b: usize, tail: i32): bool {
  const lap = (load<i32>(b, BROADCAST_MASK) + 1) << 1;
  if (atomic.load<i32>(cellAt(b, tail), CELL_STAMP) !== ((tail - lap) | 1)) return false;
  if (load<i32>(b, BROADCAST_SKIPS) !== 0) return true;
  const limit = load<i32>(b, BROADCAST_LIMIT);
  if (<u32>(tail - atomic.load<i32>(b, BROADCAST_SEEN)) < <u32>limit) return true;
  const slowest = lag(b, tail);
  atomic.store<i32>(b, tail - slowest, BROADCAST_SEEN);
  return slowest < limit;
}

/** How far behind `tail` the slowest subscriber is. One that is ahead of a tail that is old by now is not behind. */
function lag(b: usize, tail: i32): i32 {
  const used = atomic.load<i32>(b, BROADCAST_USED);
  let most = 0;
  for (let place = 0; place < used; place++) {
    const s = subscriptionAt(b, place);
    if ((atomic.load<i32>(s, SUBSCRIPTION_STATE) & SUBSCRIBED) === 0) continue;
    most = max(most, tail - atomic.load<i32>(s, SUBSCRIPTION_CURSOR));
  }
  return most;
}

/** Publishes the message in the mail of the thread in `slot`: DONE, BUSY, CLOSED or FREED. */
export function broadcastPublish(b: usize, serial: i32, slot: i32): i32 {
  if (load<i32>(b, OBJECT_SERIAL) !== serial) return FREED;
  const mail = mailOf(b, slot);
  const length = load<i32>(mail, CELL_LENGTH);
  while (true) {
    const tail = atomic.load<i32>(b, BROADCAST_TAIL);
    if ((tail & CLOSED_BIT) !== 0) return CLOSED;
    if (!room(b, tail)) {
      if (atomic.load<i32>(b, BROADCAST_TAIL) === tail) return BUSY;
      continue;
    }
    const cell = cellAt(b, tail);
    if (atomic.cmpxchg<i32>(b, tail, tail + 2, BROADCAST_TAIL) !== tail) continue;
    atomic.store<i32>(cell, length, CELL_LENGTH);
    memory.copy(cell + CELL_DATA, mail + CELL_DATA, <usize>length);
    // Publishes: the message. By: this store. Seen after: the load in subscriptionTake().
    atomic.store<i32>(cell, tail | 1, CELL_STAMP);
    return DONE;
  }
}

/** Whether an item can be published, or never again: a publisher that sleeps should look. */
export function broadcastWritable(b: usize): bool {
  const tail = atomic.load<i32>(b, BROADCAST_TAIL);
  return (tail & CLOSED_BIT) !== 0 || room(b, tail);
}

/** The first place from `from` on in whose wait set somebody is, or -1. */
export function broadcastSleeper(b: usize, from: i32): i32 {
  const used = atomic.load<i32>(b, BROADCAST_USED);
  for (let place = from; place < used; place++) {
    if (waiting(subscriptionAt(b, place) + SUBSCRIPTION_WAITERS)) return place;
  }
  return -1;
}

export function broadcastClose(b: usize): void {
  atomic.or<i32>(b, CLOSED_BIT, BROADCAST_TAIL);
}

/** Subscribes the thread in `slot`: the address of its subscription, which has the new serial now; BUSY (no place), CLOSED or FREED. */
export function broadcastSubscribe(b: usize, serial: i32, slot: i32, subscription: i32): i32 {
  if (load<i32>(b, OBJECT_SERIAL) !== serial) return FREED;
  if ((atomic.load<i32>(b, BROADCAST_TAIL) & CLOSED_BIT) !== 0) return CLOSED;
  const places = load<i32>(b, BROADCAST_PLACES);
  const mine = stateOf(subscription, slot);
  for (let place = 0; place < places; place++) {
    const s = subscriptionAt(b, place);
    if (atomic.load<i32>(s, SUBSCRIPTION_STATE) !== NOT_SUBSCRIBED) continue;
    if (atomic.cmpxchg<i32>(s, NOT_SUBSCRIBED, mine, SUBSCRIPTION_STATE) !== NOT_SUBSCRIBED) continue;
    show(b, place);
    atomic.store<i32>(s, subscription, OBJECT_SERIAL);
    atomic.store<i32>(s, 0, SUBSCRIPTION_MISSED);
    atomic.store<i32>(s, tailOf(b), SUBSCRIPTION_CURSOR);
    // Publishes: the cursor. By: this store. Seen after: the load in lag().
    atomic.store<i32>(s, mine | SUBSCRIBED, SUBSCRIPTION_STATE);
    atomic.store<i32>(s, tailOf(b), SUBSCRIPTION_CURSOR);
    return <i32>s;
  }
  return BUSY;
}

/** From now on whoever walks the places looks at this one, too. */
function show(b: usize, place: i32): void {
  while (true) {
    const used = atomic.load<i32>(b, BROADCAST_USED);
    if (used > place || atomic.cmpxchg<i32>(b, used, place + 1, BROADCAST_USED) === used) return;
  }
}

/** The state of a place that is being taken by the thread in `slot`. */
function stateOf(serial: i32, slot: i32): i32 {
  return (serial << SUBSCRIPTION_SHIFT) | ((slot + 1) << SUBSCRIBER_SHIFT);
}

/** Whether it is the state of the subscription with that serial, which nobody has left. */
function standsFor(serial: i32, state: i32): bool {
  return (state & SUBSCRIBED) !== 0 && (state ^ stateOf(serial, 0)) >> SUBSCRIPTION_SHIFT === 0;
}

function stands(s: usize, serial: i32): bool {
  return standsFor(serial, atomic.load<i32>(s, SUBSCRIPTION_STATE));
}

/** Notes that the thread in `slot` used the subscription last; whether it still stands. */
function own(s: usize, serial: i32, slot: i32): bool {
  const mine = stateOf(serial, slot) | SUBSCRIBED;
  while (true) {
    const seen = atomic.load<i32>(s, SUBSCRIPTION_STATE);
    if (seen === mine) return true;
    if (!standsFor(serial, seen)) return false;
    if (atomic.cmpxchg<i32>(s, seen, mine, SUBSCRIPTION_STATE) === seen) return true;
  }
}

/** Takes an item into the mail of the thread in `slot`: DONE, BUSY, CLOSED (and drained, or left) or FREED. */
export function subscriptionTake(s: usize, serial: i32, slot: i32): i32 {
  if (atomic.load<i32>(s, OBJECT_SERIAL) !== serial) return FREED; // the place may be another's
  if (!own(s, serial, slot)) return CLOSED;
  const b = <usize>load<i32>(s, SUBSCRIPTION_BROADCAST);
  const mail = mailOf(b, slot);
  const limit = load<i32>(b, BROADCAST_LIMIT);
  const skips = load<i32>(b, BROADCAST_SKIPS) !== 0;
  while (true) {
    const cursor = atomic.load<i32>(s, SUBSCRIPTION_CURSOR);
    const tail = atomic.load<i32>(b, BROADCAST_TAIL);
    const behind = (tail & ~CLOSED_BIT) - cursor;
    if (behind > limit) {
      miss(s, cursor, behind - limit);
      continue;
    }
    const cell = cellAt(b, cursor);
    if (atomic.load<i32>(cell, CELL_STAMP) !== (cursor | 1)) {
      if (atomic.load<i32>(b, BROADCAST_TAIL) !== tail || atomic.load<i32>(s, SUBSCRIPTION_CURSOR) !== cursor) continue;
      return (tail & CLOSED_BIT) !== 0 && behind === 0 ? CLOSED : BUSY;
    }
    if (!stands(s, serial)) return CLOSED; // a cursor of whoever comes here from now on is ahead of this one
    const length = atomic.load<i32>(cell, CELL_LENGTH);
    store<i32>(mail, length, CELL_LENGTH);
    memory.copy(mail + CELL_DATA, cell + CELL_DATA, <usize>length);
    if (skips && overtaken(b, cursor, limit)) continue;
    // Publishes: that the item was read. By: this compare-exchange. Seen after: the load in lag().
    if (atomic.cmpxchg<i32>(s, cursor, cursor + 2, SUBSCRIPTION_CURSOR) !== cursor) continue;
    return stands(s, serial) ? DONE : CLOSED;
  }
}

/**
 * Whether the position was claimed anew before its copy was complete. It adds nothing, instead of loading, since a load may be
 * done before the reads of the copy are. If the claim comes behind this addition, the writes of the message do, too.
 */
function overtaken(b: usize, cursor: i32, limit: i32): bool {
  const tail = atomic.add<i32>(b, 0, BROADCAST_TAIL) & ~CLOSED_BIT;
  return tail - cursor > limit;
}

function miss(s: usize, cursor: i32, distance: i32): void {
  if (atomic.cmpxchg<i32>(s, cursor, cursor + distance, SUBSCRIPTION_CURSOR) !== cursor) return;
  atomic.add<i32>(s, distance >> 1, SUBSCRIPTION_MISSED);
}

/** Whether something can be taken, or never again: a subscriber that sleeps should look. */
export function subscriptionReadable(s: usize): bool {
  if ((atomic.load<i32>(s, SUBSCRIPTION_STATE) & SUBSCRIBED) === 0) return true;
  const b = <usize>load<i32>(s, SUBSCRIPTION_BROADCAST);
  const cursor = atomic.load<i32>(s, SUBSCRIPTION_CURSOR);
  const tail = atomic.load<i32>(b, BROADCAST_TAIL);
  const behind = (tail & ~CLOSED_BIT) - cursor;
  if (behind === 0) return (tail & CLOSED_BIT) !== 0;
  return behind > load<i32>(b, BROADCAST_LIMIT) || atomic.load<i32>(cellAt(b, cursor), CELL_STAMP) === (cursor | 1);
}

export function subscriptionMissed(s: usize): i32 {
  return atomic.load<i32>(s, SUBSCRIPTION_MISSED);
}

/** Leaves the subscription with that serial: DONE, or BUSY when somebody has left it before. */
export function subscriptionLeave(s: usize, serial: i32): i32 {
  while (true) {
    const seen = atomic.load<i32>(s, SUBSCRIPTION_STATE);
    if (!standsFor(serial, seen)) return BUSY;
    if (atomic.cmpxchg<i32>(s, seen, NOT_SUBSCRIBED, SUBSCRIPTION_STATE) === seen) return DONE;
  }
}

/** The thread `owner`, slot + 1, is gone: what it used last is left, and what it was about to take is free: DONE or BUSY. */
export function subscriptionBury(s: usize, owner: i32): i32 {
  while (true) {
    const seen = atomic.load<i32>(s, SUBSCRIPTION_STATE);
    if (((seen >> SUBSCRIBER_SHIFT) & OWNER) !== owner) return BUSY;
    if (atomic.cmpxchg<i32>(s, seen, NOT_SUBSCRIBED, SUBSCRIPTION_STATE) === seen) return DONE;
  }
}
