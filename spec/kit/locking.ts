import { setImmediate as turn } from 'node:timers/promises';
import { type RingfenceError, TimeoutError } from '../../lib/memory/errors.ts';
import type { Mutex } from '../../lib/sync/mutex.ts';
import { ENTERED, type Gate, OPEN } from './tasks.ts';

// What the threads of mutex.spec do.

export interface Counting {
  readonly mutex: Mutex;
  /** Plain words, counted by a load and a store: without the lock they would lose. */
  readonly counter: Int32Array;
  readonly times: number;
}

export function count({ mutex, counter, times }: Counting): void {
  for (let i = 0; i < times; i++) {
    mutex.lock();
    counter[0] = (counter[0] ?? 0) + 1;
    mutex.unlock();
  }
}

/** Four tasks that leave their thread between load and store. */
export async function countInTasks({ mutex, counter, times }: Counting): Promise<void> {
  const task = async () => {
    for (let i = 0; i < times; i++) {
      await mutex.withAsync(async () => {
        const seen = counter[0] ?? 0;
        await turn();
        counter[0] = seen + 1;
      });
    }
  };
  await Promise.all([task(), task(), task(), task()]);
}

/** Every other thread blocks, the others run tasks. */
export function countEitherWay(counting: Counting, index: number): void | Promise<void> {
  return index % 2 === 0 ? count(counting) : countInTasks({ ...counting, times: counting.times / 4 });
}

/** Waiters that give up at all moments; how often the lock was had. */
export async function countImpatiently({ mutex, counter, times }: Counting, index: number): Promise<number> {
  let had = 0;
  const critical = () => {
    had++;
    counter[0] = (counter[0] ?? 0) + 1;
  };
  const expected = (error: unknown) => {
    if (!(error instanceof TimeoutError) && error !== 'enough') throw error;
  };
  for (let i = index; i < times + index; i++) {
    const controller = new AbortController();
    const pending = mutex.withAsync(critical, { signal: controller.signal, timeout: i % 3 }).catch(expected);
    const second = mutex.withAsync(critical).catch(expected);
    if (i % 2 === 0) await turn();
    controller.abort('enough');
    await Promise.all([pending, second]);
    try {
      mutex.with(critical, { timeout: (i % 4) / 8 });
    } catch (error) {
      expected(error);
    }
  }
  return had;
}

/** Holds the mutex while the gate is shut. */
export async function holdLock({ mutex, gate }: { mutex: Mutex; gate: Gate }): Promise<void> {
  await mutex.withAsync(async () => {
    Atomics.add(gate, ENTERED, 1);
    while (Atomics.load(gate, OPEN) === 0) await turn();
  });
}

/** Enters, then blocks; what it got. */
export function lockOnce({ mutex, gate }: { mutex: Mutex; gate: Gate }): string {
  Atomics.add(gate, ENTERED, 1);
  try {
    mutex.lock().unlock();
    return 'locked';
  } catch (error) {
    return (error as RingfenceError).code;
  }
}

/** What another thread sees and may do. */
export function visit(mutex: Mutex): { locked: boolean; owner: number; slot: number; tried: boolean; unlock: string } {
  const seen = { locked: mutex.locked, owner: mutex.owner, slot: mutex.region.slot, tried: mutex.tryLock() };
  try {
    mutex.unlock();
    return { ...seen, unlock: 'done' };
  } catch (error) {
    return { ...seen, unlock: (error as RingfenceError).code };
  }
}

export interface Crossing {
  readonly first: Mutex;
  readonly second: Mutex;
  readonly gate: Gate;
}

/** Thread 0 waits for `first` by a promise, and blocks for `second`; thread 1 blocks for `first`. */
export async function cross({ first, second, gate }: Crossing, index: number): Promise<void> {
  if (index === 1) {
    Atomics.add(gate, ENTERED, 1);
    first.lock().unlock();
    Atomics.store(gate, OPEN, 1);
    return;
  }
  const promise = first.lockAsync();
  Atomics.add(gate, ENTERED, 1);
  second.lock().unlock();
  (await promise).unlock();
}

export function unlockOnly(mutex: Mutex): void {
  mutex.unlock();
}

/** Counts in a repair. */
export function recoverAndCount({ mutex, counter }: Counting): void {
  mutex.recover(() => {
    counter[0] = (counter[0] ?? 0) + 1;
  });
}

const HOGGED = 3; // ms at a time: who only tries when he wakes would have to wake within 0.1 us of 3 ms

/** Holds the lock almost always, until it is told to stop. */
export function hog({ mutex, gate }: { mutex: Mutex; gate: Gate }): void {
  while (Atomics.load(gate, OPEN) === 0) {
    mutex.with(() => {
      Atomics.add(gate, ENTERED, 1);
      for (let end = performance.now() + HOGGED; performance.now() < end; );
    });
  }
}
