import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CodecError } from '../lib/memory/errors.ts';
import type { Codec } from '../lib/queue/codec.ts';
import { codec } from '../lib/queue/codec.ts';
import { Queue } from '../lib/queue/queue.ts';
import { newRegion } from './kit/regions.ts';

type Number = number | bigint;

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
