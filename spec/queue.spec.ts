import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  ClosedError,
  CodecError,
  InvalidHandleError,
  MessageTooLargeError,
  RegionFullError,
  TimeoutError,
} from '../lib/memory/errors.ts';
import { Region } from '../lib/memory/region.ts';
import { codec } from '../lib/queue/codec.ts';
import type { QueueOptions } from '../lib/queue/create.ts';
import { Queue } from '../lib/queue/queue.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { crew } from './kit/crew.ts';
import { reasonOf } from './kit/pools.ts';
import { COUNTS, MOST, type Traffic, type Waiting } from './kit/queueing.ts';
import { ENTERED, newGate } from './kit/tasks.ts';
import { until } from './kit/until.ts';

const queueing = new URL('./kit/queueing.js', import.meta.url);
const region = new Region({ bytes: 2 ** 22, threads: 10 });

function newQueue<T = unknown>(options: Partial<QueueOptions<T>> = {}): Queue<T> {
  return new Queue<T>({ capacity: 2, region, name: 'orders', ...options });
}

function numbers(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, i) => from + i);
}

/** Sends items of some producers to some consumers through each queue, and checks what came. */
async function checkTraffic(queues: Queue<unknown>[], threads: Omit<Traffic, 'queues' | 'counts'>, consumers: number) {
  const counts = region.array(Int32Array, queues.length * COUNTS);
  const { producers, items } = threads;
  const got = await crew<number[][]>(producers + consumers, queueing, 'trade', { queues, counts, ...threads });
  for (const [at, queue] of queues.entries()) {
    const what = `capacity ${queue.capacity}, queue ${at}`;
    const lists = got.slice(producers).map((lists) => lists[at] ?? []);
    const all = lists.flat().sort((a, b) => a - b);
    const sent = numbers(producers).flatMap((producer) => numbers(items, producer * 100_000));
    assert.equal(all, sent, `${what}: exactly once`);
    for (const list of lists) {
      for (const producer of numbers(producers)) {
        const mine = list.filter((n) => Math.floor(n / 100_000) === producer);
        assert.ok(
          mine.every((n, i) => i === 0 || n > (mine[i - 1] ?? 0)),
          `${what}: in the order of producer ${producer}`,
        );
      }
    }
    assert.ok((counts[at * COUNTS + MOST] ?? 0) <= queue.capacity, `${what}: never more than the capacity`);
    assert.equal([queue.size, queue.empty, queue.full, queue.closed], [0, true, false, true]);
  }
}

/** Starts a thread that waits on the queue, and goes on when it is about to. */
async function waiter<R, T = unknown>(
  queue: Queue<T>,
  verb: Waiting['verb'],
  value?: unknown,
): Promise<{ ended: Promise<R> }> {
  const gate = newGate();
  const ended = crew<R>(1, queueing, 'waitOn', { queue, gate, verb, value }).then(([result]) => result as R);
  ended.catch(() => {});
  await until(() => Atomics.load(gate, ENTERED) === 1);
  return { ended };
}

for (const [name, through] of Object.entries({ i32: codec.i32, any: codec.any })) {
  test(`many to many by ${name}, in every way: exactly once, in each producer's order, never over capacity`, async () => {
    const queues = [1, 2, 3, 5].map((capacity) => newQueue({ capacity, codec: through as never }));
    await checkTraffic(queues, { producers: 2, items: 500 }, 2);
    await checkTraffic([newQueue({ codec: through as never })], { producers: 3, items: 300 }, 1);
    await checkTraffic([newQueue({ codec: through as never })], { producers: 1, items: 300 }, 3);
  });

  test(`positions that pass 2^31 and 2^32 change nothing by ${name}`, async () => {
    const at = [2 ** 31 - 8, 2 ** 31 - 2, 2 ** 32 - 8, 2 ** 32 - 2].flatMap((position) =>
      [1, 3].map((capacity) => newQueue({ capacity, position, codec: through as never })),
    );
    for (const queue of at) {
      const items = numbers(10);
      for (const item of items) {
        while (queue.tryPut(item));
        assert.equal([queue.size, queue.full, queue.tryPut(0)], [queue.capacity, true, false]);
        assert.equal(
          numbers(queue.capacity).map(() => queue.tryGet()),
          numbers(queue.capacity).map(() => item),
        );
        assert.equal([queue.size, queue.empty, queue.tryGet()], [0, true, undefined]);
        queue.taskDone(queue.capacity);
        queue.join({ timeout: 0 });
      }
    }
    await checkTraffic(at, { producers: 1, items: 100 }, 2);
  });
}

test('a queue holds its capacity and no item more', () => {
  for (const capacity of [1, 2, 3, 5, 64, 100]) {
    const queue = newQueue({ capacity, codec: codec.u32 });
    for (const n of numbers(capacity)) assert.is(queue.tryPut(n), true);
    assert.equal([queue.tryPut(0), queue.size, queue.full, queue.empty], [false, capacity, true, false]);
    assert.is(queue.get(), 0);
    assert.equal([queue.tryPut(capacity), queue.tryPut(0)], [true, false]);
    assert.equal(queue.getMany(1000), numbers(capacity, 1));
    assert.equal([queue.tryGet(), queue.empty], [undefined, true]);
  }
});

test('every codec carries its values through a queue exactly, null and undefined included', () => {
  const values = {
    i32: [0, -1, 2 ** 31 - 1, -(2 ** 31)],
    u32: [0, 2 ** 31, 2 ** 32 - 1],
    f64: [0, -0, 0.1, Number.NaN, Number.POSITIVE_INFINITY, 5e-324],
    i64: [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n)],
    bytes: [new Uint8Array(0), Uint8Array.of(1, 255)],
    string: ['', 'grün', '\ud800', '💥'.repeat(300)],
    json: [null, 0, 'a', [1, { b: [] }]],
    any: [
      null,
      undefined,
      false,
      -0,
      'a',
      10n,
      new Date(7),
      /x/g,
      new Map([[1, new Set(['a'])]]),
      [undefined, null],
      new Float64Array([1.5]),
    ],
  };
  for (const [name, items] of Object.entries(values)) {
    const queue = newQueue({ capacity: 3, codec: codec[name as keyof typeof codec] as never });
    for (const item of items as never[]) {
      queue.put(item);
      assert.equal(queue.get(), item);
    }
    queue.putMany(items.slice(0, 3) as never[]);
    assert.equal(queue.getMany(3), items.slice(0, 3));
  }
});

test('get of undefined is told from nothing, and a null ends nothing by itself', async () => {
  const queue = newQueue({ capacity: 3 });
  queue.putMany([null, undefined, null]);
  assert.equal([queue.get(), await queue.getAsync(), queue.get()], [null, undefined, null]);
  queue.putMany([undefined, null]);
  queue.close();
  assert.equal([...queue], [undefined, null]);
});

test('put blocks while the queue is full, and get while it is empty', async () => {
  const queue = newQueue({ capacity: 1 });
  const getting = await waiter<string>(queue, 'get');
  queue.put('a');
  assert.is(await getting.ended, 'a');
  queue.put('b');
  const putting = await waiter<string>(queue, 'put', 'c');
  assert.is(queue.size, 1);
  assert.equal([queue.get(), queue.get({ timeout: 10_000 })], ['b', 'c']);
  assert.is(await putting.ended, 'done');
});

test('a consumer that wakes late wakes a producer when half of the queue is free, and not before', async () => {
  const queue = newQueue<string>({ capacity: 4 });
  queue.gets.wakeLate();
  queue.putMany(['a', 'b', 'c', 'd']);
  const putting = await waiter(queue, 'put', 'e');
  const waiting = () => region.inspect().queues.find(({ offset }) => offset === queue.offset)?.waitersTo.put.length;
  await until(() => waiting() === 1, 'the producer to wait');
  assert.equal([queue.get(), queue.size, waiting()], ['a', 3, 1]);
  assert.is(queue.get(), 'b');
  assert.is(await putting.ended, 'done');
  assert.equal(queue.getMany(9), ['c', 'd', 'e']);
});

test('who waits patiently is woken as others are, and hears of a close', async () => {
  const queue = newQueue<string>({ capacity: 1 });
  const getting = await waiter(queue, 'getPatiently');
  queue.puts.putPatiently('a');
  assert.is(await getting.ended, 'a');
  queue.puts.putPatiently('b');
  const putting = await waiter(queue, 'putPatiently', 'c');
  assert.is(queue.gets.getPatiently(), 'b');
  assert.is(await putting.ended, 'done');
  const late = await waiter(queue, 'putPatiently', 'd');
  queue.close();
  assert.is(await late.ended, 'ERR_CLOSED');
  assert.is(queue.gets.getPatiently(), 'c');
  assert.throws(
    () => queue.gets.getPatiently(),
    (error: unknown) => error instanceof ClosedError,
  );
});

test('a timeout ends put, get, getMany, putMany and join, and changes nothing', () => {
  const queue = newQueue({ capacity: 1 });
  const late = (verb: string) => (error: unknown) =>
    error instanceof TimeoutError &&
    new RegExp(`^${verb} "?orders"? timed out after [02] ms$`).test(error.message.replace('queue ', ''));
  for (const timeout of [0, 2]) {
    assert.throws(() => queue.get({ timeout }), late('get from'));
    assert.throws(() => queue.getMany(2, { timeout }), late('get from'));
  }
  queue.put('a');
  const used = region.used;
  for (const timeout of [0, 2]) {
    assert.throws(() => queue.put('b', { timeout }), late('put to'));
    assert.throws(() => queue.putMany(['b'], { timeout }), late('put(Many)? to'));
    assert.throws(() => queue.join({ timeout }), late('join of'));
  }
  assert.equal([queue.size, queue.get(), queue.size, region.used], [1, 'a', 0, used]);
});

test('a timeout ends putAsync, getAsync and joinAsync, and changes nothing', async () => {
  const queue = newQueue({ capacity: 1 });
  assert.instance(await reasonOf(queue.getAsync({ timeout: 1 })), TimeoutError);
  queue.put('a');
  assert.instance(await reasonOf(queue.putAsync('b', { timeout: 1 })), TimeoutError);
  assert.instance(await reasonOf(queue.joinAsync({ timeout: 1 })), TimeoutError);
  assert.equal([queue.get(), queue.tryGet()], ['a', undefined]);
});

test('an abort ends putAsync, getAsync and joinAsync with its reason, and the next in line is served', async () => {
  const queue = newQueue({ capacity: 1 });
  const stopped = AbortSignal.abort('stopped');
  const [first, second] = [new AbortController(), new AbortController()];
  for (const wait of [queue.getAsync({ signal: stopped }), queue.putAsync(1, { signal: stopped })]) {
    assert.is(await reasonOf(wait), 'stopped');
  }
  assert.is(queue.size, 0);
  const gets = [queue.getAsync({ signal: first.signal }), queue.getAsync()];
  queue.put('a');
  first.abort('first');
  assert.is(await reasonOf(gets[0] as Promise<unknown>), 'first');
  assert.is(await gets[1], 'a');
  queue.put('b');
  const puts = [queue.putAsync('c', { signal: second.signal }), queue.putAsync('d')];
  second.abort('second');
  assert.is(await reasonOf(puts[0] as Promise<unknown>), 'second');
  assert.equal([await queue.getAsync(), await queue.getAsync()], ['b', 'd']);
  await puts[1];
  const third = new AbortController();
  const join = reasonOf(queue.joinAsync({ signal: third.signal }));
  third.abort('third');
  assert.is(await join, 'third');
});

test('promises of one thread put and take in the order of their calls', async () => {
  const queue = newQueue({ capacity: 2 });
  const puts = numbers(50).map((n) => queue.putAsync(n));
  const got = await Promise.all(numbers(50).map(() => queue.getAsync()));
  await Promise.all(puts);
  assert.equal(got, numbers(50));
  const early = numbers(50).map(() => queue.getAsync());
  await Promise.all(numbers(50).map((n) => queue.putAsync(n)));
  assert.equal(await Promise.all(early), numbers(50));
});

test('a put after promises that wait does not overtake them', async () => {
  const queue = newQueue({ capacity: 1, codec: codec.i32 });
  queue.put(0);
  const first = queue.putAsync(1);
  assert.is(queue.get(), 0);
  const tried = queue.tryPut(2);
  const got = [queue.get()];
  await first;
  if (!tried) queue.put(2);
  got.push(queue.get());
  assert.equal(got, [1, 2]);
});

test('putMany and getMany move as many as they can, in order', async () => {
  for (const through of [codec.i32, codec.any]) {
    const queue = newQueue<number>({ capacity: 400, codec: through as never });
    queue.putMany(numbers(400));
    assert.equal(queue.getMany(300), numbers(300));
    queue.putMany(new Int32Array(numbers(10, 400)) as ArrayLike<number>);
    assert.equal(queue.getMany(1000), numbers(110, 300));
    queue.putMany([]);
    assert.is(queue.size, 0);
  }
});

test('putMany waits for room again and again', async () => {
  for (const through of [codec.i32, codec.any]) {
    const queue = newQueue<number>({ capacity: 3, codec: through as never });
    const { ended } = await waiter(queue, 'putMany', numbers(600));
    assert.equal(
      numbers(600).map(() => queue.get({ timeout: 10_000 })),
      numbers(600),
    );
    assert.is(await ended, 'done');
  }
});

test('a putMany that times out or meets a close says how many it has put', () => {
  for (const through of [codec.i32, codec.any]) {
    const queue = newQueue<number>({ capacity: 3, codec: through as never });
    const ended = (error: unknown, type: unknown) =>
      error instanceof (type as typeof Error) && (error as { done?: number }).done === 3;
    assert.throws(
      () => queue.putMany(numbers(5), { timeout: 1 }),
      (error: unknown) => ended(error, TimeoutError),
    );
    assert.equal(queue.getMany(9), [0, 1, 2]);
    queue.close();
    assert.throws(
      () => queue.putMany(numbers(5)),
      (error: unknown) => error instanceof ClosedError && (error as { done?: number }).done === 0,
    );
  }
});

test('a putMany with a value that the codec refuses has put what is before it', () => {
  const used = region.used;
  const one = newQueue<number>({ capacity: 5, codec: codec.i32 });
  const two = newQueue<unknown>({ capacity: 5 });
  for (const [queue, bad] of [[one, 0.5] as const, [two, () => {}] as const]) {
    assert.throws(
      () => queue.putMany([1, 2, bad as never, 4]),
      (error: unknown) => error instanceof CodecError && (error as { done?: number }).done === 2,
    );
    assert.equal(queue.getMany(9), [1, 2]);
    queue.free();
  }
  assert.is(region.used, used);
});

test('a timeout of putMany counts for all of it, not for each part', async () => {
  const queue = newQueue<number>({ capacity: 1, codec: codec.i32 });
  const gate = newGate();
  const slow = crew<number>(1, queueing, 'sip', { queue, gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  try {
    queue.putMany(numbers(100), { timeout: 60 });
    assert.unreachable('each item came in its time, but not all of them');
  } catch (error) {
    assert.instance(error, TimeoutError);
  } finally {
    queue.close();
    await slow;
  }
});

test('both iterators give all items and end when the queue is closed and drained', async () => {
  const queue = newQueue({ capacity: 5 });
  queue.putMany([1, 2, 3]);
  const iterated: unknown[] = [];
  for (const item of queue) {
    iterated.push(item);
    if (item === 3) queue.close();
  }
  assert.equal(iterated, [1, 2, 3]);
  const other = newQueue({ capacity: 1 });
  const all = (async () => {
    const items: unknown[] = [];
    for await (const item of other) items.push(item);
    return items;
  })();
  for (const n of numbers(5)) await other.putAsync(n);
  other.close();
  assert.equal(await all, numbers(5));
});

test('leaving a loop leaves the rest in the queue', async () => {
  const queue = newQueue({ capacity: 5 });
  queue.putMany([1, 2, 3]);
  for (const _ of queue) break;
  for await (const _ of queue) break;
  assert.is(queue.get(), 3);
});

test('after close every put throws ClosedError, and get drains first', async () => {
  const queue = newQueue({ capacity: 3 });
  queue.putMany([1, 2, 3]);
  queue.close();
  queue.close();
  assert.is(queue.closed, true);
  const closed = (error: unknown) => error instanceof ClosedError && error.message === 'queue "orders" is closed';
  const puts = [() => queue.put(4), () => queue.tryPut(4), () => queue.putMany([4])];
  for (const put of puts) assert.throws(put, closed);
  assert.ok(closed(await reasonOf(queue.putAsync(4))));
  assert.equal([queue.get(), await queue.getAsync(), queue.getMany(5)], [1, 2, [3]]);
  for (const get of [() => queue.get(), () => queue.tryGet(), () => queue.getMany(5)]) assert.throws(get, closed);
  assert.ok(closed(await reasonOf(queue.getAsync())));
  assert.equal([...queue], []);
  for await (const _ of queue) assert.unreachable();
});

test('close wakes the consumers that wait, of threads and of promises', async () => {
  const queue = newQueue();
  const waiters: { ended: Promise<unknown> }[] = [];
  for (const verb of ['get', 'getMany', 'getAsync', 'iterate', 'iterateAsync'] as const) {
    waiters.push(await waiter(queue, verb));
  }
  const own = [reasonOf(queue.getAsync()), reasonOf(queue.getAsync())];
  queue.close();
  const ended = await Promise.all(waiters.map((waiter) => waiter.ended));
  assert.equal(ended, ['ERR_CLOSED', 'ERR_CLOSED', 'ERR_CLOSED', [], []]);
  for (const reason of await Promise.all(own)) assert.instance(reason, ClosedError);
});

test('close wakes the producers that wait, and their items are not sent', async () => {
  const queue = newQueue({ capacity: 1 });
  queue.put('kept');
  const waiters: { ended: Promise<unknown> }[] = [];
  for (const verb of ['put', 'putAsync'] as const) waiters.push(await waiter(queue, verb, 'lost'));
  waiters.push(await waiter(queue, 'putMany', ['lost', 'lost']));
  const own = [reasonOf(queue.putAsync('lost')), reasonOf(queue.putAsync('lost'))];
  queue.close();
  const ended = await Promise.all(waiters.map((waiter) => waiter.ended));
  assert.equal(ended, ['ERR_CLOSED', 'ERR_CLOSED', 'ERR_CLOSED']);
  for (const reason of await Promise.all(own)) assert.instance(reason, ClosedError);
  assert.equal([...queue], ['kept']);
});

test('join waits until every item was said to be done, in any thread', async () => {
  const queue = newQueue<number>({ capacity: 2, codec: codec.i32 });
  const workers = crew<number>(2, queueing, 'workOff', { queue });
  for (const n of numbers(100)) await queue.putAsync(n);
  await queue.joinAsync();
  assert.is(queue.size, 0);
  for (const n of numbers(2)) queue.put(n);
  queue.join();
  const joining = await waiter(queue, 'join');
  assert.is(await joining.ended, 'done');
  queue.close();
  const sums = await workers;
  assert.is((sums[0] ?? 0) + (sums[1] ?? 0), 4950 + 1);
});

test('a join in another thread ends with the last taskDone', async () => {
  const queue = newQueue({ capacity: 3 });
  queue.putMany([1, 2, 3]);
  const joining = await waiter<string>(queue, 'join');
  const promise = queue.joinAsync();
  assert.equal(queue.getMany(3), [1, 2, 3]);
  queue.taskDone(2);
  assert.throws(() => queue.join({ timeout: 0 }), /timed out/);
  queue.taskDone();
  assert.is(await joining.ended, 'done');
  await promise;
});

test('taskDone beyond what was put is refused, and counts nothing', () => {
  const queue = newQueue({ capacity: 3 });
  assert.throws(
    () => queue.taskDone(),
    /^n must be at most the items of queue "orders" that are not done: got 1, there are 0$/,
  );
  queue.putMany([1, 2]);
  assert.throws(() => queue.taskDone(3), /got 3, there are 2$/);
  for (const n of [0, -1, 0.5, Number.NaN]) assert.throws(() => queue.taskDone(n), /^n must be an integer/);
  queue.taskDone(2);
  queue.join({ timeout: 0 });
});

test('a value that the codec refuses is not sent, and costs no block', async () => {
  const queue = newQueue<unknown>({ capacity: 1 });
  const used = region.used;
  for (const bad of [() => {}, Symbol('s'), { deep: [() => {}] }, Promise.resolve(), new WeakMap()]) {
    for (let times = 0; times < 10; times++) {
      assert.throws(
        () => queue.put(bad),
        (error: unknown) => error instanceof CodecError && error.code === 'ERR_CODEC',
      );
      assert.throws(() => queue.tryPut(bad), /^codec any /);
      assert.instance(await reasonOf(queue.putAsync(bad)), CodecError);
    }
  }
  assert.equal([queue.size, region.used], [0, used]);
  for (const n of numbers(50)) {
    queue.put(n);
    assert.is(queue.get(), n);
  }
});

test('tries and waits that fail cost no block', async () => {
  const queue = newQueue<unknown>({ capacity: 1 });
  queue.put('x'.repeat(2000));
  const used = region.used;
  for (let times = 0; times < 50; times++) {
    assert.is(queue.tryPut('y'.repeat(2000)), false);
    assert.throws(() => queue.put('y'.repeat(2000), { timeout: 0 }), /timed out/);
    const controller = new AbortController();
    const put = reasonOf(queue.putAsync('y'.repeat(2000), { signal: controller.signal }));
    controller.abort('stop');
    await put;
  }
  assert.is(region.used, used);
  assert.is(queue.get(), 'x'.repeat(2000));
  queue.put('z', { timeout: 0 });
  assert.is(queue.get(), 'z');
});

test('more promises than blocks wait for one slot, and another thread has its turn', async () => {
  const queue = newQueue<unknown>({ capacity: 1 });
  const puts = numbers(60).map((n) => queue.putAsync(n));
  const other = await waiter<string>(queue, 'put', 'other');
  const got: unknown[] = [];
  while (got.length < 61) got.push(await queue.getAsync({ timeout: 10_000 }));
  await Promise.all(puts);
  assert.is(await other.ended, 'done');
  assert.equal(
    got.filter((item) => item !== 'other'),
    numbers(60),
  );
});

test('a get that finds a freed object loses that item only', () => {
  const queue = newQueue<unknown>({ capacity: 5 });
  const mutex = new Mutex({ region });
  queue.putMany(['before', mutex, 'after']);
  mutex.free();
  assert.is(queue.get(), 'before');
  assert.throws(
    () => queue.get(),
    (error: unknown) => error instanceof InvalidHandleError,
  );
  assert.is(queue.get(), 'after');
});

test('a getMany that finds a freed object loses that item only: the error has the others', () => {
  const queue = newQueue<unknown>({ capacity: 5 });
  const mutex = new Mutex({ region });
  queue.putMany(['one', 'two', mutex, 'three']);
  mutex.free();
  const got: unknown[] = [];
  for (const _ of numbers(4)) {
    try {
      if (queue.size > 0) got.push(...queue.getMany(9));
    } catch (error) {
      assert.instance(error, InvalidHandleError);
      got.push(...((error as { items?: unknown[] }).items ?? []));
    }
  }
  assert.equal(got, ['one', 'two', 'three']);
});

test('shared objects inside items arrive live, in another thread too', async () => {
  const queue = newQueue<unknown>({ capacity: 2 });
  const [mutex, inner, words] = [
    new Mutex({ region }),
    newQueue<number>({ codec: codec.i32 }),
    region.array(Int32Array, 4),
  ];
  const { ended } = await waiter<{ mutex: Mutex; inner: Queue<number>; words: Int32Array }>(queue, 'get');
  queue.put({ mutex: mutex.lock(), inner, words, list: [new Map([['inner', inner]])] });
  const got = await ended;
  assert.instance(got.mutex, Mutex);
  assert.is(got.mutex.owner, region.slot);
  got.inner.put(7);
  assert.is(inner.get(), 7);
  words[0] = 5;
  assert.is(got.words[0], 5);
});

test('a queue that was freed throws InvalidHandleError whatever is called', async () => {
  for (const through of [codec.i32, codec.any]) {
    for (const reused of [false, true]) {
      const before = region.used;
      const queue = newQueue<number>({ capacity: 2, codec: through as never });
      const bytes = region.used - before;
      queue.free();
      assert.is(region.used, before);
      const array = reused ? region.array(Uint8Array, bytes - 64) : new Uint8Array(0);
      if (reused) assert.is(array.byteOffset - 64, queue.offset, 'the memory is in use again');
      const uses: (() => unknown)[] = [
        () => queue.tryPut(1),
        () => queue.put(1, { timeout: 0 }),
        () => queue.putMany([1], { timeout: 0 }),
        () => queue.tryGet(),
        () => queue.get({ timeout: 0 }),
        () => queue.getMany(2, { timeout: 0 }),
        () => queue.close(),
        () => queue.closed,
        () => queue.size,
        () => queue.empty,
        () => queue.full,
        () => queue.taskDone(),
        () => queue.join({ timeout: 0 }),
        () => queue[Symbol.iterator]().next(),
        () => queue.free(),
      ];
      for (const use of uses) {
        assert.throws(
          use,
          (error: unknown) => error instanceof InvalidHandleError,
          `${use} of a queue of ${through.name}, memory ${reused ? '' : 'not '}in use again`,
        );
      }
      for (const wait of [
        () => queue.putAsync(1, { timeout: 0 }),
        () => queue.getAsync({ timeout: 0 }),
        () => queue.joinAsync({ timeout: 0 }),
        () => queue[Symbol.asyncIterator]().next(),
      ]) {
        assert.instance(await reasonOf(wait()), InvalidHandleError, wait.toString());
      }
      assert.ok(
        array.every((byte) => byte === 0),
        'and what lives there now is untouched',
      );
    }
  }
});

test('freeing a queue ends the waits for it, of threads and of promises', async () => {
  const over = /^ERR_(CLOSED|INVALID_HANDLE)$/; // it is closed on the way
  const empty = newQueue<unknown>({ capacity: 1 });
  const full = newQueue<unknown>({ capacity: 1 });
  full.put(1);
  const waits: { ended: Promise<unknown> }[] = [];
  for (const verb of ['get', 'getAsync'] as const) waits.push(await waiter<string>(empty, verb));
  for (const verb of ['put', 'join'] as const) waits.push(await waiter<string>(full, verb, 2));
  const own = [reasonOf(empty.getAsync()), reasonOf(full.putAsync(3)), reasonOf(full.joinAsync())];
  empty.free();
  full.free();
  for (const code of await Promise.all(waits.map((wait) => wait.ended))) assert.match(String(code), over);
  for (const { code } of await Promise.all(own)) assert.match(String(code), over);
});

test('a region without room for the queue says what was asked and what is left', () => {
  const used = region.used;
  assert.throws(
    () => newQueue({ capacity: 2 ** 20 }),
    (error: unknown) => error instanceof RegionFullError && /bytes were asked for, \d+ are left/.test(error.message),
  );
  assert.is(region.used, used);
});

test('a message larger than the region throws MessageTooLargeError and is not sent', async () => {
  const queue = newQueue<string>({ codec: codec.string, capacity: 1 });
  const used = region.used;
  const text = 'x'.repeat(2 ** 23);
  for (const put of [() => queue.put(text), () => queue.tryPut(text), () => queue.putMany([text])]) {
    assert.throws(put, (error: unknown) => error instanceof MessageTooLargeError);
  }
  assert.instance(await reasonOf(queue.putAsync(text)), MessageTooLargeError);
  assert.equal([queue.size, region.used], [0, used]);
});

test('putManyAsync and getManyAsync carry many in order, and nothing of this thread comes between', async () => {
  for (const codecOf of [codec.any, codec.i32, codec.f64]) {
    const queue = newQueue<number>({ codec: codecOf as never });
    const puts = [queue.putManyAsync(numbers(50)), queue.putAsync(50), queue.putManyAsync(numbers(50, 51))];
    const got: number[] = [];
    while (got.length < 101) got.push(...(await queue.getManyAsync(7)));
    assert.equal(got, numbers(101), codecOf.name);
    await Promise.all(puts);
    await queue.putManyAsync([]);
    assert.is(queue.size, 0);
    queue.free();
  }
});

test('putManyAsync says how many were put when it ends early, and getManyAsync takes nothing then', async () => {
  const queue = newQueue({ codec: codec.string });
  const late = (await reasonOf(queue.putManyAsync(['a', 'b', 'c'], { timeout: 1 }))) as Error & { done: number };
  assert.instance(late, TimeoutError);
  assert.is(late.done, 2);
  assert.equal(await queue.getManyAsync(9), ['a', 'b']);
  const bad = (await reasonOf(queue.putManyAsync(['d', 7, 'e'] as string[]))) as unknown as Error & { done: number };
  assert.instance(bad, CodecError);
  assert.is(bad.done, 1);
  const waiting = reasonOf(queue.putManyAsync(['f', 'g', 'h']));
  queue.close();
  assert.is(((await waiting) as unknown as { done: number }).done, 1);
  assert.equal(await queue.getManyAsync(9), ['d', 'f']);
  assert.instance(await reasonOf(queue.getManyAsync(1)), ClosedError);
  assert.instance(await reasonOf(queue.getManyAsync(0)), RangeError);
  assert.instance(await reasonOf(queue.putManyAsync(7 as never)), TypeError);
  queue.free();
});

test('a putManyAsync that lacks memory waits for it', async () => {
  const small = new Region({ bytes: 2 ** 17, threads: 2 });
  const queue = new Queue<string>({ capacity: 8, region: small, codec: codec.string, blockBytes: 16 });
  const long = 'x'.repeat(20_000);
  const put = queue.putManyAsync(numbers(20).map((n) => `${n} ${long}`));
  const got: string[] = [];
  while (got.length < 20) got.push(...(await queue.getManyAsync(20, { timeout: 10_000 })));
  await put;
  assert.equal(
    got.map((text) => Number.parseInt(text, 10)),
    numbers(20),
  );
});

test.run();
