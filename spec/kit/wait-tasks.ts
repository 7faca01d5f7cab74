import type { Region } from '../../lib/memory/region.ts';
import { codec } from '../../lib/queue/codec.ts';
import type { Queue } from '../../lib/queue/queue.ts';
import { Queue as NewQueue } from '../../lib/queue/queue.ts';
import { Mutex } from '../../lib/sync/mutex.ts';

// What the crews of the specs of waiting do.

/** Counts under a mutex: even threads block, odd ones have four async tasks at once. */
export async function countMixed(
  { mutex, cell, rounds }: { mutex: Mutex; cell: Int32Array; rounds: number },
  index: number,
): Promise<void> {
  const more = () => (cell[0] = (cell[0] ?? 0) + 1);
  if (index % 2 === 0) {
    for (let round = 0; round < rounds; round++) mutex.with(more);
    return;
  }
  const task = async () => {
    for (let round = 0; round < rounds / 4; round++) await mutex.withAsync(more);
  };
  await Promise.all([task(), task(), task(), task()]);
}

/** Each round waits for an item by a promise, and blocks to put one meanwhile. */
export async function putWhilePromised({ queue, rounds }: { queue: Queue<number>; rounds: number }): Promise<number> {
  let sum = 0;
  for (let round = 0; round < rounds; round++) {
    const item = queue.getAsync();
    queue.put(round);
    sum += await item;
  }
  return sum;
}

/** Each round puts an item by a promise, and blocks to get one meanwhile. */
export async function getWhilePromised({ queue, rounds }: { queue: Queue<number>; rounds: number }): Promise<number> {
  let sum = 0;
  for (let round = 0; round < rounds; round++) {
    const put = queue.putAsync(round);
    sum += queue.get();
    await put;
  }
  return sum;
}

/** Half of the threads produce, half consume, each in the way that its index says; what was taken. */
export async function produceOrConsume(
  { queue, rounds }: { queue: Queue<number>; rounds: number },
  index: number,
): Promise<number[]> {
  const items = Array.from({ length: rounds }, (_, round) => index * rounds + round);
  const taken: number[] = [];
  if (index % 4 === 0) for (const item of items) queue.put(item);
  if (index % 4 === 1) for (const item of items) await queue.putAsync(item);
  if (index % 4 === 2) for (const _ of items) taken.push(queue.get());
  if (index % 4 === 3) await Promise.all(items.map(async () => taken.push(await queue.getAsync())));
  return taken;
}

/** Hands on one item. */
export function handOn({ from, to }: { from: Queue<number>; to: Queue<number> }): void {
  to.put(from.get());
}

/** Takes one item, blocking. */
export function takeOne({ queue }: { queue: Queue<number> }): number {
  return queue.get();
}

/** How often `run` calls `Atomics.notify`. */
function notified(run: () => void): number {
  const { notify } = Atomics;
  let calls = 0;
  Atomics.notify = ((...args: Parameters<typeof notify>) => {
    calls++;
    return notify(...args);
  }) as typeof notify;
  try {
    run();
  } finally {
    Atomics.notify = notify;
  }
  return calls;
}

/** Notifies of: operations with nobody waiting; with one promise that waits; after that promise was aborted. */
export async function notifies({ region }: { region: Region }): Promise<number[]> {
  const mutex = new Mutex({ region });
  const queue = new NewQueue<number>({ region, capacity: 2, codec: codec.i32 });
  const use = () => {
    for (let round = 0; round < 100; round++) {
      mutex.with(() => queue.put(round));
      queue.tryPut(round);
      queue.putMany([]);
      mutex.with(() => queue.getMany(2));
      queue.tryGet();
    }
  };
  const alone = notified(use);
  mutex.lock();
  const locking = mutex.lockAsync();
  const one = notified(() => mutex.unlock());
  await locking;
  const stop = new AbortController();
  const gaveUp = mutex.lockAsync({ signal: stop.signal }).catch(() => 'aborted');
  stop.abort();
  await gaveUp;
  mutex.unlock();
  return [alone, one, notified(use)];
}

/** The most `waitAsync` that were pending at once, and how many were asked for, while many promises came and went. */
export async function pendingWaits({ region }: { region: Region }): Promise<{ most: number; settled: number }> {
  const { waitAsync } = Atomics;
  let [pending, most] = [0, 0];
  Atomics.waitAsync = ((...args: Parameters<typeof waitAsync>) => {
    const answer = waitAsync(...args);
    if (answer.async) {
      most = Math.max(most, ++pending);
      answer.value.then(() => pending--);
    }
    return answer;
  }) as typeof waitAsync;
  const mutexes = Array.from({ length: 5 }, () => new Mutex({ region }).lock());
  const queue = new NewQueue<number>({ region, capacity: 1, codec: codec.i32 });
  let settled = 0;
  for (let round = 0; round < 20; round++) {
    const stop = new AbortController();
    const all = mutexes.flatMap((mutex) => [mutex.lockAsync({ signal: stop.signal }), mutex.lockAsync({ timeout: 1 })]);
    const items = [queue.getAsync(), queue.getAsync({ signal: stop.signal })];
    const outcomes = Promise.allSettled([...all, ...items]);
    queue.put(round);
    await items[0];
    stop.abort();
    for (const { status } of await outcomes) settled += Number(status === 'rejected');
  }
  return { most, settled };
}
