import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { QUEUE_RETURNS, QUEUE_RETURNS_SEEN, REGION_THREADS_AT, TAKEN, THREAD_BYTES } from '../lib/kernel/layout.ts';
import { ClosedError, TimeoutError } from '../lib/memory/errors.ts';
import { Region } from '../lib/memory/region.ts';
import { codec } from '../lib/queue/codec.ts';
import type { QueueOptions } from '../lib/queue/create.ts';
import { Queue } from '../lib/queue/queue.ts';
import { selectAsync } from '../lib/queue/select.ts';
import { ENTERED, newGate, OPEN } from './kit/tasks.ts';
import { until } from './kit/until.ts';
import { kill, victim } from './kit/victims.ts';

function newQueue<T = unknown>(options: Partial<QueueOptions<T>> = {}): Queue<T> {
  const region = new Region({ bytes: 2 ** 21, threads: 8 });
  return new Queue<T>({ region, capacity: 8, redeliver: true, ...options });
}

/** Kills a thread that took so many items and acknowledged the first of them; what was repaired. */
async function dieWith(queue: Queue<never> | Queue, takes: number, done = 0) {
  const gate = newGate();
  const worker = await victim('takeSome', { queue, takes, done, gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  return kill(worker);
}

/** For uvu, which calls what it is given. */
const isOf = (type: new (...args: never[]) => Error) => (error: Error) => error instanceof type;

/** When all other threads have ended, and what they left is repaired. */
const isAlone = ({ region }: Queue<never> | Queue) => until(() => region.inspect().threads.length === 1);

/** Takes and acknowledges what is there. */
function drain<T>(queue: Queue<T>): T[] {
  const items: T[] = [];
  while (queue.size > 0) {
    items.push(queue.get());
    queue.taskDone();
  }
  return items;
}

test('what a dead consumer had not acknowledged comes back once, in order, and before what is newer', async () => {
  const queue = newQueue();
  for (const item of ['a', 'b', 'c', 'd', 'e']) queue.put(item);
  assert.equal(await dieWith(queue, 4, 1), { returned: 3 });
  assert.is(queue.size, 4);
  assert.equal(drain(queue), ['b', 'c', 'd', 'e']);
  assert.is(queue.tryGet(), undefined);
  queue.join({ timeout: 0 });
});

test('the order of the items that came back is kept at the wrap of the positions, and over two deaths', async () => {
  for (const position of [2 ** 31 - 4, -4]) {
    const queue = newQueue<number>({ codec: codec.i32, position });
    queue.putMany([1, 2, 3, 4, 5, 6]);
    assert.equal(await dieWith(queue, 5), { returned: 5 });
    assert.equal(await dieWith(queue, 3, 1), { returned: 2 });
    assert.equal(new Set(drain(queue)), new Set([2, 3, 4, 5, 6]));
    queue.putMany([1, 2, 3, 4]);
    assert.equal(await dieWith(queue, 4), { returned: 4 });
    assert.equal(drain(queue), [1, 2, 3, 4]);
  }
});

test('numbers, wide numbers and long messages come back as they were, and nothing leaks', async () => {
  const long = { text: 'x'.repeat(5000) };
  for (const [kind, items] of [
    ['i32', [1, -2]],
    ['u32', [2 ** 32 - 1, 0]],
    ['f64', [0.1, Number.NEGATIVE_INFINITY]],
    ['i64', [2n ** 62n, -1n]],
    ['string', ['é', '']],
    ['any', [long, undefined]],
  ] as const) {
    const queue = newQueue<unknown>({ codec: codec[kind], blockBytes: 64 });
    const { used } = queue.region;
    queue.putMany(items);
    assert.equal(await dieWith(queue, 2), { returned: 2 });
    assert.equal(drain(queue), [...items]);
    assert.is(queue.region.used, used, kind);
  }
});

test('join ends when what came back is acknowledged, and not before', async () => {
  const queue = newQueue();
  queue.putMany([1, 2]);
  let joined = false;
  const join = queue.joinAsync().then(() => {
    joined = true;
  });
  await dieWith(queue, 2, 1);
  assert.throws(() => queue.join({ timeout: 0 }), isOf(TimeoutError));
  assert.is(queue.get(), 2);
  assert.throws(() => queue.join({ timeout: 0 }), isOf(TimeoutError));
  assert.not.ok(joined);
  queue.taskDone();
  await join;
});

test('taskDone acknowledges what this thread took first, and no more than it took', async () => {
  const queue = newQueue();
  queue.putMany([1, 2, 3]);
  assert.throws(() => queue.taskDone(), /^n must be at most the items of .* got 1, there are 0$/);
  assert.equal(queue.getMany(2), [1, 2]);
  assert.throws(() => queue.taskDone(3), isOf(RangeError));
  assert.equal(await dieWith(queue, 1), { returned: 1 });
  queue.taskDone(2);
  assert.equal(drain(queue), [3]);
});

test('a thread that ends in good order with items in hand gives them back, too', async () => {
  const queue = newQueue();
  queue.putMany([1, 2]);
  const gate = newGate();
  Atomics.store(gate, OPEN, 1);
  await victim('takeAndEnd', { queue, takes: 2, done: 1, gate });
  await isAlone(queue);
  assert.is(queue.size, 0, 'it acknowledged both');
  queue.putMany([3, 4]);
  await victim('takeAndExit', { queue, takes: 2, done: 1, gate });
  await isAlone(queue);
  assert.equal(drain(queue), [4]);
});

test('a closed queue has not ended while somebody else holds an item that may come back', async () => {
  const queue = newQueue();
  queue.putMany([1, 2]);
  queue.close();
  const gate = newGate();
  const worker = await victim('takeSome', { queue, takes: 2, done: 1, gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  assert.is(queue.tryGet(), undefined);
  assert.throws(() => queue.get({ timeout: 0 }), isOf(TimeoutError));
  const items = Promise.all([collect(queue), collect(queue)]);
  await kill(worker);
  assert.equal((await items).flat(), [2]);
  assert.throws(() => queue.get(), isOf(ClosedError));
});

async function collect<T>(queue: Queue<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of queue) {
    items.push(item);
    queue.taskDone();
  }
  return items;
}

test('who waits at a closed queue learns that it has ended when the last item is acknowledged', async () => {
  const queue = newQueue();
  queue.put(1);
  const gate = newGate();
  await victim('takeAndEnd', { queue, takes: 1, done: 1, gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  queue.close();
  const ended = queue.getAsync().catch((error) => error);
  const chosen = selectAsync([queue]);
  Atomics.store(gate, OPEN, 1);
  Atomics.notify(gate, OPEN);
  assert.instance(await ended, ClosedError);
  assert.is((await chosen).closed, true);
  await isAlone(queue);
});

test('who holds items himself does not wait at a closed queue for those of others', async () => {
  const queue = newQueue();
  queue.putMany([1, 2]);
  queue.close();
  const gate = newGate();
  const worker = await victim('takeSome', { queue, takes: 1, done: 0, gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  assert.is(queue.get(), 2);
  assert.throws(() => queue.get(), isOf(ClosedError));
  queue.taskDone();
  assert.throws(() => queue.get({ timeout: 0 }), isOf(TimeoutError));
  await kill(worker);
  assert.is(queue.get(), 1);
});

test('select, getMany and a consumer that sleeps get what came back', async () => {
  const queue = newQueue<number>({ codec: codec.u32 });
  queue.putMany([1, 2, 3]);
  const gate = newGate();
  const worker = await victim('takeSome', { queue, takes: 3, done: 0, gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  const [first, chosen] = [queue.getAsync(), selectAsync([queue])];
  await kill(worker);
  assert.equal([await first, (await chosen).value], [1, 2]);
  assert.equal(queue.getMany(5), [3]);
  queue.taskDone(3);
  queue.join({ timeout: 0 });
});

test('as many as the capacity can be in hand while the queue is full; then put waits for taskDone', () => {
  const queue = newQueue<number>({ capacity: 2 });
  for (let n = 0; n < 18; n++) {
    queue.put(n);
    assert.is(queue.get(), n);
  }
  queue.putMany([18, 19]);
  assert.not.ok(queue.tryPut(20), 'it is full');
  assert.is(queue.get(), 18);
  assert.not.ok(queue.tryPut(20), 'all blocks are in hand');
  const put = queue.putAsync(20);
  queue.taskDone();
  return put.then(() => assert.equal(queue.getMany(9), [19, 20]));
});

test('a supervisor that died while it gave items back is followed by the next, who gives back the others, too', () => {
  const queue = newQueue<number>();
  const { region, offset } = queue;
  const { kernel, i32 } = region;
  const recordOf = (slot: number) => (i32[REGION_THREADS_AT >> 2] ?? 0) + slot * THREAD_BYTES;
  kernel.threadJoin(recordOf(5), 1000);
  kernel.threadJoin(recordOf(6), 1001);
  queue.putMany([1, 2, 3]);
  const taker = 6 | TAKEN;
  const blocks = [1, 2].map(() => {
    assert.ok(kernel.ringGetBlock(offset, queue.serial, recordOf(5), taker) > 0);
    return i32[(recordOf(5) + 128) >> 2] ?? 0;
  });
  kernel.threadBury(recordOf(5), 1000, 6); // the thread in slot 6 buries the one in slot 5, gives one item back, and dies
  kernel.blockAcknowledge(blocks[0] ?? 0, TAKEN);
  assert.is(i32[(offset + QUEUE_RETURNS) >> 2], i32[(offset + QUEUE_RETURNS_SEEN) >> 2]);
  assert.equal(region.threadExited(1000), {});
  assert.equal(drain(queue), [1, 2, 3]);
  queue.join({ timeout: 0 });
});

test('free returns the memory of what is in hand, too, and the next queue there begins anew', () => {
  const region = new Region({ bytes: 2 ** 20, threads: 2 });
  const before = region.used;
  for (let round = 0; round < 3; round++) {
    const queue = new Queue<string>({ region, capacity: 2, redeliver: true });
    queue.put('x'.repeat(1000));
    queue.put('y'.repeat(1000));
    assert.is(queue.get().length, 1000);
    queue.free();
    assert.is(region.used, before);
  }
});

test('inspect says how many items are in hand, and how many came back', async () => {
  const queue = newQueue();
  queue.putMany([1, 2, 3]);
  await dieWith(queue, 2);
  queue.get();
  const { size, unacknowledged, returned } = queue.region.inspect().queues[0] ?? {};
  assert.equal([size, unacknowledged, returned, queue.size], [1, 1, 1, 2]);
});

test('items in the hands of threads that are killed one after the other are each done once', async () => {
  const queue = newQueue<number>({ capacity: 40, codec: codec.i32 });
  const seen = queue.region.array(Int32Array, 40);
  queue.putMany(Array.from({ length: 40 }, (_, n) => n));
  for (let round = 0; round < 6; round++) assert.equal(await dieWith(queue, 5), { returned: 5 });
  queue.close();
  const gate = newGate();
  await Promise.all([0, 1].map(() => victim('takeAll', { queue, seen, gate })));
  await isAlone(queue);
  assert.ok(seen.every((times) => times === 1));
});

test('what is no choice is refused', () => {
  assert.throws(() => newQueue({ redeliver: 1 as never }), /^redeliver must be true or false: got 1$/);
});

test.run();
