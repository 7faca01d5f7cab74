import { BrokenBarrierError, type RingfenceError, TimeoutError } from '../../lib/memory/errors.ts';
import type { Barrier } from '../../lib/sync/barrier.ts';
import type { Event } from '../../lib/sync/event.ts';
import type { Latch } from '../../lib/sync/latch.ts';
import type { Mutex } from '../../lib/sync/mutex.ts';
import type { Value } from '../../lib/sync/value.ts';
import { ENTERED, type Gate } from './tasks.ts';

// What the threads of the specs of event, latch, barrier and value do.

/** Anything that can be waited for in both ways. */
type Awaited = Event | Latch | Barrier;

/** Enters, and waits: every other thread blocks, the others wait by three promises. What they got. */
export async function waitEitherWay(
  { object, gate }: { object: Awaited; gate: Gate },
  index: number,
): Promise<unknown[]> {
  if (index % 2 === 0) {
    Atomics.add(gate, ENTERED, 1);
    return [outcome(() => object.wait())];
  }
  const promises = [1, 2, 3].map(() => object.waitAsync().catch((error: RingfenceError) => error.code));
  Atomics.add(gate, ENTERED, 1);
  return Promise.all(promises);
}

function outcome(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return (error as RingfenceError).code;
  }
}

/** Sets the event and clears it at once, each time when all have said that they are about to wait. */
export function pulse({ event, gate, waiters, times }: Pulses): void {
  for (let n = 1; n <= times; n++) {
    while (Atomics.load(gate, ENTERED) < n * waiters);
    event.set();
    event.clear();
  }
}

export interface Pulses {
  readonly event: Event;
  readonly gate: Gate;
  readonly waiters: number;
  readonly times: number;
}

/** Meets in every round; the indexes that it got, thread 1 by two tasks. */
export async function meet(
  { barrier, rounds }: { barrier: Barrier; rounds: number },
  index: number,
): Promise<number[]> {
  if (index !== 1) return Array.from({ length: rounds }, () => barrier.wait());
  const task = async () => {
    const got = [];
    for (let round = 0; round < rounds; round++) got.push(await barrier.waitAsync());
    return got;
  };
  const [one = [], two = []] = await Promise.all([task(), task()]);
  return one.flatMap((first, round) => [first, two[round] ?? -1]);
}

/** Writes its word, meets the others, and reads theirs: how often one was behind. */
export function phases({ barrier, words, rounds }: Phases, index: number): number {
  let behind = 0;
  for (let round = 1; round <= rounds; round++) {
    words[index * 16] = round;
    barrier.wait();
    for (let other = 0; other < barrier.parties; other++) if (words[other * 16] !== round) behind++;
    barrier.wait();
  }
  return behind;
}

export interface Phases {
  readonly barrier: Barrier;
  readonly words: Int32Array;
  readonly rounds: number;
}

/**
 * Meets with a patience that is often too short, and resets what is broken, until some round was complete; how often it came
 * through.
 */
export async function meetImpatiently(
  { barrier, seen, rounds }: { barrier: Barrier; seen: Int32Array; rounds: number },
  index: number,
): Promise<number> {
  let through = 0;
  for (let n = 0; n < rounds || Atomics.load(seen, 2) === 0; n++) {
    const timeout = (n + index) % 5 === 0 && n < rounds ? 0.05 : 10 + n;
    try {
      const at = n % 2 === 0 ? barrier.wait({ timeout }) : await barrier.waitAsync({ timeout });
      Atomics.add(seen, at, 1);
      through++;
    } catch (error) {
      if (!(error instanceof TimeoutError || error instanceof BrokenBarrierError)) throw error;
      barrier.reset();
    }
  }
  return through;
}

export function countDown({ latch, times }: { latch: Latch; times: number }): number {
  for (let n = 0; n < times; n++) latch.countDown();
  return latch.count;
}

export function addTo({ value, n, times }: { value: Value; n: number | bigint; times: number }): void {
  for (let i = 0; i < times; i++) value.add(n);
}

/** Doubles and adds, so that an update that was lost or done twice shows; how often its function was called. */
export function updateMany({ value, times }: { value: Value<'u32'>; times: number }): number {
  let calls = 0;
  for (let i = 0; i < times; i++) {
    value.update((n) => {
      calls++;
      return (n + 1) % 2 ** 32;
    });
  }
  return calls;
}

/** The exclusion of a lock that is made of a value. */
export function lockByExchange({ value, counter, times }: ByExchange): void {
  for (let i = 0; i < times; i++) {
    while (value.compareExchange(0, 1) !== 0);
    counter[0] = (counter[0] ?? 0) + 1;
    value.value = 0;
  }
}

export interface ByExchange {
  readonly value: Value<'i32'>;
  readonly counter: Int32Array;
  readonly times: number;
}

/** Waits for the object by a promise, and blocks for the mutex meanwhile; what the promise gave. */
export async function blockMeanwhile({ object, mutex, gate }: Meanwhile): Promise<unknown> {
  const promise = object.waitAsync();
  Atomics.add(gate, ENTERED, 1);
  mutex.lock().unlock();
  return promise;
}

export interface Meanwhile {
  readonly object: Awaited;
  readonly mutex: Mutex;
  readonly gate: Gate;
}
