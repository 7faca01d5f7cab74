import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ClosedError, CodecError, NotOwnerError, TimeoutError } from '../lib/memory/errors.ts';
import { share } from '../lib/memory/handles.ts';
import { Region, supervise } from '../lib/memory/region.ts';
import { Broadcast } from '../lib/queue/broadcast.ts';
import { codec } from '../lib/queue/codec.ts';
import { pipe } from '../lib/queue/pipe.ts';
import { Queue } from '../lib/queue/queue.ts';
import type { View } from '../lib/queue/struct.ts';
import { crew } from './kit/crew.ts';
import { reasonOf } from './kit/pools.ts';
import { type Order, order, orderOf } from './kit/recording.ts';
import { starts } from './kit/rings.ts';
import { ENTERED, newGate } from './kit/tasks.ts';
import { until } from './kit/until.ts';

const recording = new URL('./kit/recording.js', import.meta.url);
const point = codec.struct({ x: 'i32', y: 'f64' });
type Point = { x: number; y: number };

function newQueue(options: object = {}): Queue<Point> {
  return new Queue<Point>({
    capacity: 3,
    codec: point,
    region: new Region({ bytes: 2 ** 20, threads: 8 }),
    ...options,
  });
}

const fill =
  (x: number) =>
  (view: View<Point>): void => {
    view.x = x;
  };

test('records go in order through every tiny capacity, at positions around the wrap', () => {
  const region = new Region({ bytes: 2 ** 20, threads: 8 });
  for (const position of starts) {
    for (const capacity of [1, 2, 3, 4, 5, 7]) {
      const queue = newQueue({ capacity, position, region });
      let next = 0;
      let expected = 0;
      for (let round = 0; round < 5; round++) {
        queue.produceMany(capacity, (view, i) => fill(next + i)(view));
        next += capacity;
        assert.is(queue.tryProduce(fill(-1)), false, 'full');
        assert.is(queue.tryPut({ x: -1, y: 0 }), false, 'full');
        assert.equal([queue.size, queue.full], [capacity, true]);
        assert.is(
          queue.consume(({ x }) => x),
          expected++,
        );
        while (queue.size > 0) queue.consumeMany(2, ({ x }) => assert.is(x, expected++));
        assert.is(
          queue.tryConsume(() => assert.unreachable()),
          false,
          'empty',
        );
      }
      queue.free();
    }
  }
});

test('threads that produce and consume in every way see each record once, whole and in order', async () => {
  const region = new Region({ bytes: 2 ** 21, threads: 8 });
  const producers = 2;
  const items = 400;
  const queues = [1, 2, 5].map(
    (capacity, i) => new Queue<Order>({ region, capacity, codec: order, position: starts[i + 1] ?? 0 }),
  );
  const finished = new Int32Array(new SharedArrayBuffer(16));
  const results = await crew<[number, number][][]>(4, recording, 'trade', { queues, producers, items, finished });
  for (const [at] of queues.entries()) {
    const taken = results.slice(producers).map((all) => all[at] ?? []);
    for (let producer = 0; producer < producers; producer++) {
      const streams = taken.map((got) => got.filter(([from]) => from === producer).map(([, n]) => n));
      for (const stream of streams)
        assert.equal(
          stream,
          stream.toSorted((a, b) => a - b),
        );
      assert.equal(
        streams.flat().sort((a, b) => a - b),
        Array.from({ length: items }, (_, n) => n),
      );
    }
  }
});

test('another thread knows the fields from the queue alone', async () => {
  const fields = { n: 'u32', name: codec.string(12), producer: 'u8', twice: 'f64' } as const;
  const queue = new Queue({ capacity: 2, codec: codec.struct(fields) });
  queue.put({ n: 5, name: 'tea', producer: 1, twice: 10 });
  assert.equal(await crew(1, recording, 'useOf', { queue, gate: newGate() }), [
    { n: 5, name: 'tea', producer: 1, twice: 10 },
  ]);
});

test('what is refused names the field, and nothing is sent', () => {
  const queue = newQueue();
  const refused = (put: () => void, message: RegExp) =>
    assert.throws(put, (error: unknown) => error instanceof CodecError && message.test(error.message));
  const wrong = { x: 0.5, y: 1 };
  refused(() => queue.put(wrong), /in field x, not 0\.5$/);
  refused(() => queue.tryPut(wrong), /in field x/);
  refused(() => queue.putMany([wrong]), /in field x/);
  refused(() => queue.produce((view) => fill(2 ** 40)(view)), /in field x, not 1099511627776$/);
  refused(() => queue.put({ x: 1, y: 2, z: 3 } as Point), /no field z$/);
  assert.is(queue.size, 0);
  refused(() => queue.putMany([{ x: 1, y: 1 }, wrong]), /in field x/);
  assert.equal(queue.get(), { x: 1, y: 1 });
  assert.is(queue.size, 0);
});

test('a record that is produced begins with zeros, and what its function throws comes out', () => {
  const queue = newQueue();
  queue.put({ x: 7, y: 8 });
  queue.get();
  queue.produce(() => {});
  assert.equal(queue.get(), { x: 0, y: 0 });
  const mine = new Error('mine');
  for (const produce of [() => queue.produce(throws), () => queue.tryProduce(throws)])
    assert.is(thrownBy(produce), mine);
  assert.is(queue.size, 0);
  function throws(): never {
    throw mine;
  }
});

function thrownBy(run: () => void): unknown {
  try {
    run();
    return undefined;
  } catch (error) {
    return error;
  }
}

test('produceMany calls its function once for each record, and says how many were put before it failed', () => {
  const queue = newQueue({ capacity: 8 });
  const calls: number[] = [];
  const error = thrownBy(() =>
    queue.produceMany(6, (view, i) => {
      calls.push(i);
      if (i === 4) throw new Error('the fifth');
      view.x = i;
    }),
  ) as Error & { done: number };
  assert.equal([error.message, error.done, calls], ['the fifth', 4, [0, 1, 2, 3, 4]]);
  assert.equal(
    queue.getMany(9).map(({ x }) => x),
    [0, 1, 2, 3],
  );
  const late = thrownBy(() => queue.produceMany(20, (view, i) => fill(i)(view), { timeout: 1 })) as Error & {
    done: number;
  };
  assert.instance(late, TimeoutError);
  assert.equal([late.done, queue.size], [8, 8]);
});

test('consumeMany hands on what it took, also when its function throws, and throws the first error then', () => {
  const queue = newQueue({ capacity: 8 });
  queue.produceMany(4, (view, i) => fill(i)(view));
  const seen: number[] = [];
  const error = thrownBy(() =>
    queue.consumeMany(9, ({ x }) => {
      seen.push(x);
      if (x % 2 === 1) throw new Error(`no ${x}`);
    }),
  );
  assert.equal([seen, (error as Error).message, queue.size], [[0, 1, 2, 3], 'no 1', 0]);
});

test('a view is good until its function returns, and throws from then on', async () => {
  const queue = newQueue();
  const views: View<Point>[] = [];
  queue.produce((view) => views.push(view));
  queue.produceMany(2, (view) => views.push(view));
  queue.consume((view) => views.push(view));
  queue.consumeMany(1, (view) => views.push(view));
  await queue.consumeAsync(async (view) => views.push(view));
  assert.is(views.length, 6);
  for (const view of views) {
    assert.throws(
      () => view.x,
      (error: unknown) => error instanceof NotOwnerError,
    );
    assert.throws(
      () => fill(1)(view),
      (error: unknown) => error instanceof NotOwnerError,
    );
    assert.throws(
      () => queue.put(view as Point),
      (error: unknown) => error instanceof NotOwnerError,
    );
  }
});

test('functions that are handed a view may put and take themselves', () => {
  const queue = newQueue({ capacity: 8 });
  queue.produce((outer) => {
    outer.x = 1;
    queue.produce((inner) => {
      inner.x = 2;
      queue.put({ x: 3, y: 0 });
    });
    outer.y = 4;
  });
  assert.equal(queue.size, 3);
  const order: number[] = [];
  queue.consume((outer) => {
    queue.consume((inner) => {
      order.push(inner.x);
      queue.put(inner as Point);
    });
    order.push(outer.x);
  });
  assert.equal(
    [order, queue.getMany(9)],
    [
      [2, 3],
      [
        { x: 1, y: 4 },
        { x: 2, y: 0 },
      ],
    ],
  );
  const value = {
    x: 1,
    get y() {
      queue.putMany([{ x: 8, y: 8 }]);
      return 2;
    },
  };
  queue.putMany([value, value]);
  assert.equal(
    queue.getMany(9).map(({ x }) => x),
    [8, 8, 1, 1],
  );
});

test('what waits for room keeps its own record', async () => {
  const queue = newQueue({ capacity: 1 });
  queue.put({ x: 0, y: 0 });
  const waiting = [1, 2].map((x) => queue.produceAsync(fill(x)));
  waiting.push(queue.putAsync({ x: 3, y: 3 }), queue.putManyAsync([4, 5].map((x) => ({ x, y: x }))));
  const got: number[] = [];
  while (got.length < 6) await queue.consumeAsync(({ x }) => got.push(x));
  await Promise.all(waiting);
  assert.equal(got, [0, 1, 2, 3, 4, 5]);
});

test('waits for records end by a deadline, by an abort and by close', async () => {
  const queue = newQueue({ capacity: 1 });
  assert.throws(
    () => queue.consume(() => {}, { timeout: 1 }),
    (error: unknown) => error instanceof TimeoutError,
  );
  const abort = new AbortController();
  const aborted = reasonOf(queue.consumeAsync(() => {}, { signal: abort.signal }));
  abort.abort(new Error('enough'));
  assert.is(((await aborted) as Error).message, 'enough');
  queue.produce(fill(1));
  assert.throws(
    () => queue.produce(fill(2), { timeout: 1 }),
    (error: unknown) => error instanceof TimeoutError,
  );
  const late = reasonOf(queue.produceAsync(fill(3)));
  queue.close();
  assert.instance(await late, ClosedError);
  for (const put of [
    () => queue.produce(fill(4)),
    () => queue.tryProduce(fill(4)),
    () => queue.produceMany(2, fill(4)),
  ]) {
    assert.instance(thrownBy(put), ClosedError);
  }
  assert.is(
    queue.consume(({ x }) => x),
    1,
  );
  for (const take of [
    () => queue.consume(() => {}),
    () => queue.tryConsume(() => {}),
    () => queue.consumeMany(2, () => {}),
  ]) {
    assert.instance(thrownBy(take), ClosedError);
  }
});

test('taskDone, both iterators, pipes and broadcasts know records', async () => {
  const queue = newQueue();
  queue.putMany([1, 2].map((x) => ({ x, y: x })));
  queue.close();
  assert.equal(
    [...queue].map(({ x }) => x),
    [1, 2],
  );
  queue.taskDone(2);
  queue.join();
  const [left, right] = pipe<Point>({ capacity: 2, codec: point });
  left.send({ x: 5, y: 6 });
  assert.equal(right.recv(), { x: 5, y: 6 });
  const news = new Broadcast<Point>({ capacity: 2, codec: point });
  const mine = news.subscribe();
  news.publish({ x: 7, y: 8 });
  assert.equal(mine.get(), { x: 7, y: 8 });
});

test('a queue that redelivers carries structs, one object at a time', () => {
  const queue = newQueue({ redeliver: true });
  queue.put({ x: 1, y: 2 });
  assert.equal(queue.get(), { x: 1, y: 2 });
  assert.throws(() => queue.produce(fill(1)), /^produce needs a queue of a codec\.struct that does not redeliver/);
});

test('threads that die in the middle of it leave a queue that works', async () => {
  const region = new Region({ bytes: 2 ** 20, threads: 8 });
  const queue = new Queue<Order>({ region, capacity: 5, codec: order });
  const used = region.used;
  for (let round = 0; round < 8; round++) {
    const gate = newGate();
    const workers = [0, 1].map((index) => {
      const workerData = { module: recording.href, name: 'rage', index, args: share({ queue, gate }) };
      const worker = new Worker(new URL('./kit/crew-worker.js', import.meta.url), { workerData });
      supervise(worker);
      worker.once('message', () => worker.postMessage('go'));
      return worker;
    });
    await until(() => Atomics.load(gate, ENTERED) === 2);
    await until(() => queue.size > 0);
    for (const worker of workers) {
      worker.terminate();
      await once(worker, 'exit');
    }
    for (let got = queue.tryGet(); got; got = queue.tryGet()) assert.equal(got, orderOf(got.producer, got.n));
    queue.produceMany(5, (view, i) => Object.assign(view, orderOf(9, i)));
    assert.equal(
      queue.getMany(9).map(({ n }) => n),
      [0, 1, 2, 3, 4],
    );
  }
  assert.is(region.used, used);
});

test.run();
