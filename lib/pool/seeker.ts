/**
 * Seeker: how a thread finds its next task.
 *
 * Take   1. the line says that a number is being taken  2. take it: until 3. it is in the thread's mail  3. the line says which
 *           one it is  4. and once it has begun, none: so no death of the thread loses one
 * Search when the ring is empty: 1. one thread is enough for tiny tasks: a second one would only take a core from the pool,
 *           which has as much to do with each of them  2. while many results are not yet taken from their ring: seldom, and for
 *           LINGER_AHEAD  3. for some microseconds, or for LINGER if the last sleep was not much longer  4. then it waits in the
 *           event loop
 * Look   the line says whether this thread will look for tasks soon: then the pool wakes nobody. Before anything that may take
 *           long it looks away, and wakes another one for what is there
 */
import { LINE_SEEKING, LINE_SLOT, LINE_TAKEN, NO_TASK } from '../kernel/layout.ts';
import { AGAIN, rest, spin, TRIES } from '../memory/wait.ts';
import { AWAY, LOOKING, SOON, type Table } from './table.ts';

/** Milliseconds that a thread looks, if its last sleep was not much longer and no other one looks. */
const LINGER = 0.2;
/** With so many results that the pool has not taken yet, it has enough to do, and will send as many tasks. */
const AHEAD = 32;
/** Milliseconds that a thread looks which is so far ahead: longer than the pool's garbage collection, and a wake costs the pool more. */
const LINGER_AHEAD = 1;
/** It rests so often between two looks: several tasks at a time keep the lines from going back and forth for each of them. */
const RESTS_AHEAD = 64;

export class Seeker {
  readonly #table: Table;
  readonly #i32: Int32Array;
  readonly #place: number;
  readonly #line: number;
  readonly #retirement = new AbortController();
  /** What the line says to the pool. */
  #look = AWAY;
  #tiny = false;
  /** The last sleep was so short that looking for that long would have paid. */
  #lingers = false;

  constructor(table: Table, place: number) {
    const { i32, slot, parker } = table.region;
    this.#table = table;
    this.#i32 = i32;
    this.#place = place;
    this.#line = table.line(place);
    i32[(this.#line + LINE_SLOT) >> 2] = slot + 1;
    parker.blocking.add(this.lookAway);
  }

  /** Takes a task from the ring, or returns NO_TASK. */
  take(): number {
    const i32 = this.#i32;
    const line = this.#line;
    i32[(line + LINE_SEEKING) >> 2] = 1;
    const task = this.#table.tasks.take();
    i32[(line + LINE_TAKEN) >> 2] = task + 1;
    i32[(line + LINE_SEEKING) >> 2] = 0;
    return task;
  }

  /** The task that was taken has begun. */
  begun(): void {
    this.#i32[(this.#line + LINE_TAKEN) >> 2] = 0;
  }

  /** Looks for a task for a while; NO_TASK when none came. */
  search(): number {
    if (this.#tiny && this.#table.isLookedAt(this.#place)) return NO_TASK;
    if (this.#look === AWAY) this.#say(LOOKING);
    let found = this.#tiny && TRIES > 0 ? this.#searchAhead() : AGAIN;
    if (found === AGAIN) found = spin(this.#takeIfReadable);
    if (found === AGAIN && this.#lingers) {
      const end = performance.now() + LINGER;
      while (found === AGAIN && performance.now() < end && !this.#table.isLookedAt(this.#place))
        found = spin(this.#takeIfReadable);
    }
    return found === AGAIN ? NO_TASK : found;
  }

  #searchAhead(): number | typeof AGAIN {
    if (this.#table.results.size < AHEAD) return AGAIN;
    const end = performance.now() + LINGER_AHEAD;
    let found: number | typeof AGAIN = AGAIN;
    while (found === AGAIN && performance.now() < end) {
      for (let rests = 0; rests < RESTS_AHEAD; rests++) rest();
      found = this.#takeIfReadable();
    }
    return found;
  }

  readonly #takeIfReadable = (): number | typeof AGAIN => {
    const task = this.#table.tasks.readable ? this.take() : NO_TASK;
    return task === NO_TASK ? AGAIN : task;
  };

  /** Waits in the event loop for a task; rejects when the thread retires. */
  async wait(): Promise<number> {
    this.lookAway();
    const since = performance.now();
    const { tasks, region } = this.#table;
    const attempt = (): number | typeof AGAIN => {
      const task = this.take();
      return task === NO_TASK ? AGAIN : task;
    };
    const passOn = (): boolean => tasks.awaited && tasks.readable;
    const wait = { what: 'wait for a task', object: tasks.queue, set: tasks.takers, attempt, passOn };
    const task = await region.parker.wait(wait, { signal: this.#retirement.signal });
    this.#lingers = TRIES > 0 && performance.now() - since < 2 * LINGER;
    return task;
  }

  /** Ends the wait. */
  retire(): void {
    this.#retirement.abort();
  }

  /** Before a function is called: after a tiny one this thread will soon look for tasks again. */
  enter(isTiny: boolean): void {
    this.#tiny = isTiny;
    if (!isTiny) this.lookAway();
    else if (this.#look !== SOON) this.#say(SOON);
  }

  /** The pool wakes nobody for tasks that a thread will look for soon: now it may take long, so others are woken for what is there. */
  readonly lookAway = (): void => {
    if (this.#look === AWAY) return;
    this.#say(AWAY);
    const { tasks, region } = this.#table;
    if (tasks.awaited && tasks.readable) region.parker.wake(tasks.takers);
  };

  #say(look: number): void {
    this.#look = look;
    this.#table.region.kernel.valueStore(this.#line, look);
  }
}
