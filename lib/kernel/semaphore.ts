/**
 * Semaphore: a count of permits, of which any number can be taken at once, and no waiter starves.
 *
 * Source: Dijkstra's counting semaphore; the line of waiters in which the first keeps the others out until there is enough
 * for it, as in tokio's batch_semaphore; barging until a waiter was called in vain, as in the starvation mode of Go's mutex.
 *
 * One 64-bit word holds the available permits and, in its high half, whose turn it is: the thread that comes first in line.
 * Beside it each thread has a share: what it holds, and how many permits it waits for.
 *
 * Acquire  enough, and not RESERVED: compare-exchange to fewer; then count them in my share
 * Attempt  the caller is registered: 1. say how many I need  2. take them if they are there, and not RESERVED for another;
 *          who had the turn gives it to the next in the same step, and settles  3. otherwise the turn is mine if nobody has
 *          it, or one who does not wait any more; then from 2 if there are enough  4. with the turn, who needs more than one,
 *          or was CALLED in vain, makes it RESERVED; CALLED ends
 * Release  1. compare-exchange to more  2. count them out of my share  3. settle if somebody has the turn and was not called
 * Settle   1. the turn of one who is neither registered nor CALLED, or who leaves, is nobody's  2. nobody's turn goes to the
 *          next who is registered, behind the slot of the one who gave it up  3. if there is enough for the one whose turn
 *          it is, make it CALLED, clear its bit and unpark it; if it had left meanwhile, from 1
 *
 * Invariants
 * - While somebody is registered and sleeps, the turn is somebody's, or a thread is about to settle: a waiter registers
 *   before it looks at the turn, and whoever gives the turn up looks at the set afterwards.
 * - Whoever has the turn is called as soon as there is enough for it. It says how many it needs before it looks at the
 *   permits; whoever adds permits looks afterwards at what it needs: one of the two sees the other.
 *
 * Why nobody starves. The turn goes round over the slots, so everybody who waits gets it after at most as many turns as
 * there are threads. A waiter for several permits reserves at once, since permits gather only while nobody takes them; a
 * waiter for one is overtaken at most once after its call, then it reserves, too. So a turn ends when enough was released.
 * The price: a waiter for one permit stands behind a waiter for many, although there is one for it.
 *
 * A share's held permits are those that its thread took less those that it gave: negative where others took them, since a
 * permit may be released by any thread. Only its own thread changes it. The sum over all shares is what was available at
 * first less what is available now. Of a dead thread's share, what no other thread's negative share stands against is
 * certainly still out.
 */
import {
  BUSY,
  CALLED,
  DONE,
  FREED,
  OBJECT_SERIAL,
  REGION_THREADS,
  RESERVED,
  SEMAPHORE_MAX,
  SEMAPHORE_SHARES,
  SEMAPHORE_STATE,
  SEMAPHORE_WAITERS,
  SHARE_HELD,
  SHARE_NEED,
  SHARE_SHIFT,
  TURN,
  WAKE,
} from './layout';
import { isRegistered, unregister } from './waiters';

const NOBODY = -1;

function share(s: usize, slot: i32): usize {
  return s + SEMAPHORE_SHARES + <usize>(slot << SHARE_SHIFT);
}

function flagsOf(state: i64): i32 {
  return <i32>(state >>> 32);
}

function stateOf(flags: i32, permits: i32): i64 {
  return ((<i64>flags) << 32) | <i64>permits;
}

/** Takes `n` permits without waiting: DONE, BUSY or FREED. */
export function semaphoreAcquire(s: usize, serial: i32, slot: i32, n: i32): i32 {
  if (load<i32>(s, OBJECT_SERIAL) !== serial) return FREED;
  const mine = share(s, slot);
  while (true) {
    const seen = atomic.load<i64>(s, SEMAPHORE_STATE);
    if (<i32>seen < n || (flagsOf(seen) & RESERVED) !== 0) return BUSY;
    if (atomic.cmpxchg<i64>(s, seen, seen - <i64>n, SEMAPHORE_STATE) === seen) {
      store<i64>(mine, load<i64>(mine, SHARE_HELD) + <i64>n, SHARE_HELD);
      return DONE;
    }
  }
}

/** One try of a waiter: DONE, WAKE when it had the turn and the caller has to settle, BUSY or FREED. */
export function semaphoreAttempt(s: usize, serial: i32, slot: i32, n: i32): i32 {
  if (load<i32>(s, OBJECT_SERIAL) !== serial) return FREED;
  const mine = share(s, slot);
  atomic.store<i32>(mine, n, SHARE_NEED);
  while (true) {
    const seen = atomic.load<i64>(s, SEMAPHORE_STATE);
    const flags = flagsOf(seen);
    const myTurn = (flags & TURN) === slot + 1;
    if (<i32>seen >= n && (myTurn || (flags & RESERVED) === 0)) {
      const next = stateOf(myTurn ? heir(s, slot) : flags, <i32>seen - n);
      if (atomic.cmpxchg<i64>(s, seen, next, SEMAPHORE_STATE) === seen) {
        store<i64>(mine, load<i64>(mine, SHARE_HELD) + <i64>n, SHARE_HELD);
        return myTurn ? WAKE : DONE;
      }
    } else {
      const next = stateOf(inLine(s, flags, slot, n), <i32>seen);
      const changed = next !== seen && atomic.cmpxchg<i64>(s, seen, next, SEMAPHORE_STATE) === seen;
      if (next === seen || (changed && <i32>seen < n)) return BUSY;
    }
  }
}

/** The turn after this one: of the next who waits, or nobody's when that is the caller itself. */
function heir(s: usize, slot: i32): i32 {
  const next = nextWaiter(s + SEMAPHORE_WAITERS, slot + 1);
  return next === slot ? 0 : next + 1;
}

/** The flags after a waiter could take none. */
function inLine(s: usize, flags: i32, slot: i32, n: i32): i32 {
  const myTurn = (flags & TURN) === slot + 1;
  if (!myTurn && !vacant(s, flags)) return flags;
  const inVain = myTurn && (flags & (CALLED | RESERVED)) !== 0;
  return (slot + 1) | (n > 1 || inVain ? RESERVED : 0);
}

/** Whether nobody has the turn, or one who does not wait any more. */
function vacant(s: usize, flags: i32): bool {
  if ((flags & TURN) === 0) return true;
  return (flags & CALLED) === 0 && !isRegistered(s + SEMAPHORE_WAITERS, (flags & TURN) - 1);
}

/** Gives `n` permits: DONE, WAKE when the caller has to settle, BUSY when they would be too many, or FREED. */
export function semaphoreRelease(s: usize, serial: i32, slot: i32, n: i32): i32 {
  if (load<i32>(s, OBJECT_SERIAL) !== serial) return FREED;
  const mine = share(s, slot);
  const most = load<i32>(s, SEMAPHORE_MAX);
  while (true) {
    const seen = atomic.load<i64>(s, SEMAPHORE_STATE);
    if (<i32>seen > most - n) return BUSY;
    // Publishes: all that was written before. By: this compare-exchange. Seen after: the one in semaphoreAcquire() or
    // semaphoreAttempt().
    if (atomic.cmpxchg<i64>(s, seen, seen + <i64>n, SEMAPHORE_STATE) === seen) {
      store<i64>(mine, load<i64>(mine, SHARE_HELD) - <i64>n, SHARE_HELD);
      const flags = flagsOf(seen);
      return (flags & TURN) !== 0 && (flags & CALLED) === 0 ? WAKE : DONE;
    }
  }
}

/**
 * Sees to it that somebody has the turn if anybody waits, and is called if there is enough for it: its slot, to be unparked,
 * or -1. `from` is where to look for the next; the thread in `left`, if any, does not wait any more.
 */
export function semaphoreSettle(s: usize, serial: i32, from: i32, left: i32): i32 {
  if (load<i32>(s, OBJECT_SERIAL) !== serial) return NOBODY;
  const set = s + SEMAPHORE_WAITERS;
  while (true) {
    const seen = atomic.load<i64>(s, SEMAPHORE_STATE);
    const flags = flagsOf(seen);
    const first = (flags & TURN) - 1;
    if (first < 0) {
      const next = nextWaiter(set, from);
      if (next < 0) return NOBODY;
      atomic.cmpxchg<i64>(s, seen, stateOf(next + 1, <i32>seen), SEMAPHORE_STATE);
    } else if (first === left || vacant(s, flags)) {
      from = first + 1;
      left = atomic.cmpxchg<i64>(s, seen, stateOf(0, <i32>seen), SEMAPHORE_STATE) === seen ? NOBODY : left;
    } else if ((flags & CALLED) !== 0) {
      return NOBODY;
    } else {
      const need = atomic.load<i32>(share(s, first), SHARE_NEED);
      const enough = <i32>seen >= need;
      const next = stateOf(flags | (enough ? CALLED : need > 1 ? RESERVED : 0), <i32>seen);
      if (next !== seen && atomic.cmpxchg<i64>(s, seen, next, SEMAPHORE_STATE) !== seen) continue;
      if (!enough) return NOBODY;
      if (unregister(set, first)) return first;
      left = first; // it left between the two
    }
  }
}

/** The first waiter at or behind slot `from`, cyclically, or -1. */
function nextWaiter(set: usize, from: i32): i32 {
  const threads = load<i32>(0, REGION_THREADS);
  for (let i = 0; i < threads; i++) {
    const slot = (from + i) % threads;
    if (isRegistered(set, slot)) return slot;
  }
  return NOBODY;
}

/**
 * The thread in `slot` is gone: what it certainly still had goes back, and how many that is. What others released in its
 * place stands as a negative share somewhere, and is not given twice.
 */
export function semaphoreBury(s: usize, slot: i32): i32 {
  const mine = share(s, slot);
  const threads = load<i32>(0, REGION_THREADS);
  let out = atomic.load<i64>(mine, SHARE_HELD);
  for (let other = 0; other < threads && out > 0; other++) {
    out += min<i64>(0, atomic.load<i64>(share(s, other), SHARE_HELD));
  }
  if (out <= 0) return 0;
  atomic.sub<i64>(mine, out, SHARE_HELD);
  atomic.add<i64>(s, out, SEMAPHORE_STATE);
  return <i32>out;
}

/** How many permits can be taken now. */
export function semaphoreAvailable(s: usize): i32 {
  return <i32>atomic.load<i64>(s, SEMAPHORE_STATE);
}
