/**
 * RwLock: many readers or one writer. A line of its own for the reads of each thread, a gate for the writers.
 *
 * Sources: the big-reader lock (per-processor counts) of Linux 2.4, the store-then-look handshake of Dekker; who is
 * admitted when, as in the phase-fair locks of Brandenburg and Anderson, "Spin-Based Reader-Writer Synchronization for
 * Multiprocessor Real-Time Systems" (2010).
 *
 * | RW_STATE   | meaning                                                                    |
 * |------------|----------------------------------------------------------------------------|
 * | RW_OPEN    | readers enter                                                              |
 * | RW_BARRED  | the gate's owner waits for the readers inside; those who arrive queue up   |
 * | RW_WRITTEN | the gate's owner is inside                                                 |
 *
 * Read    1. if my thread reads already, count one more: no writer can be inside  2. if barred and not admitted, mark that I
 *         wait  3. else announce the read on my line  4. look again: if barred meanwhile, take it back and wake the writer
 * Leave   1. take the read off my line  2. if it was the last one and a writer waits, wake it
 * Write   1. lock the gate, a mutex: see ./lock.ts  2. bar  3. when no line shows a read or an admitted thread, enter;
 *         else wait until then  4. who gives up opens, admits and unlocks as below
 * Unlock  1. open  2. admit: each registered thread that waits is marked and woken  3. unlock the gate
 * Bury    for the supervisor, of a thread that is gone: its reads go; a writer inside leaves the gate's word DEAD and the
 *         state WRITTEN, so that everybody learns of it until somebody recovers it; one that only had the gate leaves it free
 * Decline a thread that blocks elsewhere or gives up takes its mark back; if it was admitted, it wakes the writer
 *
 * Invariants: a line's reads are written by its thread only. A reader stores its read and then looks at the state, a writer
 * stores the state and then looks at the lines, all sequentially consistent: one of them sees the other. Threads are admitted
 * while the state is OPEN and the gate is held: nobody begins to wait meanwhile, so a mark never falls on a thread that
 * does not wait.
 *
 * Nobody starves. A writer that has the gate keeps all out but the threads inside and the admitted ones. Readers that wait
 * behind a writer are all admitted before the next one can have the gate, and it waits for them. Writers among each other:
 * as the gate's mutex. The exception is by choice: a thread that reads may read again (it must not deadlock with itself), so
 * a thread whose reads overlap without end keeps writers out.
 *
 * Memory: 64 bytes a thread of the region, 4 KB for 64 threads; a writer looks at the lines of threads that have a handle.
 */
import {
  BUSY,
  DEAD,
  DONE,
  FREED,
  OBJECT_SERIAL,
  OWNER_DIED,
  READ_ADMITTED,
  READ_HELD,
  READ_NO_TURN,
  READ_TURN,
  READ_WAITING,
  RW_BARRED,
  RW_LINE,
  RW_LINES,
  RW_OPEN,
  RW_READERS,
  RW_SLOTS,
  RW_STATE,
  RW_WRITTEN,
  WAKE,
} from './layout';
import { lockBury, lockOwner, lockPardon } from './lock';
import { takeWaiter } from './waiters';

function lineOf(l: usize, slot: i32): usize {
  return l + RW_LINES + <usize>(slot * RW_LINE);
}

/** The thread in `slot` will read: from now on writers look at its line. */
export function rwJoin(l: usize, slot: i32): void {
  while (true) {
    const seen = atomic.load<i32>(l, RW_SLOTS);
    if (seen > slot || atomic.cmpxchg<i32>(l, seen, slot + 1, RW_SLOTS) === seen) return;
  }
}

/**
 * The thread in `slot` is gone: its reads are released, and if it was inside to write, the gate's owner is known as dead:
 * OWNER_DIED, otherwise DONE. All who wait must look again.
 */
export function rwBury(l: usize, slot: i32): i32 {
  const line = lineOf(l, slot);
  atomic.store<i32>(line, READ_NO_TURN, READ_TURN);
  atomic.store<i32>(line, 0, READ_HELD);
  if (lockOwner(l) !== slot + 1) return DONE;
  if (atomic.load<i32>(l, RW_STATE) === RW_WRITTEN) return lockBury(l, slot + 1);
  // Publishes: that the bar is lifted. By: this store. Seen after: the load of the state in barred().
  atomic.store<i32>(l, RW_OPEN, RW_STATE);
  lockPardon(l, slot + 1);
  return DONE;
}

/** DONE, BUSY, FREED, OWNER_DIED, or WAKE: not now, and the writer that waits for the readers must look again. */
export function readLock(l: usize, serial: i32, slot: i32): i32 {
  if (load<i32>(l, OBJECT_SERIAL) !== serial) return FREED;
  const line = lineOf(l, slot);
  const held = load<i32>(line, READ_HELD);
  if (held === 0 && barred(l, line)) return lockOwner(l) === DEAD ? OWNER_DIED : lineUp(line, BUSY);
  atomic.store<i32>(line, held + 1, READ_HELD);
  if (held === 0 && barred(l, line)) {
    atomic.store<i32>(line, 0, READ_HELD);
    return lineUp(line, WAKE);
  }
  // behind the read: a writer looks at the turn first
  if (atomic.load<i32>(line, READ_TURN) !== READ_NO_TURN) atomic.store<i32>(line, READ_NO_TURN, READ_TURN);
  return DONE;
}

function barred(l: usize, line: usize): bool {
  return atomic.load<i32>(l, RW_STATE) !== RW_OPEN && atomic.load<i32>(line, READ_TURN) !== READ_ADMITTED;
}

function lineUp(line: usize, said: i32): i32 {
  atomic.cmpxchg<i32>(line, READ_NO_TURN, READ_WAITING, READ_TURN);
  return said;
}

/** DONE, FREED, BUSY when this thread holds no read, or WAKE: done, and the writer must look again. */
export function readUnlock(l: usize, serial: i32, slot: i32): i32 {
  if (load<i32>(l, OBJECT_SERIAL) !== serial) return FREED;
  const line = lineOf(l, slot);
  const held = load<i32>(line, READ_HELD);
  if (held === 0) return BUSY;
  // Publishes: that what was read may change. By: this store. Seen after: the load of the line in drained().
  atomic.store<i32>(line, held - 1, READ_HELD);
  return held === 1 && atomic.load<i32>(l, RW_STATE) !== RW_OPEN ? WAKE : DONE;
}

/** How many reads the thread in `slot` holds. */
export function readHeld(l: usize, slot: i32): i32 {
  return atomic.load<i32>(lineOf(l, slot), READ_HELD);
}

/** A thread that waited to read does so no more; says whether the writer must look again. */
export function readDecline(l: usize, slot: i32): bool {
  return atomic.xchg<i32>(lineOf(l, slot), READ_NO_TURN, READ_TURN) === READ_ADMITTED;
}

/** Admits a thread that waits to read: the slot that must be woken, or -1 when nobody waits. */
export function readAdmit(l: usize): i32 {
  // the bit first: a thread that leaves later finds it gone, and declines
  const slot = takeWaiter(l + RW_READERS, 0);
  if (slot >= 0) atomic.cmpxchg<i32>(lineOf(l, slot), READ_WAITING, READ_ADMITTED, READ_TURN);
  return slot;
}

/** The gate's owner keeps readers out; next it tries to enter. */
export function writeBar(l: usize): void {
  atomic.store<i32>(l, RW_BARRED, RW_STATE);
}

/** DONE, FREED, or BUSY while somebody reads or was admitted. */
export function writeEnter(l: usize, serial: i32): i32 {
  if (load<i32>(l, OBJECT_SERIAL) !== serial) return FREED;
  if (!drained(l)) return BUSY;
  atomic.store<i32>(l, RW_WRITTEN, RW_STATE);
  return DONE;
}

/** Whether nobody reads, and nobody was admitted. */
export function drained(l: usize): bool {
  const slots = atomic.load<i32>(l, RW_SLOTS);
  for (let slot = 0; slot < slots; slot++) {
    const line = lineOf(l, slot);
    if (atomic.load<i32>(line, READ_TURN) === READ_ADMITTED || atomic.load<i32>(line, READ_HELD) !== 0) return false;
  }
  return true;
}

/** Whether the gate's owner is inside. */
export function writing(l: usize): bool {
  return atomic.load<i32>(l, RW_STATE) === RW_WRITTEN;
}

/** The gate's owner leaves, or gives up; it admits those who wait before it unlocks the gate. */
export function writeOpen(l: usize): void {
  // Publishes: all that was written under the lock. By: this store. Seen after: the load of the state in barred().
  atomic.store<i32>(l, RW_OPEN, RW_STATE);
}
