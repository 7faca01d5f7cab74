import { channel } from 'node:diagnostics_channel';
import { getEventListeners } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ClosedError, ThreadDiedError } from '../lib/memory/errors.ts';
import type { TaskEnd } from '../lib/pool/timing.ts';
import { closePools, newPool, reasonOf } from './kit/pools.ts';
import { ENTERED, newGate, OPEN } from './kit/tasks.ts';
import { until } from './kit/until.ts';

test.after.each(closePools);

/** Counts what is taken from it, and whether it was closed. */
class Source<T> {
  taken = 0;
  closed = 0;
  readonly #item: (n: number) => T;

  constructor(item: (n: number) => T) {
    this.#item = item;
  }

  *sync(count: number = Infinity): Generator<T> {
    try {
      for (let n = 0; n < count; n++) yield this.#next();
    } finally {
      this.closed++;
    }
  }

  async *async(count: number = Infinity): AsyncGenerator<T> {
    try {
      for (let n = 0; n < count; n++) yield this.#next();
    } finally {
      this.closed++;
    }
  }

  #next(): T {
    return this.#item(this.taken++);
  }
}

async function toArray<T>(iterable: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of iterable) items.push(item);
  return items;
}

test('map gives a result for each item, from a sync or an async source', async () => {
  const pool = newPool({ threads: 2 });
  const squares = Array.from({ length: 100 }, (_, n) => n * n);
  const source = new Source((n) => n);
  assert.equal(await toArray(pool.map(source.sync(100), { name: 'square' })), squares);
  assert.equal(await toArray(pool.map(new Source((n) => n).async(100), { name: 'squareLater' })), squares);
  assert.equal(await toArray(pool.map([], { name: 'square' })), []);
  assert.equal(await toArray(pool.map([{ a: 1 }, null])), [{ a: 1 }, null]);
  assert.is(source.closed, 1);
});

test('results keep the order of the source although later items finish first', async () => {
  const pool = newPool({ threads: 3 });
  const gate = newGate();
  const items = [3, 2, 1].map((at) => ({ gate, at }));
  const all = toArray(pool.map(items, { name: 'leaveInTurn', inFlight: 3 }));
  await until(() => Atomics.load(gate, ENTERED) === 3);
  for (const at of [1, 2, 3]) Atomics.store(gate, OPEN, at);
  assert.equal(await all, [3, 2, 1]);
});

test('with ordered: false results come as they finish', async () => {
  const pool = newPool({ threads: 3 });
  const gate = newGate();
  const items = [3, 2, 1].map((at) => ({ gate, at }));
  const results = pool.map(items, { name: 'leaveInTurn', inFlight: 3, ordered: false });
  for (const at of [1, 2, 3]) {
    Atomics.store(gate, OPEN, at);
    assert.is((await results.next()).value, at);
  }
  assert.ok((await results.next()).done);
});

test('no more than inFlight items are taken before their results are consumed', async () => {
  const pool = newPool({ threads: 2 });
  for (const kind of ['sync', 'async'] as const) {
    const source = new Source((n) => n);
    const results = pool.map(source[kind](), { name: 'square', inFlight: 3 });
    await turn();
    assert.is(source.taken, 0, 'nothing before the first step');
    await results.next();
    await until(() => pool.stats().pending === 0 && source.taken === 4);
    for (let i = 0; i < 20; i++) await turn();
    assert.is(source.taken, 4, 'the one that was consumed and three more');
    await results.next();
    await until(() => source.taken === 5);
    await results.return();
    assert.is(source.taken, 5);
    assert.is(source.closed, 1);
  }
});

test('leaving the loop early closes the source and awaits what runs', async () => {
  const pool = newPool({ threads: 2 });
  for (const kind of ['sync', 'async'] as const) {
    const source = new Source((n) => n);
    for await (const square of pool.map(source[kind](), { name: 'square' })) if (square === 25) break;
    assert.is(source.closed, 1);
    assert.is(pool.stats().pending, 0);
    const { taken } = source;
    for (let i = 0; i < 20; i++) await turn();
    assert.is(source.taken, taken);
  }
});

test('leaving the loop early does not wait for a source that is stuck', async () => {
  const pool = newPool();
  const stuck = (async function* () {
    yield 2;
    await new Promise(() => {});
  })();
  for await (const square of pool.map(stuck, { name: 'square' })) {
    assert.is(square, 4);
    break;
  }
});

test('the error of a task ends the iteration at its place and closes the source', async () => {
  const pool = newPool({ threads: 2 });
  const source = new Source((n) => ({ at: 5, n }));
  const seen: number[] = [];
  const error = await reasonOf(
    (async () => {
      for await (const n of pool.map(source.sync(), { name: 'failAt', inFlight: 4 })) seen.push(n);
    })(),
  );
  assert.is(`${error}`, 'RangeError: no item 5');
  assert.equal(seen, [0, 1, 2, 3, 4]);
  assert.is(source.closed, 1);
  assert.is(pool.stats().pending, 0);
});

test('after an error nothing more is taken, though the results before it are not there yet', async () => {
  const pool = newPool({ threads: 2 });
  const gate = newGate();
  const source = new Source((n) => ({ gate, bad: n === 1 }));
  const slow = (async function* () {
    for await (const item of source.async()) {
      if (source.taken > 2) await until(() => pool.stats().failed === 1);
      yield item;
    }
  })();
  const all = reasonOf(toArray(pool.map(slow, { name: 'holdOrFail', inFlight: 100 })));
  await until(() => pool.stats().failed === 1);
  for (let i = 0; i < 20; i++) await turn();
  assert.is(source.taken, 3, 'the one that was being taken');
  Atomics.store(gate, OPEN, 1);
  assert.is((await all).message, 'bad');
  assert.is(pool.stats().completed, 1);
});

test('an item that arrives after the loop was left is not run', async () => {
  const pool = newPool();
  const gate = newGate();
  const late = (async function* () {
    yield 2;
    await until(() => Atomics.load(gate, OPEN) === 1);
    yield 3;
  })();
  for await (const _ of pool.map(late, { name: 'square' })) break;
  Atomics.store(gate, OPEN, 1);
  for (let i = 0; i < 20; i++) await turn();
  assert.equal([pool.stats().completed, pool.stats().pending], [1, 0]);
});

test('a source that ended or threw is not closed again', async () => {
  const pool = newPool();
  let closed = 0;
  const iterator = (next: () => IteratorResult<number>): AsyncIterable<number> => ({
    [Symbol.asyncIterator]: () => ({
      next: async () => next(),
      return: async () => ({ done: true, value: closed++ }),
    }),
  });
  await toArray(
    pool.map(
      iterator(() => ({ done: true, value: 0 })),
      { name: 'square' },
    ),
  );
  const broken = iterator(() => {
    throw new RangeError('source');
  });
  await reasonOf(toArray(pool.map(broken, { name: 'square' })));
  assert.is(closed, 0);
  for await (const _ of pool.map(
    iterator(() => ({ done: false, value: 1 })),
    { name: 'square' },
  ))
    break;
  assert.is(closed, 1);
});

test('the error of a task is told although the source is stuck', async () => {
  const stuck = (async function* () {
    yield 'string';
    await new Promise(() => {});
  })();
  assert.is(await reasonOf(toArray(newPool().map(stuck, { name: 'fail' }))), 'just words');
});

test('the error of the source ends the iteration after the results before it', async () => {
  const pool = newPool();
  for (const ordered of [true, false]) {
    const broken = function* (): Generator<number> {
      yield 1;
      yield 2;
      throw new RangeError('source');
    };
    const seen: number[] = [];
    const error = await reasonOf(
      (async () => {
        for await (const n of pool.map(broken(), { name: 'square', inFlight: 8, ordered })) seen.push(n);
      })(),
    );
    assert.is(error.message, 'source');
    if (ordered) assert.equal(seen, [1, 4]);
    assert.is(pool.stats().pending, 0);
  }
});

test('an error in closing the source counts after a break, and not after another error', async () => {
  const pool = newPool();
  const stubborn = function* (): Generator<string> {
    try {
      for (;;) yield 'string';
    } finally {
      // biome-ignore lint/correctness/noUnsafeFinally: this is what the test is about
      throw new RangeError('cannot close');
    }
  };
  const leave = async (): Promise<void> => {
    for await (const _ of pool.map(stubborn(), { inFlight: 1 })) break;
  };
  assert.is((await reasonOf(leave())).message, 'cannot close');
  assert.is(await reasonOf(toArray(pool.map(stubborn(), { name: 'fail' }))), 'just words');
});

test('promises in a sync source are awaited, as by for await', async () => {
  const squares = newPool().map([Promise.resolve(2), 3] as number[], { name: 'square' });
  assert.equal(await toArray(squares), [4, 9]);
});

test('an abort ends the iteration at once with its reason, though tasks run and the source is stuck', async () => {
  const pool = newPool();
  const gate = newGate();
  const aborter = new AbortController();
  const running = toArray(pool.map([gate, gate], { name: 'spin', signal: aborter.signal, terminate: true }));
  await until(() => Atomics.load(gate, ENTERED) === 1);
  aborter.abort(new Error('enough'));
  assert.is((await reasonOf(running)).message, 'enough');
  assert.is((await reasonOf(toArray(pool.map([gate], { name: 'spin', signal: aborter.signal })))).message, 'enough');
  const later = new AbortController();
  const never = (async function* (): AsyncGenerator<number> {
    await new Promise(() => {});
    yield 1;
  })();
  const waiting = reasonOf(toArray(pool.map(never, { name: 'square', signal: later.signal })));
  await turn();
  later.abort('over');
  assert.is(await waiting, 'over');
  const quiet = new AbortController();
  await toArray(pool.map([1, 2, 3], { name: 'square', signal: quiet.signal }));
  assert.is(getEventListeners(quiet.signal, 'abort').length, 0);
});

test('a thread that dies ends the iteration, and close ends it with ClosedError', async () => {
  const pool = newPool();
  assert.instance(await reasonOf(toArray(pool.map(['exit' as const], { name: 'die' }))), ThreadDiedError);
  const results = pool.map(new Source((n) => n).sync(), { name: 'square', inFlight: 1 });
  assert.is((await results.next()).value, 0);
  await pool.close();
  assert.instance(await reasonOf(toArray(results)), ClosedError);
});

test("with errors: 'skip' items that fail have no result, and the others keep their order", async () => {
  const pool = newPool({ threads: 2 });
  for (const ordered of [true, false]) {
    const items = Array.from({ length: 500 }, (_, n) => n);
    const kept = await toArray(pool.map(items, { name: 'failOnThird', errors: 'skip', ordered }));
    const expected = items.filter((n) => n % 3 !== 2);
    assert.equal(ordered ? kept : kept.sort((a, b) => a - b), expected);
  }
  assert.equal([pool.stats().completed, pool.stats().failed, pool.stats().pending], [668, 332, 0]);
});

test("with errors: 'collect' all results come, and then one error with all errors in the order of their items", async () => {
  const pool = newPool({ threads: 2 });
  const kept: number[] = [];
  const error = await reasonOf(
    (async () => {
      const items = new Source((n) => n).sync(100);
      for await (const n of pool.map(items, { name: 'failOnThird', errors: 'collect' })) kept.push(n);
    })(),
  );
  assert.instance(error, AggregateError);
  assert.is(error.message, '33 of 100 items failed');
  assert.is(kept.length, 67);
  assert.equal(
    (error as unknown as AggregateError).errors.map((one: Error) => one.message),
    Array.from({ length: 33 }, (_, n) => `third: ${3 * n + 2}`),
  );
});

for (const errors of ['skip', 'collect'] as const) {
  test(`with errors: '${errors}' the error of the source and close end it all the same`, async () => {
    const pool = newPool();
    const broken = function* (): Generator<number> {
      yield 1;
      throw new RangeError('source');
    };
    assert.is((await reasonOf(toArray(pool.map(broken(), { name: 'square', errors })))).message, 'source');
    const results = pool.map(new Source((n) => n).sync(), { name: 'square', inFlight: 1, errors });
    assert.is((await results.next()).value, 0);
    await pool.close();
    assert.instance(await reasonOf(toArray(results)), ClosedError);
  });
}

/** Many small items, with room for batches of many. */
async function batched<T>(
  pool: ReturnType<typeof newPool>,
  item: (n: number) => T,
  name: 'each' | 'eachLater',
): Promise<unknown[]> {
  const items = Array.from({ length: 400 }, (_, n) => item(n));
  return toArray(pool.map(items as unknown[], { name, inFlight: 400, errors: 'skip' }));
}

for (const name of ['each', 'eachLater'] as const) {
  test(`${name}: small items go together while threads are busy, each with its own result`, async () => {
    const sizes: number[] = [];
    const hear = (message: unknown): unknown => sizes.push((message as TaskEnd).items);
    channel('ringfence:task').subscribe(hear);
    const pool = newPool({ threads: 2 });
    await batched(pool, (n) => n, name);
    const results = await batched(pool, (n) => n, name);
    channel('ringfence:task').unsubscribe(hear);
    assert.equal(
      results,
      Array.from({ length: 400 }, (_, n) => ({ item: n })),
    );
    assert.ok(Math.max(...sizes) > 1, `sizes: ${sizes}`);
    assert.is(
      sizes.reduce((sum, size) => sum + size),
      800,
    );
    assert.is(pool.stats().completed, 800);
  });

  test(`${name}: an item that cannot be carried, in or out, fails by itself, and large or shared ones go by themselves`, async () => {
    const pool = newPool({ threads: 2 });
    const shared = new Int32Array(new SharedArrayBuffer(4));
    const odd = (n: number): unknown =>
      [() => n, 'x'.repeat(100_000), shared, { unclonable: true }, { moves: new Uint8Array(9) }][(n / 7) % 5];
    const item = (n: number): unknown => (n % 7 === 0 ? odd(n) : n);
    for (let round = 0; round < 2; round++) {
      const results = (await batched(pool, item, name)) as { item: unknown }[];
      const kept = Array.from({ length: 400 }, (_, n) => n).filter((n) => n % 35 !== 0 && n % 35 !== 21);
      assert.is(results.length, kept.length);
      kept.forEach((n, at) => {
        if (n % 7 !== 0) assert.is(results[at]?.item, n);
      });
    }
  });
}

test('a thread that dies in a batch fails what it had begun, and the rest runs elsewhere', async () => {
  const pool = newPool({ threads: 2 });
  const items = Array.from({ length: 3000 }, (_, n) => n);
  for (let round = 0; round < 3; round++) {
    const results = await toArray(pool.map(items, { name: 'dieAt1000', inFlight: 400, errors: 'skip' }));
    assert.ok(results.length < 3000 && results.length > 3000 - 130, `${results.length}`);
    assert.is(new Set(results).size, results.length);
  }
});

const bad: [string, unknown, object, RegExp][] = [
  ['a source that is no iterable', 5, {}, /^TypeError: source must be an iterable or an async iterable: got 5$/],
  ['null', null, {}, /^TypeError: source must be .*: got null$/],
  ['inFlight 0', [], { inFlight: 0 }, /^RangeError: inFlight must be an integer from 1 to 9007199254740991: got 0$/],
  ['inFlight 1.5', [], { inFlight: 1.5 }, /^RangeError: inFlight .*: got 1.5$/],
  ["errors 'ignore'", [], { errors: 'ignore' }, /^TypeError: errors must be one of stop, skip, collect: got "ignore"$/],
  ["ordered 'yes'", [], { ordered: 'yes' }, /^TypeError: ordered must be a boolean: got "yes"$/],
  ['name 1', [], { name: 1 }, /^TypeError: name must be a string of at least one character: got 1$/],
  ['signal 1', [], { signal: 1 }, /^TypeError: signal must be an AbortSignal: got 1$/],
];

for (const [what, source, options, message] of bad) {
  test(`map refuses ${what} at the call`, () => {
    const pool = newPool();
    assert.throws(
      () => pool.map(source as unknown[], options),
      (error: Error) => message.test(String(error)),
    );
  });
}

test.run();
