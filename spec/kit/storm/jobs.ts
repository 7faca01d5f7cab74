import type { WaitOptions } from '../../../lib/memory/wait.ts';
import type { Broadcast } from '../../../lib/queue/broadcast.ts';
import type { Connection } from '../../../lib/queue/pipe.ts';
import type { Queue } from '../../../lib/queue/queue.ts';
import { select } from '../../../lib/queue/select.ts';
import type { Barrier } from '../../../lib/sync/barrier.ts';
import type { Condition } from '../../../lib/sync/condition.ts';
import type { Mutex } from '../../../lib/sync/mutex.ts';
import type { RwLock } from '../../../lib/sync/rwlock.ts';
import type { Semaphore } from '../../../lib/sync/semaphore.ts';
import { random } from '../random.ts';

// What the threads of the storm do until they are killed or told to stop. No wait has a timeout, but for some of a soak: who
// is forgotten hangs.

/** A line of words for each place of a crew. */
export const WORDS = 8;
export const PROGRESS = 0; // steps
export const AIM = 1; // the point at which it shall stop to be killed, or 0
export const THERE = 2; // 1 when it is there
export const FATE = 3; // how it shall end by itself, or NO_FATE
export const TAKING = 4; // 1 from before an object is taken until after it was marked
export const NO_FATE = 0;
export const EXIT = 1;
export const THROW = 2;
export const EXHAUST = 3; // its memory

/** The points where a victim can be told to wait for its death. */
export const BEFORE_PUT = 1;
export const AFTER_GET = 2;
export const BEFORE_DONE = 3;
export const IN_LOCK = 4;
export const HALF_WRITTEN = 5;
export const IN_READ = 6;
export const WITH_PERMITS = 7;
export const POINTS = 7;

/** What all threads of a crew have. */
export interface Stage {
  readonly board: Int32Array;
  /** 1 when all shall end. */
  readonly stop: Int32Array;
  /** 1 while replacements start, who get no processor otherwise. */
  readonly hold: Int32Array;
  readonly seed: number;
  /** Whether some waits have a timeout, after which they are tried again. */
  readonly hasty: boolean;
}

/** One thread's place on the board. */
class Place {
  readonly #board: Int32Array;
  readonly #at: number;
  readonly #hold: Int32Array;

  constructor({ board, hold }: Stage, index: number) {
    this.#hold = hold;
    this.#board = board;
    this.#at = index * WORDS;
  }

  set(word: number, value: number): void {
    Atomics.store(this.#board, this.#at + word, value);
  }

  /** Goes on, or ends as it was told. */
  step(): void {
    Atomics.add(this.#board, this.#at + PROGRESS, 1);
    while (this.#hold[0] === 1) Atomics.wait(this.#hold, 0, 1);
    const fate = this.#board[this.#at + FATE];
    if (fate === EXIT) process.exit();
    if (fate === THROW) throw new Error('as it was told');
    if (fate === EXHAUST) for (const all: unknown[] = []; ; ) all.push(new Array(1e5).fill(all.length));
  }

  /** Stays here for ever, when it is to be killed here. */
  pass(point: number): void {
    if (this.#board[this.#at + AIM] !== point) return;
    this.set(THERE, 1);
    for (;;) Atomics.wait(this.#board, this.#at + THERE, 1);
  }
}

export const IDS: number = 3 * 2 ** 20;
export const NUMBERS = 0; // an item's number modulo 3 says in which queue it travels
export const OBJECTS = 1;
export const DELIVERIES = 2;
export const QUEUES = 3;
export const MAYBE = 1; // of an item: its put was begun,
export const SENT = 2; // or has returned
const TAKE = 64; // items whose numbers a producer takes at once

export interface Traffic extends Stage {
  readonly numbers: Queue<number>;
  readonly objects: Queue<{ id: number; text: string }>;
  readonly deliveries: Queue<number>;
  readonly next: Int32Array;
  readonly sent: Uint8Array;
  readonly got: Uint8Array;
  readonly done: Uint8Array;
}

/** Puts items with new numbers into three queues, some at once, some longer than a block. */
export function produce({ numbers, objects, deliveries, next, sent, ...stage }: Traffic, index: number): void {
  const place = new Place(stage, index);
  const dice = random(stage.seed);
  for (;;) {
    const first = Atomics.add(next, 0, QUEUES * TAKE);
    if (first + QUEUES * TAKE > IDS) return;
    for (let id = first; id < first + QUEUES * TAKE; ) {
      const batch = id % QUEUES === NUMBERS && dice(8) === 0 ? 4 : 1;
      const ids = Array.from({ length: batch }, (_, n) => id + QUEUES * n).filter((n) => n < first + QUEUES * TAKE);
      place.pass(BEFORE_PUT);
      for (const n of ids) if (sent[n] === 0) Atomics.store(sent, n, MAYBE);
      if (ids.some((n) => sent[n] === SENT)) ids.length = 0; // it went with a batch
      if (!isOpen(() => ids.length > 0 && put(ids))) return;
      for (const n of ids) Atomics.store(sent, n, SENT);
      place.step();
      id++;
    }
  }
  function put(ids: number[]): void {
    const id = ids[0] as number;
    const text = 'x'.repeat(dice(10) === 0 ? 300 : dice(30));
    if (id % QUEUES === OBJECTS) again(stage, dice, (options) => objects.put({ id, text }, options));
    else if (id % QUEUES === DELIVERIES) again(stage, dice, (options) => deliveries.put(id, options));
    else if (ids.length === 1) again(stage, dice, (options) => numbers.put(-1 - id, options));
    else numbers.putMany(ids.map((n) => -1 - n));
  }
}

/** Waits, now and then with a timeout in a soak, until it is through. */
function again<R>({ hasty }: Stage, dice: (limit: number) => number, act: (options: WaitOptions) => R): R {
  for (;;) {
    try {
      return act(hasty && dice(8) === 0 ? { timeout: dice(3) } : {});
    } catch (error) {
      if ((error as { code?: string }).code !== 'ERR_TIMEOUT') throw error;
    }
  }
}

function isOpen(act: () => void): boolean {
  try {
    act();
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_CLOSED') return false;
    throw error;
  }
}

/** Takes items from the three queues, whichever has some, until all have ended. */
export function consume({ numbers, objects, deliveries, got, done, ...stage }: Traffic, index: number): void {
  const place = new Place(stage, index);
  const dice = random(stage.seed);
  const held: number[] = [];
  let sources: Queue<never>[] = [numbers, objects, deliveries] as unknown as Queue<never>[];
  while (sources.length > 0) {
    place.set(TAKING, 1);
    const { source, value, closed } = again(stage, dice, (options) => select(sources, options)) as {
      source: unknown;
      value: unknown;
      closed?: true;
    };
    if (closed) sources = sources.filter((one) => one !== source);
    place.pass(AFTER_GET);
    if (!closed) Atomics.add(got, idOf(value as number | { id: number }), 1);
    place.set(TAKING, 0);
    if (source === deliveries && !closed) held.push(value as number);
    while (held.length > dice(4) || (closed && held.length > 0)) acknowledge();
    place.step();
  }
  function acknowledge(): void {
    place.pass(BEFORE_DONE);
    deliveries.taskDone();
    Atomics.add(done, held.shift() as number, 1);
  }
}

function idOf(value: number | { id: number }): number {
  if (typeof value === 'object') return value.id;
  return value < 0 ? -1 - value : value;
}

export interface Guarded extends Stage {
  readonly mutex: Mutex;
  readonly rwlock: RwLock;
  readonly semaphore: Semaphore;
  readonly guard: Mutex;
  readonly condition: Condition;
  /** Pairs that are equal outside of their lock, tokens, and how many errors were seen. */
  readonly words: Int32Array;
}

export const PAIR = 0;
export const READ_PAIR = 2;
export const TOKENS = 4;
export const ERRORS = 5;

/** Enters all locks in turn. */
export function enter(all: Guarded, index: number): void {
  const { mutex, rwlock, semaphore, guard, condition, words, stop } = all;
  const place = new Place(all, index);
  const dice = random(all.seed);
  const raise = (at: number) => {
    if (words[at] !== words[at + 1]) Atomics.add(words, ERRORS, 1);
    words[at] = (words[at] as number) + 1;
    place.pass(HALF_WRITTEN);
    words[at + 1] = (words[at + 1] as number) + 1;
  };
  const mend = (at: number) => () => {
    words[at + 1] = words[at] as number;
  };
  while (stop[0] === 0) {
    orMend(mutex, mend(PAIR), () => {
      again(all, dice, (options) => mutex.lock(options));
      place.pass(IN_LOCK);
      raise(PAIR);
      mutex.unlock();
    });
    if (dice(3) === 0) orMend(rwlock, mend(READ_PAIR), () => rwlock.write.with(() => raise(READ_PAIR)));
    orMend(rwlock, mend(READ_PAIR), () => {
      rwlock.read.with(() => {
        place.pass(IN_READ);
        Atomics.add(words, ERRORS, Number(words[READ_PAIR] !== words[READ_PAIR + 1]));
      });
    });
    const permits = 1 + dice(2);
    again(all, dice, (options) => semaphore.with(() => place.pass(WITH_PERMITS), permits, options));
    orMend(
      guard,
      () => {},
      () =>
        guard.with(() => {
          words[TOKENS] = (words[TOKENS] as number) + 1;
          condition.notify();
        }),
    );
    orMend(
      guard,
      () => {},
      () =>
        guard.with(() => {
          condition.waitFor(() => (words[TOKENS] as number) > 0 || stop[0] === 1);
          words[TOKENS] = (words[TOKENS] as number) - 1;
        }),
    );
    place.step();
  }
}

function orMend(lock: { recover<R>(repair: () => R): R }, repair: () => void, act: () => void): void {
  try {
    act();
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_OWNER_DIED') throw error;
    lock.recover(repair);
  }
}

/** Meets the others at a barrier, again and again. */
export function meet({ barrier, ...stage }: Stage & { barrier: Barrier }, index: number): void {
  const place = new Place(stage, index);
  while (stage.stop[0] === 0) {
    try {
      barrier.wait();
    } catch (error) {
      if ((error as { code?: string }).code !== 'ERR_BROKEN_BARRIER') throw error;
      if (stage.stop[0] === 0) barrier.reset();
    }
    place.step();
  }
}

export interface Cast extends Stage {
  readonly broadcast: Broadcast<number>;
  readonly next: Int32Array;
  readonly words: Int32Array;
}

const RUN = 2 ** 16; // numbers of one publisher

/** Publishes numbers that count up, in runs of its own. */
export function publish({ broadcast, next, ...stage }: Cast, index: number): void {
  const place = new Place(stage, index);
  for (;;) {
    const first = Atomics.add(next, 0, RUN);
    for (let n = first; n < first + RUN; n++) {
      place.pass(BEFORE_PUT);
      if (!isOpen(() => broadcast.publish(n))) return;
      place.step();
    }
  }
}

/** Sees every number of each publisher, once it has seen one. */
export function hear({ broadcast, words, ...stage }: Cast, index: number): void {
  const place = new Place(stage, index);
  const seen = new Map<number, number>();
  isOpen(() => {
    for (const n of broadcast.subscribe()) {
      const publisher = Math.floor(n / RUN);
      const last = seen.get(publisher);
      if (last !== undefined && n !== last + 1) Atomics.add(words, ERRORS, 1);
      seen.set(publisher, n);
      place.pass(AFTER_GET);
      place.step();
    }
  });
}

export interface Talk extends Stage {
  readonly ends: readonly [Connection<number>, Connection<number>];
}

/** Sends numbers, and gets the same back, until the other end is gone. */
export function ask({ ends: [end], ...stage }: Talk, index: number): void {
  const place = new Place(stage, index);
  isOpen(() => {
    for (let n = 0; ; n++) {
      end.send(n);
      place.pass(BEFORE_PUT);
      if (end.recv() !== n) throw new Error('an answer is lost');
      place.step();
    }
  });
}

export function answer({ ends: [, end], ...stage }: Talk, index: number): void {
  const place = new Place(stage, index);
  isOpen(() => {
    for (;;) {
      const n = end.recv();
      place.pass(AFTER_GET);
      end.send(n);
      place.step();
    }
  });
}
