import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ClosedError, CodecError, TimeoutError } from '../lib/memory/errors.ts';
import type { Codec } from '../lib/queue/codec.ts';
import { codec } from '../lib/queue/codec.ts';
import type { NumberArray } from '../lib/queue/payload.ts';
import { Queue } from '../lib/queue/queue.ts';
import { reasonOf } from './kit/pools.ts';
import { newRegion } from './kit/regions.ts';

type Number = number | bigint;

const arrays = { i32: Int32Array, u32: Uint32Array, f64: Float64Array, i64: BigInt64Array } as const;

/** An array of the codec's own kind with these values in it. */
const arrayOf = ({ inline }: Codec<Number>, values: readonly Number[]): NumberArray<Number> =>
  (arrays[inline as 'i32'] as unknown as { from(values: Iterable<Number>): NumberArray<Number> }).from(values);

const edges: readonly [Codec<Number>, readonly Number[]][] = [
  [codec.i32 as Codec<Number>, [0, 1, -1, 2 ** 31 - 1, -(2 ** 31)]],
  [codec.u32 as Codec<Number>, [0, 1, 2 ** 31, 2 ** 32 - 1]],
  [codec.f64 as Codec<Number>, [0, -0, 0.1, Number.NaN, -Infinity, Number.MAX_VALUE, Number.MIN_VALUE, 2 ** 53]],
  [codec.i64 as Codec<Number>, [0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n)]],
];

for (const [through, values] of edges) {
  test(`${through.name}: each number comes out as it went in, one at a time and in batches`, () => {
    const queue = new Queue<Number>({ region: newRegion(), capacity: 3, codec: through });
    for (const value of values) {
      queue.put(value);
      assert.ok(Object.is(queue.get(), value), `${value}`);
      queue.putMany([value, value]);
      const [first, second, ...more] = queue.getMany(9);
      assert.ok(Object.is(first, value) && Object.is(second, value) && more.length === 0, `${value}, many`);
    }
  });

  test(`${through.name}: a batch stops before the first that cannot be carried, and says how far it came`, () => {
    const queue = new Queue<Number>({ region: newRegion(), capacity: 9, codec: through });
    const wrong = 'seven' as unknown as Number;
    assert.throws(
      () => queue.putMany([values[0] as Number, wrong, values[1] as Number]),
      (error: CodecError & { done: number }) => error instanceof CodecError && error.done === 1,
    );
    assert.equal([queue.size, queue.tryGet(), queue.size], [1, values[0], 0]);
  });
}

for (const [through, values] of edges) {
  for (const redeliver of [false, true]) {
    const way = `${through.name}${redeliver ? ', redelivered' : ''}`;
    test(`${way}: an array of one's own gets what is there, from its start on, and the rest of it stays`, () => {
      const queue = new Queue<Number>({ region: newRegion(), capacity: 9, codec: through, redeliver });
      const zero = through.inline === 'i64' ? 0n : 0;
      const whole = arrayOf(through, Array(20).fill(zero));
      queue.putMany(values);
      assert.is(queue.getManyInto(whole.subarray(1, 3) as NumberArray<Number>), 2);
      assert.is(queue.getManyInto(whole.subarray(3) as NumberArray<Number>), values.length - 2);
      assert.is(queue.size, 0);
      const expected = [zero, ...values, ...Array(19 - values.length).fill(zero)];
      assert.ok(
        whole.every((value: Number, i: number) => Object.is(value, expected[i])),
        `${whole}`,
      );
    });
  }

  test(`${through.name}: an array of one's own is filled from several batches, of arrays and of lists, in order`, async () => {
    const queue = new Queue<Number>({ region: newRegion(), capacity: 1000, codec: through });
    const numbers = Array.from({ length: 700 }, (_, i) => (through.inline === 'i64' ? BigInt(i) : i));
    queue.putMany(arrayOf(through, numbers));
    queue.putMany(arrayOf(through, [...numbers, ...numbers.slice(0, 9)]).subarray(700));
    queue.put(numbers[9] as Number);
    queue.putMany(numbers.slice(10, 20));
    const target = arrayOf(through, Array(701).fill(numbers[0]));
    assert.is(queue.getManyInto(target), 701);
    assert.equal([...target], [...numbers, numbers[0]]);
    assert.is(await queue.getManyIntoAsync(target), 19);
    assert.equal([...target.subarray(0, 20)], [...numbers.slice(1, 20), numbers[19]]);
  });
}

test('getManyInto waits for an item, ends by its timeout and by a close, and then has written nothing', async () => {
  const queue = new Queue<number>({ region: newRegion(), capacity: 9, codec: codec.i32 });
  const target = new Int32Array(3).fill(-1);
  assert.throws(
    () => queue.getManyInto(target, { timeout: 0 }),
    (error: unknown) => error instanceof TimeoutError,
  );
  const stopped = queue.getManyIntoAsync(target, { signal: AbortSignal.abort('stopped') });
  assert.is(await stopped.catch((reason) => reason), 'stopped');
  const waiting = queue.getManyIntoAsync(target);
  queue.putMany([1, 2]);
  assert.equal([await waiting, ...target], [2, 1, 2, -1]);
  queue.put(3);
  queue.close();
  assert.equal([queue.getManyInto(target), ...target], [1, 3, 2, -1]);
  assert.throws(
    () => queue.getManyInto(target),
    (error: unknown) => error instanceof ClosedError,
  );
  assert.instance(await reasonOf(queue.getManyIntoAsync(target)), ClosedError);
  assert.equal([...target], [3, 2, -1]);
});

test('a promise that waits to put a number of 64 bits puts that one, whatever is put meanwhile', async () => {
  const queue = new Queue<number>({ region: newRegion(), capacity: 1, codec: codec.f64 });
  queue.put(0.5);
  const waiting = [1.5, 2.5, 3.5].map((value) => queue.putAsync(value));
  const got: number[] = [];
  for (let n = 0; n < 4; n++) got.push(await queue.getAsync());
  await Promise.all(waiting);
  assert.equal(got, [0.5, 1.5, 2.5, 3.5]);
});

test.run();
