import { setImmediate as turn } from 'node:timers/promises';
import { type RingfenceError, TimeoutError } from '../../lib/memory/errors.ts';
import type { LockFace } from '../../lib/sync/inner.ts';
import type { RLock } from '../../lib/sync/rlock.ts';
import { crew } from './crew.ts';
import { ENTERED, type Gate, newGate, OPEN } from './tasks.ts';
import { until } from './until.ts';

// What the threads of rlock.spec and rwlock.spec do.

const here = new URL(import.meta.url);

/** Runs `during` while another thread holds the lock; `face` is `lock` itself, or names one of its faces. */
export async function whileHeld(lock: object, during: (gate: Gate) => unknown, face = ''): Promise<void> {
  const gate = newGate();
  const holder = crew(1, here, 'holdFace', { lock, face, gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  try {
    await during(gate);
  } finally {
    Atomics.store(gate, OPEN, 1);
    await holder;
  }
}

interface Facing {
  readonly lock: object;
  readonly face: string;
  readonly gate: Gate;
}

/** A face by its name; the lock itself for ''. */
export function faceOf(lock: object, face: string): LockFace {
  return face === '' ? (lock as LockFace) : (lock as Record<string, LockFace>)[face]!;
}

/** Holds the lock while the gate is shut. */
export async function holdFace({ lock, face, gate }: Facing): Promise<void> {
  await faceOf(lock, face).withAsync(async () => {
    Atomics.add(gate, ENTERED, 1);
    while (Atomics.load(gate, OPEN) === 0) await turn();
  });
}

/** Enters, then blocks; what it got. */
export function lockFace({ lock, face, gate }: Facing): string {
  Atomics.add(gate, ENTERED, 1);
  try {
    faceOf(lock, face).lock();
    faceOf(lock, face).unlock();
    return 'locked';
  } catch (error) {
    return (error as RingfenceError).code;
  }
}

export interface Nesting {
  readonly lock: RLock;
  readonly counter: Int32Array;
  readonly times: number;
}

/** Counts under one, two or three entries, by a load and a store. */
export function countNested({ lock, counter, times }: Nesting): void {
  for (let i = 0; i < times; i++) {
    for (let deep = 0; deep <= i % 3; deep++) lock.lock();
    counter[0] = (counter[0] ?? 0) + 1;
    for (let deep = 0; deep <= i % 3; deep++) lock.unlock();
  }
}

/** Blocks, or waits by promises of which several enter together; each counts without leaving its thread. */
export async function countNestedEitherWay(nesting: Nesting, index: number): Promise<void> {
  if (index % 2 === 0) return countNested(nesting);
  const { lock, counter, times } = nesting;
  const task = async () => {
    for (let i = 0; i < times / 4; i++) {
      await lock.withAsync(async () => {
        await turn();
        lock.with(() => {
          counter[0] = (counter[0] ?? 0) + 1;
        });
      });
    }
  };
  await Promise.all([task(), task(), task(), task()]);
}

/** Waiters that give up at all moments; how often the lock was had. */
export async function countNestedImpatiently({ lock, counter, times }: Nesting, index: number): Promise<number> {
  let had = 0;
  const critical = () => {
    had++;
    counter[0] = (counter[0] ?? 0) + 1;
  };
  for (let i = index; i < times + index; i++) {
    const controller = new AbortController();
    const first = lock.withAsync(critical, { signal: controller.signal, timeout: i % 3 }).catch(expected);
    const second = lock.withAsync(critical).catch(expected);
    if (i % 2 === 0) await turn();
    controller.abort('enough');
    await Promise.all([first, second]);
    try {
      lock.with(() => lock.with(critical), { timeout: (i % 4) / 8 });
    } catch (error) {
      expected(error);
    }
  }
  return had;
}

export function expected(error: unknown): void {
  if (!(error instanceof TimeoutError) && error !== 'enough') throw error;
}

/** What another thread sees and may do. */
export function visitFace({ lock, face }: Facing): { tried: boolean; unlock: string } {
  const tried = faceOf(lock, face).tryLock();
  try {
    faceOf(lock, face).unlock();
    return { tried, unlock: 'done' };
  } catch (error) {
    return { tried, unlock: (error as RingfenceError).code };
  }
}
