import { setImmediate as turn } from 'node:timers/promises';
import { type RingfenceError, TimeoutError } from '../../lib/memory/errors.ts';
import type { LockFace } from '../../lib/sync/locked.ts';
import type { Mutex } from '../../lib/sync/mutex.ts';
import type { RLock } from '../../lib/sync/rlock.ts';
import type { RwLock } from '../../lib/sync/rwlock.ts';
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

/** Holds the lock three times over while the gate is shut. */
export async function holdDeep({ lock, gate }: { lock: RLock; gate: Gate }): Promise<void> {
  lock.lock().lock().lock();
  Atomics.add(gate, ENTERED, 1);
  while (Atomics.load(gate, OPEN) === 0) await turn();
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

export interface Sharing {
  readonly lock: RwLock;
  /** Two plain words that are equal whenever nobody writes. */
  readonly words: Int32Array;
  readonly times: number;
}

/** Blocks to read and to write; how often it wrote. Throws when it sees a write half done. */
export function readAndWrite({ lock, words, times }: Sharing, index: number): number {
  let writes = 0;
  for (let i = index; i < times + index; i++) {
    if (i % 4 === 0) {
      lock.write.lock();
      words[0] = (words[0] ?? 0) + 1;
      words[1] = (words[1] ?? 0) + 1;
      lock.write.unlock();
      writes++;
    } else if (i % 4 === 1) lock.read.with(() => lock.read.with(() => checkWords(words)));
    else lock.read.with(() => checkWords(words));
  }
  return writes;
}

function checkWords(words: Int32Array): void {
  if (words[0] !== words[1]) throw new Error(`saw ${words[0]} and ${words[1]}: a write half done`);
}

/** As above in tasks that leave their thread under the lock, and give up at all moments. */
export async function readAndWriteInTasks({ lock, words, times }: Sharing, index: number): Promise<number> {
  let writes = 0;
  const write = async () => {
    words[0] = (words[0] ?? 0) + 1;
    await turn();
    words[1] = (words[1] ?? 0) + 1;
    writes++;
  };
  const read = async () => {
    checkWords(words);
    await turn();
    checkWords(words);
  };
  const task = async (number: number) => {
    for (let i = number; i < times / 4 + number; i++) {
      const controller = new AbortController();
      const face = i % 4 === 0 ? lock.write : lock.read;
      const options = i % 3 === 0 ? { timeout: i % 4, signal: controller.signal } : {};
      const done = face.withAsync(i % 4 === 0 ? write : read, options).catch(expected);
      if (i % 2 === 0) await turn();
      controller.abort('enough');
      await done;
    }
  };
  await Promise.all([task(index), task(index + 1), task(index + 2), task(index + 3)]);
  return writes;
}

/** Threads of both kinds, and threads that give up while they block. */
export function readAndWriteAnyWay(sharing: Sharing, index: number): number | Promise<number> {
  if (index % 3 === 0) return readAndWrite(sharing, index);
  if (index % 3 === 1) return readAndWriteInTasks(sharing, index);
  return readAndWriteImpatiently(sharing, index);
}

function readAndWriteImpatiently({ lock, words, times }: Sharing, index: number): number {
  let writes = 0;
  const write = () => {
    words[0] = (words[0] ?? 0) + 1;
    words[1] = (words[1] ?? 0) + 1;
    writes++;
  };
  for (let i = index; i < times + index; i++) {
    try {
      if (i % 4 === 0) lock.write.with(write, { timeout: (i % 16) / 16 });
      else if (i % 4 === 1) {
        if (lock.write.tryLock()) {
          write();
          lock.write.unlock();
        }
      } else lock.read.with(() => checkWords(words), { timeout: (i % 3) / 8 });
    } catch (error) {
      expected(error);
    }
  }
  return writes;
}

export const READ = 1;
export const WRITE = 2;

/** Blocks for a face, and writes down what it did, in the order of all. */
export function logEntry({ lock, face, log }: { lock: RwLock; face: 'read' | 'write'; log: Int32Array }): void {
  lock[face].with(() => {
    log[1 + Atomics.add(log, 0, 1)] = face === 'read' ? READ : WRITE;
  });
}

/** Waits for a read by a promise, and blocks for the mutex meanwhile. */
export async function readLaterAndBlock({
  lock,
  mutex,
  gate,
}: {
  lock: RwLock;
  mutex: Mutex;
  gate: Gate;
}): Promise<void> {
  const read = lock.read.lockAsync();
  Atomics.add(gate, ENTERED, 1);
  while (Atomics.load(gate, OPEN) === 0);
  mutex.lock().unlock();
  (await read).unlock();
}

export function unlockFace({ lock, face }: { lock: object; face: string }): void {
  faceOf(lock, face).unlock();
}
