import { setImmediate as turn } from 'node:timers/promises';
import { type RingfenceError, TimeoutError } from '../../lib/memory/errors.ts';
import type { Semaphore } from '../../lib/sync/semaphore.ts';
import { random } from './random.ts';
import { ENTERED, type Gate, OPEN } from './tasks.ts';

// What the threads of semaphore.spec do.

export interface Work {
  readonly semaphore: Semaphore;
  /** How many permits are out, as the workers count them: never more than there are. */
  readonly out: Int32Array;
  readonly permits: number;
  readonly times: number;
}

function enter({ out, permits }: Work, n: number): void {
  const now = Atomics.add(out, 0, n) + n;
  if (now > permits) throw new Error(`${now} permits are out, there are ${permits}`);
}

function leave({ out }: Work, n: number): void {
  Atomics.sub(out, 0, n);
}

/** Takes different amounts: every other thread blocks, the others run four tasks. */
export async function take(work: Work, index: number): Promise<void> {
  const amount = random(index + 1);
  if (index % 2 === 0) {
    for (let i = 0; i < work.times; i++) takeOnce(work, 1 + amount(work.permits));
    return;
  }
  const task = async () => {
    for (let i = 0; i < work.times / 4; i++) await takeOnceAsync(work, 1 + amount(work.permits));
  };
  await Promise.all([task(), task(), task(), task()]);
}

function takeOnce(work: Work, n: number, timeout?: number): void {
  const critical = () => {
    enter(work, n);
    leave(work, n);
  };
  work.semaphore.with(critical, n, { timeout });
}

function takeOnceAsync(work: Work, n: number, options?: { signal: AbortSignal; timeout: number }): Promise<void> {
  const critical = async () => {
    enter(work, n);
    if (n % 2 === 0) await turn();
    leave(work, n);
  };
  return work.semaphore.withAsync(critical, n, options);
}

/** Waiters that give up at all moments. */
export async function takeImpatiently(work: Work, index: number): Promise<void> {
  const amount = random(index + 1);
  const expected = (error: unknown) => {
    if (!(error instanceof TimeoutError) && error !== 'enough') throw error;
  };
  for (let i = index; i < work.times + index; i++) {
    const controller = new AbortController();
    const options = { signal: controller.signal, timeout: i % 3 };
    const pending = takeOnceAsync(work, 1 + amount(work.permits), options).catch(expected);
    const patient = takeOnceAsync(work, 1 + amount(work.permits));
    if (i % 2 === 0) await turn();
    controller.abort('enough');
    try {
      takeOnce(work, 1 + amount(work.permits), (i % 4) / 8);
    } catch (error) {
      expected(error);
    }
    await Promise.all([pending, patient]);
  }
}

/** Takes two permits and gives them back, over and over, until the gate opens; how often. */
export function hog({ semaphore, gate }: { semaphore: Semaphore; gate: Gate }): number {
  let times = 0;
  for (Atomics.add(gate, ENTERED, 1); Atomics.load(gate, OPEN) === 0; times++) semaphore.with(() => {}, 2);
  return times;
}

/** Enters, then blocks for as many permits as its index says; what it got. */
export function takeByIndex({ semaphore, gate }: { semaphore: Semaphore; gate: Gate }, index: number): string {
  Atomics.add(gate, ENTERED, 1);
  try {
    semaphore.acquire(1 + index);
    return 'acquired';
  } catch (error) {
    return (error as RingfenceError).code;
  }
}

/** Gives permits that another thread took, or that nobody took. */
export function give({ semaphore, n }: { semaphore: Semaphore; n: number }): number {
  semaphore.release(n);
  return semaphore.available;
}
