import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { NotOwnerError, StageError } from '../lib/memory/errors.ts';
import type { WorkerModule } from '../lib/pipeline/options.ts';
import { type Pipeline, pipeline } from '../lib/pipeline/pipeline.ts';
import { codec } from '../lib/queue/codec.ts';
import { Queue } from '../lib/queue/queue.ts';
import { leavesNothing } from './kit/leftovers.ts';
import { reasonOf } from './kit/pools.ts';
import { Point, pointOf, points, type Trade, total, trade, tradeOf } from './kit/staging.ts';

const work = new URL('./kit/staging.js', import.meta.url) as WorkerModule<typeof import('./kit/staging.ts')>;
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const trades = (n: number): Trade[] => upTo(n).map(tradeOf);

leavesNothing(test);

test('records of a struct go from stage to stage as they are, also by several threads in order', async () => {
  const given = await pipeline(trades(3000), { codec: trade })
    .map(work, 'dearer', { codec: trade, threads: 2 })
    .filter(work, 'isEven', { codec: trade })
    .flatMap(work, 'cheapAndDear', { codec: trade })
    .toArray();
  const expected = trades(3000)
    .filter(({ id }) => id % 2 === 0)
    .flatMap(({ id }) => [tradeOf(id), tradeOf(id + 100)]);
  assert.equal(given, expected);
  assert.is(Object.getPrototypeOf(given[0]), Object.prototype, 'they are plain objects');
});

test('numbers, bigints and bytes go by their own codecs, exactly', async () => {
  const numbers = [0, -0, 0.1, Number.NaN, -Infinity, 2 ** 53];
  const same = await pipeline(numbers, { codec: codec.f64 }).map(work, 'same', { codec: codec.f64 }).toArray();
  assert.is(same.length, numbers.length);
  for (const [at, n] of numbers.entries()) assert.ok(Object.is(same[at], n), `${n}`);
  const each = async (values: unknown[], by: unknown): Promise<unknown> =>
    pipeline(values, { codec: by as never })
      .map(work, 'same', { codec: by as never, threads: 2 })
      .toArray();
  for (const [by, values] of [
    [codec.i32, [-(2 ** 31), 2 ** 31 - 1, ...upTo(3000)]],
    [codec.i64, [-(2n ** 63n), 2n ** 63n - 1n]],
    [codec.bytes, [new Uint8Array(0), new Uint8Array([1, 2]), new Uint8Array(40_000).fill(7)]],
  ] as const)
    assert.equal(await each([...values], by), values, by.name);
});

test('a codec of the program is known to every thread, also to those that run no function', async () => {
  const given = await pipeline(upTo(40))
    .map(work, 'pointOf', { codec: points, threads: 2 })
    .batch(7)
    .flatMap(work, 'same', { codec: points })
    .map(work, 'mirrored', { codec: points })
    .filter(work, 'isPoint', { codec: points })
    .toArray();
  assert.equal(
    given,
    upTo(40).map((n) => new Point(-n, n)),
  );
  const queue = new Queue<Point>({ capacity: 3, codec: points });
  const filled = (async () => {
    for (const n of upTo(9)) await queue.putAsync(pointOf(n));
    queue.close();
  })();
  const sink = new Queue<Point>({ capacity: 20, codec: points });
  await pipeline(queue, { codec: points }).map(work, 'mirrored', { codec: points }).to(sink);
  assert.equal(
    [...sink],
    upTo(9).map((n) => new Point(-n, n)),
  );
  await filled;
  queue.free();
  sink.free();
});

test('batches are arrays of what the codec carries, and batches of batches', async () => {
  const line = pipeline(trades(50), { codec: trade }).batch(4).batch(3).batch(2);
  assert.equal((await line.toArray()).flat(3), trades(50));
  const numbers = await pipeline(upTo(5000), { codec: codec.i32 }).batch(4000).toArray();
  assert.equal(numbers, [upTo(4000), upTo(5000).slice(4000)]);
  const views = await pipeline(trades(9), { codec: trade })
    .filter(work, 'isEven', { codec: trade, views: true })
    .batch(2)
    .toArray();
  assert.equal(
    views.map((group) => group.map(({ id }) => id)),
    [[0, 2], [4, 6], [8]],
  );
});

test('with views a function sees each record and writes the next one without an object', async () => {
  const given = await pipeline(trades(300), { codec: trade })
    .tap(work, 'isEven', { codec: trade, views: true, threads: 2 })
    .map(work, 'totalInto', { codec: total, views: true, retries: 1 })
    .toArray();
  assert.equal(
    given,
    trades(300).map(({ id, price }) => ({ id, cents: BigInt(price * 100) })),
  );
  const source = { module: work, name: 'manyTrades', args: [1500] };
  const of = (): Pipeline<Trade> => pipeline(source, { codec: trade });
  const prices = trades(1500).reduce((sum, { price }) => sum + price, 0);
  assert.equal(await of().to({ module: work, name: 'pricesOfViews' }, { views: true }), [0, prices]);
  assert.equal(await of().to({ module: work, name: 'pricesOfViews' }), [1500, prices]);
  assert.is(await of().reduce(work, 'sumOfPrices', 0, { views: true }), prices);
  let most = 0;
  await of().forEach(
    ({ price }) => {
      most = Math.max(most, price);
    },
    { views: true },
  );
  assert.is(most, 1499 / 4);
});

test('a view that goes on where the codec is another one arrives whole', async () => {
  const line = () => pipeline(trades(9), { codec: trade }).filter(work, 'isEven', { views: true });
  const even = trades(9).filter(({ id }) => id % 2 === 0);
  assert.equal(await line().toArray(), even);
  const mapped = await pipeline(trades(3), { codec: trade }).map(work, 'same', { views: true }).toArray();
  assert.equal(mapped, trades(3));
  const plain = await pipeline(trades(3)).map(work, 'dearer', { views: true }).toArray();
  assert.equal(
    plain,
    trades(3).map(({ id, price, symbol }) => ({ id, price: price + 1, symbol })),
    'without a struct there are no views',
  );
});

test('a view that a function keeps is over when it asks for the next record', async () => {
  const line = pipeline(trades(3), { codec: trade });
  const reason = await reasonOf(line.to({ module: work, name: 'lastKept' }, { views: true }));
  assert.instance(reason.cause, NotOwnerError);
});

test('a field out of range, of the wrong type or too long: the error names stage, record and field', async () => {
  for (const [name, field, what] of [
    ['unfitRange', 'id', /from 0 to 65535 .+ in field id, not 70000$/],
    ['unfitType', 'price', /numbers in field price, not "9.5"$/],
    ['unfitLength', 'symbol', /at most 4 bytes in UTF-8 in field symbol, not "TEAPOT" of 6$/],
  ] as const) {
    const line = pipeline(upTo(2000)).map(work, name as 'tradeOf', { codec: trade, threads: 2 });
    const reason = (await reasonOf(line.map(work, 'same').toArray())) as unknown as StageError;
    assert.instance(reason, StageError);
    assert.equal([reason.stage, reason.record, reason.field], [name, 5, field]);
    assert.match(reason.message, what);
    const collecting = pipeline(upTo(9)).map(work, name as 'tradeOf', { codec: trade, errors: 'collect' });
    const { errors } = (await reasonOf(collecting.toArray())) as unknown as AggregateError;
    assert.equal(
      errors.map((error: StageError) => [error.record, error.field]),
      [[5, field]],
    );
  }
});

test('a field that does not fit is named in a source, in a thread and here, too', async () => {
  const source = { module: work, name: 'manyUnfit', args: [9] };
  for (const from of [source, upTo(9).map((id) => (id === 5 ? { ...tradeOf(id), symbol: 'TEAPOT' } : tradeOf(id)))]) {
    const line = pipeline(from as Iterable<Trade>, { codec: trade }).map(work, 'dearer');
    const reason = (await reasonOf(line.toArray())) as unknown as StageError;
    assert.equal([reason.stage, reason.record, reason.field], ['source', 5, 'symbol']);
  }
  const reason = (await reasonOf(pipeline([{ n: 1 }], { codec: trade as never }).toArray())) as unknown as StageError;
  assert.equal([reason.stage, reason.record, reason.field], ['source', 0, 'n'], 'a field that is none is one, too');
});

test('the type of the records follows from the codec where nothing else says it', async () => {
  const untyped = new URL('./kit/staging.js', import.meta.url);
  const line: Pipeline<Trade> = pipeline({ module: untyped, name: 'manyTrades', args: [2] }, { codec: trade });
  const mapped = line.map(untyped, 'dearer', { codec: trade });
  assert.equal(
    (await mapped.toArray()).map(({ price }) => price),
    [1, 1.25],
  );
  const numbers: Pipeline<number> = pipeline([1, 2], { codec: codec.any });
  assert.equal(await numbers.toArray(), [1, 2]);
  const never = (): unknown[] => [
    // @ts-expect-error the function gives trades
    pipeline([1]).map(work, 'tradeOf', { codec: codec.f64 }),
    // @ts-expect-error the source has numbers
    pipeline([1], { codec: codec.string }),
    // @ts-expect-error the records are numbers
    pipeline([1]).filter(work, 'isOdd', { codec: trade }),
  ];
  assert.type(never, 'function');
  assert.equal(pointOf(1), new Point(1, -1));
});

test.run();
