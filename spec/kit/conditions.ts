import { setImmediate as turn } from 'node:timers/promises';
import { type RingfenceError, TimeoutError } from '../../lib/memory/errors.ts';
import type { Condition } from '../../lib/sync/condition.ts';
import { RLock } from '../../lib/sync/rlock.ts';
import { expected } from './sharing.ts';
import { ENTERED, type Gate } from './tasks.ts';

// What the threads of condition.spec do.

interface Waiting {
  readonly condition: Condition;
  readonly gate: Gate;
}

/** Blocks for a notification; what it got, and whether it held the lock then. */
export function waitOnce({ condition, gate }: Waiting): [string, boolean] {
  const { mutex } = condition;
  mutex.lock();
  Atomics.add(gate, ENTERED, 1);
  const got = outcome(() => condition.wait());
  const held = mutex.owner === condition.region.slot;
  mutex.unlock();
  return [got, held];
}

/** Blocks under three entries of an `RLock`; how many it had to unlock afterwards. */
export function waitDeep({ condition, gate }: Waiting): number {
  const { mutex } = condition;
  for (let deep = 0; deep < 3; deep++) mutex.lock();
  Atomics.add(gate, ENTERED, 1);
  condition.wait();
  let depth = 0;
  for (; mutex.owner === condition.region.slot; depth++) mutex.unlock();
  return depth;
}

/** A promise waits, and then the thread blocks for the same condition; the order in which they were freed. */
export async function waitTwice({ condition, gate }: Waiting): Promise<string[]> {
  const order: string[] = [];
  const { mutex } = condition;
  mutex.lock();
  const promise = condition.waitAsync().then(() => {
    order.push('promise');
    mutex.unlock();
  });
  mutex.lock();
  Atomics.add(gate, ENTERED, 1);
  condition.wait();
  order.push('blocked');
  mutex.unlock();
  await promise;
  return order;
}

/** Waits twice deep in the lock, with an error of its own around that of the wait; what it ended with, and what `recover` gave. */
export function waitAndMend({ condition, gate }: Waiting): string[] {
  const { mutex } = condition;
  const wait = () => {
    Atomics.add(gate, ENTERED, 1);
    condition.wait();
  };
  try {
    mutex.with(() => {
      try {
        if (mutex instanceof RLock) mutex.with(wait);
        else wait();
      } catch (cause) {
        throw new Error('the wait failed', { cause });
      }
    });
    return [];
  } catch (error) {
    const { message, cause } = error as { message: string; cause?: RingfenceError };
    return [message, `${cause?.code}`, mutex.recover(() => 'mended')];
  }
}

/** The same of two promises; the first that is told of it mends and locks again, before the second one is. */
export async function waitAndMendLater({ condition, gate }: Waiting): Promise<string[]> {
  const { mutex } = condition;
  const outcomes: string[] = [];
  const wait = async () => {
    Atomics.add(gate, ENTERED, 1);
    await condition.waitAsync();
  };
  const mend = async (error: RingfenceError) => {
    if (outcomes.push(error.code) > 1) return;
    mutex.recover(() => {});
    await mutex.withAsync(() => turn());
  };
  await Promise.all([mutex.withAsync(wait).catch(mend), mutex.withAsync(wait).catch(mend)]);
  return outcomes;
}

export function notifyOnce(condition: Condition): void {
  condition.mutex.with(() => condition.notify());
}

export function misuseElsewhere(condition: Condition): string[] {
  return [outcome(() => condition.wait()), outcome(() => condition.notify()), outcome(() => condition.notifyAll())];
}

function outcome(run: () => void): string {
  try {
    run();
    return 'done';
  } catch (error) {
    return (error as RingfenceError).code;
  }
}

/** A buffer of two plain words; only the lock makes it right, and only the conditions make it go on. */
export interface Buffer {
  readonly filled: Condition;
  readonly emptied: Condition;
  readonly words: Int32Array;
  readonly times: number;
}

const COUNT = 0;
const FIRST = 1;
const ROOM = 2;

const hasRoom = (words: Int32Array) => () => (words[COUNT] ?? 0) < ROOM;
const hasItem = (words: Int32Array) => () => (words[COUNT] ?? 0) > 0;

function push({ words, filled }: Buffer, item: number): void {
  const count = words[COUNT] ?? 0;
  if (count >= ROOM) throw new Error(`${count} items, and one more`);
  words[FIRST + count] = item;
  words[COUNT] = count + 1;
  filled.notify();
}

function pop({ words, emptied }: Buffer): number {
  const count = words[COUNT] ?? 0;
  if (count <= 0) throw new Error('nothing is there');
  words[COUNT] = count - 1;
  emptied.notify();
  return words[FIRST + count - 1] ?? 0;
}

/** Threads 0 and 2 fill, 1 and 3 empty; the first two block, the others run tasks. The sum of what went through. */
export function fillOrEmpty(buffer: Buffer, index: number): number | Promise<number> {
  const { filled, emptied, words } = buffer;
  if (index === 0) return repeat(buffer, (item) => under(emptied, hasRoom(words), () => put(buffer, item)));
  if (index === 1) return repeat(buffer, () => under(filled, hasItem(words), () => pop(buffer)));
  if (index === 2) return inTasks(buffer, (item) => underAsync(emptied, hasRoom(words), () => put(buffer, item)));
  return inTasks(buffer, () => underAsync(filled, hasItem(words), () => pop(buffer)));
}

function put(buffer: Buffer, item: number): number {
  push(buffer, item);
  return item;
}

function repeat({ times }: Buffer, act: (item: number) => number): number {
  let sum = 0;
  for (let item = 1; item <= times; item++) sum += act(item);
  return sum;
}

/** Gives up every third time at once, and comes again; an RLock is entered twice. */
function under(condition: Condition, ready: () => boolean, act: () => number): number {
  const deep = condition.mutex instanceof RLock;
  for (let tries = 0; ; tries++) {
    condition.mutex.lock();
    if (deep) condition.mutex.lock();
    try {
      condition.waitFor(ready, tries % 3 === 0 ? { timeout: 0.1 } : {});
      return act();
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
    } finally {
      if (deep) condition.mutex.unlock();
      condition.mutex.unlock();
    }
  }
}

/** Tasks of a thread that holds an RLock are one owner, so there is one of them then. */
async function inTasks(buffer: Buffer, act: (item: number) => Promise<number>): Promise<number> {
  const tasks = buffer.filled.mutex instanceof RLock ? 1 : 4;
  let sum = 0;
  const task = async () => {
    for (let item = 1; item <= buffer.times / tasks; item++) {
      const passed = await act(item);
      sum += passed;
    }
  };
  await Promise.all(Array.from({ length: tasks }, task));
  return sum;
}

async function underAsync(condition: Condition, ready: () => boolean, act: () => number): Promise<number> {
  for (let tries = 0; ; tries++) {
    const controller = new AbortController();
    const options = tries % 2 === 0 ? { signal: controller.signal, timeout: 1 } : {};
    if (tries % 4 === 0) void turn().then(() => controller.abort('enough'));
    try {
      return await condition.mutex.withAsync(async () => {
        await condition.waitForAsync(ready, options);
        return act();
      });
    } catch (error) {
      expected(error);
    }
  }
}
