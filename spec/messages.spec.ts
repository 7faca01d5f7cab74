import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PARKED, REGION_THREADS_AT, THREAD_BYTES, THREAD_PARK } from '../lib/kernel/layout.ts';
import { CodecError, MessageTooLargeError } from '../lib/memory/errors.ts';
import { Region } from '../lib/memory/region.ts';
import { codec } from '../lib/queue/codec.ts';
import { Queue } from '../lib/queue/queue.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { crew } from './kit/crew.ts';
import { reasonOf } from './kit/pools.ts';
import { COUNTS, itemOf, MOST } from './kit/queueing.ts';
import { until } from './kit/until.ts';

const queueing = new URL('./kit/queueing.js', import.meta.url);

function newRegion(): Region {
  return new Region({ bytes: 2 ** 18, threads: 8 });
}

function newQueue<T = Uint8Array>(region: Region, options: object = {}): Queue<T> {
  return new Queue<T>({ capacity: 4, codec: codec.bytes as never, blockBytes: 16, region, ...options });
}

/** Leaves nothing free but holes: `hole` mutexes wide, one mutex between them. */
function perforate(region: Region, hole: number): number {
  const all: Mutex[] = [];
  try {
    for (;;) all.push(new Mutex({ region }));
  } catch {
    const holes = all.filter((_, i) => i % (hole + 1) !== 0);
    for (const mutex of holes) mutex.free();
    return holes.length;
  }
}

/** The longest message that is sent; the queue is empty, so that nothing can be waited for. */
function longest(queue: Queue<Uint8Array>): number {
  let [fits, tooLong] = [0, queue.region.bytes];
  while (tooLong - fits > 1) {
    const length = (fits + tooLong) >> 1;
    try {
      queue.put(new Uint8Array(length).fill(7), { timeout: 0 });
      assert.is(queue.get().length, length);
      fits = length;
    } catch (error) {
      assert.instance(error, MessageTooLargeError, `${length} bytes: ${error}`);
      tooLong = length;
    }
  }
  return fits;
}

test('messages of every length around a block and its pieces arrive as they are', () => {
  const region = newRegion();
  const queue = newQueue(region);
  const used = region.used;
  for (let length = 0; length < 400; length++) {
    const message = Uint8Array.from({ length }, (_, i) => i * 7 + length);
    queue.put(message);
    queue.put(message.subarray(1));
    assert.equal([queue.get(), queue.get()], [message, message.slice(1)], `${length} bytes`);
  }
  assert.is(region.used, used);
});

test('ten thousand messages, short and long, leave the region as it was', () => {
  const region = newRegion();
  const queue = newQueue<unknown>(region, { codec: codec.any });
  const used = region.used;
  for (let i = 0; i < 10_000; i++) {
    const message = { i, text: 'ü'.repeat(i % 300) };
    queue.put(message);
    assert.equal(queue.get(), message);
  }
  assert.is(region.used, used);
});

test('a message may take all that the region has, and the next finds it free again', () => {
  const region = newRegion();
  const queue = newQueue(region);
  const most = longest(queue);
  assert.ok(most > region.bytes * 0.8, `${most} of ${region.bytes}`);
  for (let times = 0; times < 3; times++) {
    queue.put(new Uint8Array(most), { timeout: 0 });
    assert.is(queue.tryPut(new Uint8Array(500)), false);
    assert.is(queue.tryPut(new Uint8Array(8)), true, 'a short one needs no space');
    assert.equal([queue.get().length, queue.get().length], [most, 8]);
  }
});

test('a message goes through holes of the region, as a chain', () => {
  const region = newRegion();
  const queue = newQueue(region);
  const holes = perforate(region, 4);
  const used = region.used;
  const message = Uint8Array.from({ length: holes * 40 }, (_, i) => i * 31);
  for (let times = 0; times < 3; times++) {
    queue.put(message, { timeout: 0 });
    assert.equal(queue.get(), message);
  }
  assert.is(region.used, used);
});

for (const hole of [1, 2, 4, 9]) {
  test(`through holes of ${hole} units a message is sent at once or refused, and never waits for ever`, () => {
    const region = newRegion();
    const queue = newQueue(region);
    perforate(region, hole);
    const used = region.used;
    longest(queue);
    assert.equal([region.used, queue.size], [used, 0]);
  });
}

test('what is too large says so, whether or not others are under way, and nothing was sent', async () => {
  const region = newRegion();
  const queue = newQueue(region);
  queue.put(new Uint8Array(1000));
  const used = region.used;
  for (const bytes of [2 ** 18, 2 ** 19, 2 ** 22]) {
    const large = new Uint8Array(bytes);
    const tooLarge = (error: unknown) =>
      error instanceof MessageTooLargeError && error.code === 'ERR_MESSAGE_TOO_LARGE';
    for (const put of [() => queue.put(large), () => queue.tryPut(large), () => queue.putMany([large])]) {
      assert.throws(put, tooLarge);
    }
    assert.ok(tooLarge(await reasonOf(queue.putAsync(large))));
  }
  assert.equal([queue.size, region.used], [1, used]);
});

test('a full region makes tryPut say no and put wait, until a message is taken', () => {
  const region = newRegion();
  const queue = newQueue(region);
  const half = new Uint8Array(150_000).fill(1);
  queue.put(half);
  const used = region.used;
  assert.is(queue.tryPut(half), false);
  assert.throws(() => queue.put(half, { timeout: 2 }), /timed out after 2 ms$/);
  assert.throws(() => queue.putMany([half], { timeout: 2 }), /timed out after 2 ms$/);
  assert.equal([queue.size, region.used], [1, used]);
  assert.equal(queue.get(), half);
  assert.is(queue.tryPut(half), true);
});

test('a promise that waits for space lets its thread go on', async () => {
  assert.equal(await crew(1, queueing, 'squeeze', newQueue(newRegion())), [[1, 2, 3]]);
});

test('many threads that wait for space all get it, and each message arrives once and whole', async () => {
  for (const [capacity, bytes] of [
    [1, 20_000],
    [3, 50_000],
    [5, 90_000],
    [3, 700],
    [3, 200_000],
  ] as const) {
    const region = newRegion();
    const queue = newQueue(region, { capacity });
    const counts = new Int32Array(new SharedArrayBuffer(COUNTS * 4));
    const used = region.used;
    const traffic = { queues: [queue], counts, producers: 3, items: 60, bytes };
    const got = await crew<number[][]>(5, queueing, 'trade', traffic);
    const sent = [0, 1, 2].flatMap((producer) => Array.from({ length: 60 }, (_, i) => producer * 100_000 + i));
    assert.equal(
      got.flat(2).sort((a, b) => a - b),
      sent,
      `capacity ${capacity}, ${bytes} bytes`,
    );
    assert.ok((counts[MOST] ?? 0) <= capacity);
    assert.is(region.used, used);
  }
});

test('two queues of one region that is full wake each other', async () => {
  const region = newRegion();
  const [one, two] = [newQueue(region), newQueue(region)];
  one.put(itemOf(0, 1, 150_000) as Uint8Array);
  const putting = two.putAsync(itemOf(0, 2, 60_000) as Uint8Array);
  const last = two.putAsync(itemOf(0, 3, 60_000) as Uint8Array);
  assert.is(one.get().length, 150_008);
  await Promise.all([putting, last]);
  assert.is(two.size, 2);
});

test('a queue that is freed gives back the long messages in it, and those of promises that wait', async () => {
  const region = newRegion();
  const before = region.used;
  const queue = newQueue(region, { capacity: 1 });
  queue.put(new Uint8Array(5000));
  const waiting = reasonOf(queue.putAsync(new Uint8Array(5000)));
  queue.free();
  await waiting;
  assert.is(region.used, before);
});

test('an aborted, late or closed put gives back its long message', async () => {
  const region = newRegion();
  const queue = newQueue(region, { capacity: 1 });
  queue.put(new Uint8Array(5000));
  const used = region.used;
  const controller = new AbortController();
  const aborted = reasonOf(queue.putAsync(new Uint8Array(5000), { signal: controller.signal }));
  controller.abort();
  await aborted;
  await reasonOf(queue.putAsync(new Uint8Array(5000), { timeout: 1 }));
  assert.throws(() => queue.put(new Uint8Array(5000), { timeout: 1 }));
  assert.throws(() => queue.putMany([new Uint8Array(5000), new Uint8Array(5000)], { timeout: 1 }));
  const closed = reasonOf(queue.putAsync(new Uint8Array(5000)));
  queue.close();
  await closed;
  assert.throws(() => queue.put(new Uint8Array(5000)));
  assert.is(region.used, used);
});

test('a value that is refused late, in the middle of a long message, costs nothing', () => {
  const region = newRegion();
  const queue = newQueue<unknown>(region, { codec: codec.any });
  const used = region.used;
  for (let times = 0; times < 50; times++) {
    assert.throws(
      () => queue.put(['x'.repeat(1000), new Map([[1, 'y'.repeat(1000)]]), () => {}]),
      (error: unknown) => error instanceof CodecError,
    );
  }
  assert.is(region.used, used);
  queue.put(['x'.repeat(1000)], { timeout: 0 });
});

/** A value whose reading does something. */
function nosy(act: () => void): object {
  return {
    get seen() {
      act();
      return 'outer';
    },
  };
}

test('a getter of a value may put to the very queue that the value is put to', () => {
  const region = newRegion();
  const queue = newQueue<unknown>(region, { codec: codec.any, capacity: 20 });
  queue.put(nosy(() => queue.put('inner')));
  assert.equal(queue.getMany(9), ['inner', { seen: 'outer' }]);
  queue.putMany(['first', nosy(() => queue.putMany(['a', 'b', 'c'])), 'last']);
  assert.equal(queue.getMany(9), ['a', 'b', 'c', 'first', { seen: 'outer' }, 'last']);
});

test('a getter of a value may take from the very queue that the value is put to', () => {
  const region = newRegion();
  const queue = newQueue<unknown>(region, { codec: codec.any, capacity: 20 });
  queue.put('only');
  queue.putMany(['first', nosy(() => assert.is(queue.get(), 'only')), 'last']);
  assert.equal(queue.getMany(9), ['first', { seen: 'outer' }, 'last']);
});

test('a put that fails hands its block on to one who sleeps for want of it', async () => {
  const region = newRegion();
  const queue = newQueue<unknown>(region, { codec: codec.any, capacity: 1 });
  const { kernel, i32 } = region;
  const { offset, serial } = queue;
  const blocks: number[] = [];
  for (let i = kernel.blockClaim(offset, serial, 7, 0); i >= 0; i = kernel.blockClaim(offset, serial, 7, 0))
    blocks.push(i);
  const threads = crew(1, queueing, 'putOne', queue);
  const parkWord = ((i32[REGION_THREADS_AT >> 2] as number) + THREAD_BYTES + THREAD_PARK) >> 2; // of slot 1
  await until(() => Atomics.load(i32, parkWord) === PARKED);
  kernel.blockFree(kernel.blockAt(offset, blocks[0] as number)); // the kernel wakes nobody
  const failing = nosy(() => {
    throw new RangeError('no value');
  });
  assert.throws(() => queue.tryPut(failing), /no value/);
  await threads;
  assert.is(queue.get(), 'put');
});

test.run();
