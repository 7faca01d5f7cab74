/**
 * Pipe: two ends, each used by one thread. The items travel in two queues; here is only whose an end is.
 *
 * Source: pipe(7) of POSIX for the end of file; the owner in a word as in Linux' robust futexes.
 *
 * Enter   1. is the owner me?  2. nobody yet: compare-exchange PIPE_UNUSED to me
 * Leave   1. close both queues  2. compare-exchange me to PIPE_OVER; by the owner, or after its death by somebody else
 *
 * Invariants: an end has one owner in its life. While its owner is a thread, a death at any step is seen by the word, and
 * leaving can be done again from the start.
 */
import {
  BUSY,
  CLOSED,
  DONE,
  FREED,
  OBJECT_SERIAL,
  PIPE_INBOX,
  PIPE_OUTBOX,
  PIPE_OVER,
  PIPE_OWNER,
  PIPE_UNUSED,
  WAKE,
} from './layout';
import { ringClose } from './ring';

/** Whether the thread `me`, slot + 1, may use the end: DONE, BUSY (it is another thread's), CLOSED or FREED. */
export function pipeEnter(end: usize, serial: i32, me: i32): i32 {
  if (load<i32>(end, OBJECT_SERIAL) !== serial) return FREED;
  let owner = atomic.load<i32>(end, PIPE_OWNER);
  if (owner === PIPE_UNUSED) {
    owner = atomic.cmpxchg<i32>(end, PIPE_UNUSED, me, PIPE_OWNER);
    if (owner === PIPE_UNUSED) return DONE;
  }
  return owner === me ? DONE : owner === PIPE_OVER ? CLOSED : BUSY;
}

/** The end is used no more: WAKE, or BUSY when `me` is not its owner. Whoever waits in one of its queues must be woken. */
export function pipeLeave(end: usize, me: i32): i32 {
  if (atomic.load<i32>(end, PIPE_OWNER) !== me) return BUSY;
  ringClose(<usize>load<i32>(end, PIPE_INBOX));
  ringClose(<usize>load<i32>(end, PIPE_OUTBOX));
  atomic.cmpxchg<i32>(end, me, PIPE_OVER, PIPE_OWNER);
  return WAKE;
}

/** PIPE_UNUSED, slot + 1 of the thread that uses the end, or PIPE_OVER. */
export function pipeOwner(end: usize): i32 {
  return atomic.load<i32>(end, PIPE_OWNER);
}
