import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { QUEUE_GETTERS } from '../lib/kernel/layout.ts';
import { ClosedError, InvalidHandleError, TimeoutError } from '../lib/memory/errors.ts';
import { Region } from '../lib/memory/region.ts';
import { codec } from '../lib/queue/codec.ts';
import type { QueueOptions } from '../lib/queue/create.ts';
import { Queue } from '../lib/queue/queue.ts';
import { crew } from './kit/crew.ts';
import { reasonOf } from './kit/pools.ts';
import { refuses, refusesLater } from './kit/refuses.ts';
import { messageOf, numberOf, type Parade } from './kit/showing.ts';

const showing = new URL('./kit/showing.js', import.meta.url);

function newQueue(options: Partial<QueueOptions<Uint8Array>> = {}): Queue<Uint8Array> {
  const region = options.region ?? new Region({ bytes: 2 ** 20, threads: 8 });
  return new Queue<Uint8Array>({ capacity: 8, codec: codec.bytes, blockBytes: 64, region, ...options });
}

const numbered = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => Uint8Array.of(i));

test('a message of any length is shown as it is, in memory of this thread, and its own is free again', async () => {
  const queue = newQueue({ capacity: 1 });
  const { used } = queue.region;
  const shown = (message: Uint8Array) => [message.buffer === queue.region.memory.buffer, message.slice()] as const;
  for (const length of [0, 1, 3, 4, 63, 64, 65, 255, 256, 257, 5000, 200_000]) {
    const message = Uint8Array.from({ length }, (_, i) => i * 7);
    queue.put(message);
    assert.equal(queue.consume(shown), [false, message]);
    queue.put(message);
    assert.equal(await queue.consumeAsync(shown), [false, message]);
    const reservation = queue.reserve(length + 5000); // it lies behind its block, however short it is
    reservation.bytes.set(message);
    queue.commit(reservation, { length });
    assert.equal(queue.consume(shown), [false, message]);
    assert.is(queue.region.used, used);
  }
});

test('messages of one length are shown by one object', () => {
  const queue = newQueue();
  const views = new Set<Uint8Array>();
  for (let round = 0; round < 50; round++) {
    queue.putMany([new Uint8Array(20).fill(round), new Uint8Array(60)]);
    queue.consumeMany(2, (view) => views.add(view));
  }
  assert.equal(
    [...views].map(({ length }) => length),
    [20, 60],
  );
});

test('consumeMany and its promise take what is there, max at the most, and wait for the first', async () => {
  const queue = newQueue();
  const seen: number[] = [];
  const see = ([n = -1]: Uint8Array) => seen.push(n);
  const waiting = queue.consumeManyAsync(2, see);
  queue.putMany(numbered(8));
  assert.is(await waiting, 2);
  assert.is(queue.consumeMany(3, see), 3);
  assert.is(await queue.consumeManyAsync(9, see), 3);
  assert.equal(seen, [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.is(queue.tryConsume(see), false);
  refuses(() => queue.consumeMany(1, see, { timeout: 1 }), TimeoutError, 'timed out');
  await refusesLater(queue.consumeManyAsync(1, see, { timeout: 1 }), TimeoutError, 'timed out');
  const abort = new AbortController();
  const aborted = reasonOf(queue.consumeManyAsync(1, see, { signal: abort.signal }));
  abort.abort('enough');
  assert.is(await aborted, 'enough');
  queue.put(Uint8Array.of(8));
  queue.close();
  assert.is(await queue.consumeManyAsync(9, see), 1);
  for (const take of [() => queue.consume(see), () => queue.tryConsume(see), () => queue.consumeMany(2, see)]) {
    refuses(take, ClosedError, 'closed');
  }
  await refusesLater(queue.consumeManyAsync(2, see), ClosedError, 'closed');
});

test('a promise that came first is served before the rest of a consumeMany', async () => {
  const queue = newQueue();
  queue.putMany(numbered(2));
  let second: Promise<unknown> | undefined;
  const order: number[] = [];
  const both = queue.consumeManyAsync(9, ([n = -1]) => order.push(n));
  assert.is(await both, 2);
  const first = queue.consumeManyAsync(9, ([n = -1]) => {
    order.push(n);
    second ??= queue.getAsync();
  });
  queue.putMany(numbered(1));
  assert.is(await first, 1);
  queue.putMany([Uint8Array.of(7), Uint8Array.of(8)]);
  const third = queue.consumeManyAsync(9, ([n = -1]) => order.push(n));
  assert.equal([await second, await third, order], [Uint8Array.of(7), 1, [0, 1, 0, 8]]);
});

test('a function that throws is handed the others all the same, and its first error comes out', async () => {
  const queue = newQueue();
  const seen: number[] = [];
  const see = ([n = -1]: Uint8Array) => {
    seen.push(n);
    if (n % 2 === 1) throw new Error(`no ${n}`);
  };
  queue.putMany(numbered(4));
  assert.throws(() => queue.consumeMany(9, see), /^no 1$/);
  queue.putMany(numbered(4));
  assert.is(((await reasonOf(queue.consumeManyAsync(9, see))) as Error).message, 'no 1');
  assert.equal([seen, queue.size], [[0, 1, 2, 3, 0, 1, 2, 3], 0]);
  queue.put(Uint8Array.of(1));
  assert.throws(() => queue.consume(see), /^no 1$/);
  assert.is(queue.size, 0, 'it was taken');
});

test('who looks at a message may take and put others, and all of the queue', () => {
  const queue = newQueue({ capacity: 3 });
  queue.putMany(numbered(3));
  const seen: number[] = [];
  queue.consume((outer) => {
    queue.consume((inner) => {
      while (queue.tryPut(inner));
      seen.push(...inner);
    });
    seen.push(...outer);
    assert.is(queue.size, 3);
  });
  assert.equal(
    [seen, queue.getMany(9).flatMap((bytes) => [...bytes])],
    [
      [1, 0],
      [2, 1, 1],
    ],
  );
});

test('a view whose memory somebody transfers elsewhere harms no other message', () => {
  const queue = newQueue();
  queue.putMany(numbered(3));
  queue.consume((view) => structuredClone(view.buffer, { transfer: [view.buffer as ArrayBuffer] }));
  const rest: number[] = [];
  queue.consumeMany(9, (view) => {
    rest.push(...view);
    structuredClone(view, { transfer: [view.buffer as ArrayBuffer] });
  });
  assert.equal(rest, [1, 2]);
});

test('a queue that was freed before a promise went on shows nothing and touches nothing', async () => {
  const queue = newQueue();
  const waiting = queue.consumeManyAsync(9, () => assert.unreachable());
  queue.put(Uint8Array.of(1));
  queue.region.parker.serve(queue.offset + QUEUE_GETTERS);
  queue.free();
  assert.instance(await reasonOf(waiting), InvalidHandleError);
});

test('queues of other codecs, and those that redeliver, refuse to show', async () => {
  const forms = [
    (queue: Queue<never>) => queue.consume(() => {}),
    (queue: Queue<never>) => queue.tryConsume(() => {}),
    (queue: Queue<never>) => queue.consumeMany(1, () => {}),
  ];
  const region = new Region({ bytes: 2 ** 20, threads: 8 });
  for (const queue of [
    newQueue({ redeliver: true }),
    new Queue({ region, capacity: 1, codec: codec.string }),
    new Queue({ region, capacity: 1, codec: codec.i32 }),
  ] as unknown as Queue<never>[]) {
    for (const form of forms)
      refuses(() => form(queue), TypeError, 'needs a queue of a codec.struct, or of codec.bytes');
    await refusesLater(
      queue.consumeAsync(() => {}),
      TypeError,
      'that does not redeliver',
    );
    await refusesLater(
      queue.consumeManyAsync(1, () => {}),
      TypeError,
      'that does not redeliver',
    );
  }
  const queue = newQueue();
  refuses(() => queue.consumeMany(1, 7 as never), TypeError, 'use must be a function: got 7');
  refuses(() => queue.consumeMany(0, () => {}), RangeError, 'max must be');
  await refusesLater(queue.consumeManyAsync(1, undefined as never), TypeError, 'use must be a function: got undefined');
});

test('messages of many threads are shown once, whole, and in the order of each producer', async () => {
  const region = new Region({ bytes: 2 ** 20, threads: 16 });
  for (const capacity of [1, 3, 16]) {
    const queue = newQueue({ capacity, region });
    const through = region.array(Int32Array, 1);
    const { used } = region;
    const order: Parade = { queue, producers: 3, items: 120, through };
    const got = await crew<number[]>(6, showing, 'parade', order);
    const sent = [0, 1, 2].flatMap((one) => Array.from({ length: 120 }, (_, i) => numberOf(messageOf(one, i))));
    assert.equal(
      got.flat().toSorted((a, b) => a - b),
      sent,
    );
    for (const one of got) {
      for (const producer of [0, 1, 2]) {
        const of = one.filter((what) => what >> 8 === producer);
        assert.equal(
          of,
          of.toSorted((a, b) => a - b),
        );
      }
    }
    assert.is(region.used, used);
    queue.free();
  }
});

test.run();
