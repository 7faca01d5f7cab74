import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { NAME_BYTES, THREAD_BYTES, UNIT } from '../lib/kernel/layout.ts';
import { InvalidHandleError, RegionFullError, TooManyThreadsError } from '../lib/memory/errors.ts';
import { Region, type TypedArrayConstructor } from '../lib/memory/region.ts';
import { codec } from '../lib/queue/codec.ts';
import { Queue } from '../lib/queue/queue.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { crew } from './kit/crew.ts';
import { refuses } from './kit/refuses.ts';
import { freeUnits, newRegion, pieces } from './kit/regions.ts';

const tasks = new URL('./kit/memory-tasks.js', import.meta.url);
const PAGE = 65536;

test('a region has 64 MiB and 64 threads unless told otherwise, and whole pages', () => {
  assert.is(new Region().bytes, 64 * 2 ** 20);
  assert.is(new Region({ bytes: 3 * PAGE + 1, threads: 1 }).bytes, 4 * PAGE);
  assert.is(new Region({ bytes: 4 * PAGE, threads: 1 }).bytes, 4 * PAGE);
});

test('a size or a number of threads that cannot be is refused with its name, value and range', () => {
  for (const bytes of [0, -1, 1.5, 2 ** 31, 2 ** 40, Number.NaN]) {
    refuses(() => new Region({ bytes }), RangeError, new RegExp(`^bytes must be.*got ${escaped(bytes)}$`));
  }
  for (const threads of [0, -1, 1.5, 513, 2 ** 40]) {
    refuses(() => new Region({ threads }), RangeError, new RegExp(`^threads must be.*got ${escaped(threads)}$`));
  }
  refuses(() => new Region({ bytes: '1024' as never }), TypeError, 'bytes must be a number: got "1024"');
  refuses(() => new Region({ threads: null as never }), TypeError, 'threads must be a number: got null');
});

function escaped(value: number): string {
  return `${value}`.replace('.', '\\.');
}

test('the smallest region that is allowed works, and the largest costs no memory', () => {
  for (const threads of [1, 64, 65, 512]) {
    const { message } = refuses(() => new Region({ bytes: 1, threads }), RangeError);
    const least = Number(/from (\d+)/.exec(message)?.[1]);
    const region = new Region({ bytes: least, threads });
    assert.equal(new Queue<number>({ region, capacity: 1, codec: codec.i32 }).capacity, 1);
    pieces(region);
  }
  const before = process.memoryUsage.rss();
  const region = new Region({ bytes: 2 ** 31 - PAGE });
  const array = region.array(Float64Array, 1000);
  array[999] = 1;
  assert.is(region.bytes, 2 ** 31 - PAGE);
  assert.ok(process.memoryUsage.rss() - before < 32 * 2 ** 20, 'pages are committed as they are touched');
});

test('one that fills the largest region to its end finds every byte of it', () => {
  const region = new Region({ bytes: 2 ** 31 - PAGE });
  const length = freeUnits(region) * UNIT - 64;
  const array = region.array(Uint8Array, length);
  array[length - 1] = 7;
  assert.is(array.at(-1), 7);
  refuses(() => region.array(Uint8Array, 1), RegionFullError);
});

test('the current region is made once', () => {
  assert.is(Region.current, Region.current);
  assert.is(new Mutex().region, Region.current);
});

const types: TypedArrayConstructor[] = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
] as never;

test('an array of any type is zeroed and aligned to 64 bytes, and lies in the region', () => {
  const region = newRegion();
  for (const type of types) {
    for (const length of [0, 1, 3, 17]) {
      const array = region.array(type as TypedArrayConstructor<Uint8Array>, length);
      assert.is(array.constructor, type);
      assert.is(array.length, length);
      assert.is(array.byteOffset % 64, 0);
      assert.is(array.buffer as unknown, region.memory.buffer);
      assert.ok([...array].every((element) => Number(element) === 0));
    }
  }
});

test('arrays do not overlap', () => {
  const region = newRegion();
  const arrays = Array.from({ length: 20 }, (_, i) => region.array(Uint8Array, 1 + i * 37));
  for (const [i, array] of arrays.entries()) array.fill(i + 1);
  for (const [i, array] of arrays.entries()) assert.ok(array.every((byte) => byte === i + 1));
});

test('an array is zeroed where a queue full of items was before', () => {
  const region = newRegion();
  const before = region.used;
  const queue = new Queue<string>({ region, capacity: 8, codec: codec.string });
  for (let i = 0; i < 8; i++) queue.put('x'.repeat(200));
  const size = region.used - before;
  queue.free();
  const array = region.array(Uint8Array, size - 64);
  assert.is(array.byteOffset - 64, queue.offset, 'it is the same place');
  assert.ok(array.every((byte) => byte === 0));
});

test('an array of a type or a length that cannot be is refused, and takes no memory', () => {
  const region = newRegion();
  const used = region.used;
  assert.throws(
    () => region.array('Int32Array' as never, 1),
    /type must be a typed array constructor: got "Int32Array"/,
  );
  assert.throws(
    () => region.array(Array as never, 1),
    /type must be a typed array constructor: got a function \(Array\)/,
  );
  refuses(() => region.array(undefined as never, 1), TypeError);
  refuses(() => region.array(Int32Array, '3' as never), TypeError, /length must be a number: got "3"/);
  for (const length of [-1, 0.5, 2 ** 40, Number.NaN]) {
    refuses(() => region.array(Int32Array, length), RangeError, new RegExp(`^length must be.*got ${escaped(length)}$`));
  }
  assert.is(region.used, used);
});

test('a full region says what was asked, what is left, and what of it lies in one piece', () => {
  const region = newRegion();
  const arrays = [64, 64, 64].map((bytes) => region.array(Uint8Array, bytes + UNIT));
  assert.is(arrays.length, 3);
  const rest = freeUnits(region) * UNIT;
  region.array(Uint8Array, rest - 3 * UNIT - 64);
  region.free(placeOf(region, arrays[1] as Uint8Array));
  const error = refuses(() => region.array(Float64Array, 1000), RegionFullError);
  assert.is(error.code, 'ERR_REGION_FULL');
  assert.match(error.message, `${8000 + 64} bytes were asked for`);
  assert.match(error.message, `${5 * UNIT} are left`);
  assert.match(error.message, new RegExp(`largest.* ${3 * UNIT}$`));
});

test('an array longer than any region is refused as too much, not as something else', () => {
  const region = newRegion();
  for (const length of [2 ** 28, 2 ** 29, 2 ** 30, 2 ** 31 - PAGE]) {
    for (const type of [Float64Array, Uint8Array] as TypedArrayConstructor[]) {
      refuses(() => region.array(type, length), RegionFullError);
    }
  }
});

test('used grows by what is made, and returns to where it was', () => {
  const region = newRegion();
  assert.is(region.used, 0);
  const mutex = new Mutex({ region });
  assert.is(region.used, UNIT);
  const queue = new Queue({ region, capacity: 3 });
  assert.ok(region.used > UNIT);
  queue.put('x'.repeat(5000));
  const full = region.used;
  queue.get();
  assert.ok(region.used < full, 'the rest of a long message is free again');
  queue.free();
  assert.is(region.used, UNIT);
  mutex.free();
  assert.is(region.used, 0);
});

test('a queue that is freed gives back the long messages that are still in it', () => {
  const region = newRegion();
  const queue = new Queue<string>({ region, capacity: 3 });
  queue.put('x'.repeat(5000));
  queue.put('short');
  queue.put('y'.repeat(9000));
  queue.free();
  assert.is(region.used, 0);
});

test('a freed object is refused, and cannot be freed again, also when another lives in its place', () => {
  const region = newRegion();
  const mutex = new Mutex({ region });
  mutex.free();
  refuses(() => mutex.lock(), InvalidHandleError);
  refuses(() => mutex.free(), InvalidHandleError);
  const next = new Mutex({ region });
  assert.is(next.offset, mutex.offset);
  refuses(() => mutex.tryLock(), InvalidHandleError);
  refuses(() => mutex.free(), InvalidHandleError);
  assert.ok(next.tryLock());
});

test('a name is kept as far as it fits, in whole characters', () => {
  const region = newRegion();
  for (const name of ['', 'a', 'ä', '价格', 'x'.repeat(NAME_BYTES), 'x'.repeat(NAME_BYTES + 1), `${'x'.repeat(46)}ä`]) {
    const kept = new Mutex({ region, name }).name;
    assert.ok(name.startsWith(kept), `${name} became ${kept}`);
    assert.ok(Buffer.byteLength(kept) >= Math.min(Buffer.byteLength(name), NAME_BYTES - 3));
  }
});

test('threads that claim and free at once get pieces of their own, and leave nothing behind', async () => {
  const region = newRegion({ bytes: 128 * 1024, threads: 8 });
  const results = await crew<[number, number]>(4, tasks, 'churn', { region, rounds: 20_000 });
  for (const [claimed, full] of results) assert.is(claimed + full, 20_000);
  assert.is(region.used, 0);
  assert.is(
    freeUnits(region),
    pieces(region).reduce((sum, { units }) => sum + units, 0),
  );
  assert.is(region.kernel.pieceClaim(freeUnits(region), region.slot, 0), 0, 'and all of it can be had in one piece');
});

test('threads that crowd a region of a few pieces find it full, not broken', async () => {
  const region = newRegion({ bytes: 2 * PAGE, threads: 8 });
  const rest = region.array(Uint8Array, (freeUnits(region) - 40) * UNIT);
  assert.ok(rest);
  const used = region.used;
  const results = await crew<[number, number]>(4, tasks, 'churn', { region, rounds: 10_000 });
  assert.ok(
    results.some(([, full]) => full > 0),
    'it was full at times',
  );
  assert.is(region.used, used);
  pieces(region);
});

test('memory that other threads left full of ones is zero for whoever asks', async () => {
  const region = newRegion();
  assert.equal(await crew(3, tasks, 'zeroed', { region, rounds: 10_000 }), [10_000, 10_000, 10_000]);
  assert.is(region.used, 0);
});

test('objects that threads make at once have serials of their own', async () => {
  const region = newRegion();
  const serials = (await crew<number[]>(3, tasks, 'manyLocks', { region, rounds: 5000 })).flat();
  assert.is(new Set(serials).size, 15_000);
  assert.is(region.used, 0);
});

test('an array is the same memory in every thread', async () => {
  const region = newRegion();
  const arrays = [region.array(Int32Array, 3), region.array(Int32Array, 3)];
  (arrays[1] as Int32Array)[2] = 9;
  const found = await crew<number[]>(3, tasks, 'visit', { arrays });
  assert.equal(found, [
    [0, 0],
    [0, 0],
    [0, 9],
  ]);
  assert.equal(
    arrays.map((array) => [...array]),
    [
      [100, 101, 102],
      [100, 101, 102],
    ],
  );
});

test('the first region that a thread attaches is its current one', async () => {
  const [first, second] = [newRegion(), newRegion()];
  assert.equal(await crew(1, tasks, 'currentRegion', { first, second }), [[true, false, true, true]]);
});

test('threads at one time have slots of their own, and give them back when they end', async () => {
  const region = newRegion({ threads: 4 });
  for (let round = 0; round < 4; round++) {
    const slots = await crew<number>(3, tasks, 'slotOf', { region });
    assert.equal(new Set([region.slot, ...slots]), new Set([0, 1, 2, 3]));
    assert.equal(claims(region), [region.slot]);
  }
  assert.is(region.threads.generation(1), 4, 'each time under a new generation');
});

test('a thread gives its slot back also when it exits early or fails', async () => {
  const region = newRegion({ threads: 2 });
  for (const name of ['exitEarly', 'throwEarly', 'exitEarly', 'throwEarly']) {
    await crew(1, tasks, name, { region }).then(
      () => assert.unreachable(),
      (error) => assert.match(error.message, /no result|from slot 1/),
    );
    assert.equal(claims(region), [region.slot]);
  }
});

test('a thread too many is refused, and the others go on', async () => {
  const region = newRegion({ threads: 2 });
  assert.is(region.kernel.threadJoin(region.record + THREAD_BYTES, 999) !== 0, true);
  await crew(1, tasks, 'slotOf', { region }).then(
    () => assert.unreachable(),
    (error) => {
      assert.is(error.code, 'ERR_TOO_MANY_THREADS');
      assert.is(error.message, new TooManyThreadsError(2).message);
    },
  );
  region.threadExited(998);
  assert.equal(await crew(1, tasks, 'slotOf', { region }), [1]);
});

test('threads behind slot 64 lock, sleep and wake as all others', async () => {
  for (const from of [62, 126, 509]) {
    const region = newRegion({ threads: 512, bytes: 4 * 2 ** 20 });
    for (let slot = 1; slot < from; slot++) region.kernel.threadJoin(region.record + slot * THREAD_BYTES, 1000 + slot);
    const given = { mutex: new Mutex({ region }), cell: region.array(Int32Array, 1), rounds: 20_000 };
    const slots = await crew<number>(3, tasks, 'count', given);
    assert.equal(
      slots.sort((a, b) => a - b),
      [from, from + 1, from + 2],
    );
    assert.is(given.cell[0], 60_000);
    assert.is(given.mutex.locked, false);
  }
});

function claims(region: Region): number[] {
  return [0, 1, 2, 3].slice(0, region.i32[3]).filter((slot) => {
    return region.kernel.threadClaim(region.record + (slot - region.slot) * THREAD_BYTES) !== 0;
  });
}

function placeOf(region: Region, array: Uint8Array): { region: Region; offset: number; serial: number } {
  const offset = array.byteOffset - 64;
  return { region, offset, serial: region.i32[(offset >> 2) + 1] ?? 0 };
}

test.run();
