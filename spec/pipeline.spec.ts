import { EventEmitter, getEventListeners, once } from 'node:events';
import { PassThrough, Readable, Writable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { StageError, ThreadDiedError, TimeoutError } from '../lib/memory/errors.ts';
import { Region } from '../lib/memory/region.ts';
import type { QueueSnapshot } from '../lib/memory/snapshot.ts';
import type { WorkerModule } from '../lib/pipeline/options.ts';
import { pipeline } from '../lib/pipeline/pipeline.ts';
import { codec } from '../lib/queue/codec.ts';
import { Queue } from '../lib/queue/queue.ts';
import { Latch } from '../lib/sync/latch.ts';
import { leavesNothing } from './kit/leftovers.ts';
import { reasonOf } from './kit/pools.ts';
import { until } from './kit/until.ts';

const work = new URL('./kit/staging.js', import.meta.url) as WorkerModule<typeof import('./kit/staging.ts')>;
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

leavesNothing(test);

test('records go through map, filter, flatMap, tap and batch, in their order', async () => {
  const groups = await pipeline(upTo(10))
    .map(work, 'double')
    .map(work, 'doubleLater')
    .filter(work, 'same')
    .flatMap(work, 'twice')
    .tap(work, 'nothing')
    .batch(4)
    .toArray();
  const all = upTo(10)
    .slice(1)
    .flatMap((n) => [4 * n, 4 * n]);
  assert.equal(groups.flat(), all);
  assert.equal(
    groups.map(({ length }) => length),
    [4, 4, 4, 4, 2],
  );
});

test('several threads keep the order although later records are ready first', async () => {
  for (const name of ['uneven', 'unevenLater'] as const) {
    const records = await pipeline(upTo(300), { capacity: 16 })
      .map(work, name, { threads: 3, capacity: 4 })
      .filter(work, name === 'uneven' ? 'isOdd' : 'isOddLater', { threads: 2 })
      .flatMap(work, 'twice', { threads: 2, capacity: 1 })
      .toArray();
    assert.equal(
      records,
      upTo(300)
        .filter((n) => n % 2 === 1)
        .flatMap((n) => [n, n]),
      name,
    );
  }
});

test('a record that becomes more than a message holds its place', async () => {
  const records = await pipeline([3000, 1, 2000]).flatMap(work, 'upTo', { threads: 2, capacity: 8 }).toArray();
  assert.equal(records, [...upTo(3000), 0, ...upTo(2000)]);
});

test('with ordered: false every record comes once, and more than one thread works', async () => {
  const records = await pipeline(upTo(500)).map(work, 'uneven', { threads: 2, ordered: false }).toArray();
  assert.equal(
    records.sort((a, b) => a - b),
    upTo(500),
  );
  const threads = await pipeline(upTo(500))
    .tap(work, 'uneven')
    .map(work, 'threadOf', { threads: 2, ordered: false })
    .toArray();
  assert.not(threads.includes(0), 'the work is not done in the main thread');
});

test('batches that follow several threads are of consecutive records', async () => {
  const groups = await pipeline(upTo(100)).map(work, 'uneven', { threads: 3 }).batch(7).batch(2).toArray();
  assert.equal(groups.flat(2), upTo(100));
  assert.is(groups.length, 8);
});

test('sources: a sync and an async iterable, streams of Node and of the Web, a queue, a function in a thread', async () => {
  const queue = new Queue<number>({ capacity: 3 });
  const filled = (async () => {
    for (const n of upTo(50)) await queue.putAsync(n);
    queue.close();
  })();
  const sources = [
    new Set(upTo(50)),
    (async function* () {
      yield* upTo(50);
    })(),
    Readable.from(upTo(50)),
    Readable.toWeb(Readable.from(upTo(50))) as ReadableStream<number>,
    queue,
    { module: work, name: 'many', args: [50] },
    { module: work, name: 'upTo', args: [50] },
  ];
  for (const source of sources)
    assert.equal(
      await pipeline<number>(source).map(work, 'double').toArray(),
      upTo(50).map((n) => 2 * n),
    );
  await filled;
  queue.free();
  assert.equal(await pipeline([]).map(work, 'double').toArray(), []);
  assert.equal(await pipeline(upTo(9)).toArray(), upTo(9), 'without a stage');
});

test('a slow async source does not make its first record wait for the second', async () => {
  const events = new EventEmitter();
  async function* slow(): AsyncGenerator<number> {
    yield 1;
    await once(events, 'seen');
    yield 2;
  }
  const seen: number[] = [];
  for await (const n of pipeline(slow()).map(work, 'double')) {
    seen.push(n);
    events.emit('seen');
  }
  assert.equal(seen, [2, 4]);
});

test('sinks: streams of Node and of the Web, a queue, functions here and in a thread', async () => {
  const line = () => pipeline<number>(upTo(100)).map(work, 'double');
  const doubled = upTo(100).map((n) => 2 * n);
  const chunks: number[] = [];
  const write = (chunk: number): void => void chunks.push(chunk);
  await line().to(
    new Writable({
      objectMode: true,
      highWaterMark: 2,
      write: (chunk, _, done) => setImmediate(() => done(write(chunk) as never)),
    }),
  );
  await line().to(new WritableStream<number>({ write }));
  await line().forEach(write);
  assert.equal(chunks, [...doubled, ...doubled, ...doubled]);
  const queue = new Queue<number>({ capacity: 200 });
  await line().to(queue);
  assert.equal([...queue], doubled);
  queue.free();
  assert.is(await line().to({ module: work, name: 'sumOf' }), 9900);
  assert.is(await line().to({ module: work, name: 'sumOfLater' }), 9900);
  assert.is(await line().reduce(work, 'add', 0), 9900);
  assert.is(await line().reduce(async (sum: number, n) => sum + n, 0), 9900);
  await line().forEach(work, 'nothing');
});

test('end: false leaves a queue open, and it can be filled by several', async () => {
  const queue = new Queue<number>({ capacity: 10 });
  for (let round = 0; round < 2; round++) await pipeline([1, 2]).to(queue, { end: false });
  assert.is(queue.closed, false);
  assert.equal([queue.get(), queue.get(), queue.get(), queue.get()], [1, 2, 1, 2]);
  queue.free();
});

test('shared objects in records arrive live, and codecs carry what they say', async () => {
  const [came, go] = [new Queue<number>({ capacity: 1 }), new Queue<number>({ capacity: 1 })];
  const done = pipeline([{ n: 5, came, go }])
    .map(work, 'pass')
    .toArray();
  assert.is(await came.getAsync(), 5);
  go.put(0);
  assert.equal(await done, [5]);
  came.free();
  go.free();
  const texts = await pipeline(['a', 'é', '日本'], { codec: codec.string })
    .map(work, 'same', { codec: codec.string })
    .toArray();
  assert.equal(texts, ['a', 'é', '日本']);
  const reason = await reasonOf(pipeline([1, 2, 2.5], { codec: codec.i32 }).map(work, 'same').toArray());
  assert.match(reason.message, /^stage "source" failed at record 2: CodecError: codec i32 carries whole numbers/);
});

test('the source is read no further than the queues have room, while the sink is slow', async () => {
  let taken = 0;
  function* source(): Generator<number> {
    for (; ; taken++) yield taken;
  }
  const line = pipeline(source(), { capacity: 8 }).map(work, 'double', { capacity: 8 });
  let most = 0;
  let count = 0;
  for await (const n of line) {
    most = Math.max(most, taken - n / 2);
    for (let turns = 0; turns < 5; turns++) await turn();
    if (++count === 100) break;
  }
  // two lines of 8; a message each in the hands of the source, the stage and the loop
  assert.ok(most <= 8 + 8 + 3, `the source was ${most} records ahead`);
  assert.ok(most >= 8, `the source was only ${most} records ahead`);
});

test('while a sink is slow the memory of the region stays what it was, and with large records within capacity × message', async () => {
  const region = new Region({ bytes: 2 ** 26 });
  const empty = region.used;
  /** What is in use when all wait for the sink; a thread that is just claiming memory has more of it for an instant. */
  const atRest = async (): Promise<number> => {
    const waits = ({ waitersTo }: QueueSnapshot) => waitersTo.put.length === 1;
    const lines = () => region.inspect().queues.filter(({ name }) => name.startsWith('behind'));
    await until(() => lines().length === 2 && lines().every(waits), 'both producers to wait for room');
    return region.used;
  };
  const usedBy = async (bytes: number, capacity: number, looks: number[]): Promise<number[]> => {
    const source = { module: work, name: 'lumps', args: [bytes, 2 ** 31] };
    const options = { capacity, codec: codec.bytes };
    const used: number[] = [];
    let came = 0;
    for await (const _ of pipeline(source, { region, ...options }).map(work, 'same', options)) {
      if (looks.includes(came++)) used.push(await atRest());
      if (used.length === looks.length) break;
    }
    assert.is(region.used, empty);
    return used;
  };
  const [reserved = 0, ...small] = await usedBy(16, 8192, [0, 9000, 20_000]);
  assert.equal(small, [reserved, reserved], 'small records need no more than what was there from the start');
  for (const used of await usedBy(40_000, 8, [0, 30, 60])) {
    const message = 40_192; // 40,000 bytes with their heads, in units of the region
    assert.ok(used > reserved && used - reserved <= 2 * 8 * message, `${used - reserved} bytes for two queues of 8`);
  }
});

test('whoever leaves the loop stops everything, and the source is closed', async () => {
  const closed = new Latch({ count: 1 });
  for await (const n of pipeline<number>({ module: work, name: 'endless', args: [closed] }).map(work, 'double')) {
    if (n === 200) break;
  }
  assert.is(closed.count, 0);
  closed.free();
  let ended = 0;
  async function* here(): AsyncGenerator<number> {
    try {
      for (let n = 0; ; n++) yield n;
    } finally {
      ended++;
    }
  }
  for await (const n of pipeline(here()).map(work, 'double', { threads: 2 })) if (n === 200) break;
  assert.is(ended, 1);
  const reader = Readable.from(here());
  for await (const _ of pipeline<number>(reader).map(work, 'double')) break;
  assert.is(reader.destroyed, true);
});

test('an error in the body of the loop comes out of it, and stops everything', async () => {
  const reason = await reasonOf(
    (async () => {
      for await (const _ of pipeline(upTo(1e5)).map(work, 'double', { threads: 2 })) throw new Error('mine');
    })(),
  );
  assert.is(reason.message, 'mine');
});

test('a function that throws, or whose promise rejects, fails the pipeline with the stage, the record and the cause', async () => {
  for (const name of ['refuseThree', 'refuseThreeLater'] as const) {
    const reason = await reasonOf(
      pipeline(upTo(1e4)).map(work, 'same').map(work, name, { threads: 2 }).map(work, 'same').toArray(),
    );
    assert.instance(reason, StageError);
    assert.equal([(reason as StageError).stage, (reason as StageError).record], [name, 3]);
    assert.is(reason.code, 'ERR_STAGE');
    assert.instance(reason.cause, RangeError);
    assert.is(reason.message, `stage "${name}" failed at record 3: RangeError: three`);
  }
  const named = pipeline([5]).map(work, 'refuseEach', { name: 'parse' });
  const reason = await reasonOf(named.toArray());
  assert.match(reason.message, /^stage "parse" failed at record 0/);
  assert.is(reason.cause?.code, 'ENO');
});

test('undefined from map, text from flatMap, a value that cannot be sent: errors that say so', async () => {
  const messageOf = async (name: 'nothing' | 'unsendable', kind: 'map' | 'flatMap') =>
    (await reasonOf(pipeline([1])[kind](work, name).toArray())).message;
  assert.match(
    await messageOf('nothing', 'map'),
    /"nothing" failed at record 0: TypeError: the function of map returned undefined/,
  );
  assert.match(await messageOf('nothing', 'flatMap'), /must return an array or an iterable: got undefined/);
  assert.match(await messageOf('unsendable', 'map'), /"unsendable" failed at record 0: CodecError/);
  assert.match((await reasonOf(pipeline([1]).flatMap(work, 'letters').toArray())).message, /iterable: got "abc"/);
});

test('a source that throws midway: its records come, then its error', async () => {
  const line = pipeline<number>({ module: work, name: 'upToThenFail', args: [5] }).map(work, 'same');
  const reason = await reasonOf(line.toArray());
  assert.is(reason.message, 'stage "source" failed at record 5: Error: the well is dry');
  async function* here(): AsyncGenerator<number> {
    yield* upTo(5);
    throw new Error('no more');
  }
  assert.is(
    (await reasonOf(pipeline(here()).map(work, 'same').toArray())).message,
    'stage "source" failed at record 5: Error: no more',
  );
  const broken = new Readable({ objectMode: true, read: () => broken.destroy(new Error('cut')) });
  assert.match((await reasonOf(pipeline(broken).map(work, 'same').toArray())).message, /record 0: Error: cut$/);
  assert.match(
    (await reasonOf(pipeline({ module: work, name: 'double', args: [1] }).toArray())).message,
    /must return an iterable/,
  );
});

test('a stage that kills its thread fails the pipeline with the record', async () => {
  const reason = await reasonOf(pipeline(upTo(1e4)).map(work, 'leave', { threads: 2 }).map(work, 'same').toArray());
  assert.instance(reason, StageError);
  assert.instance(reason.cause, ThreadDiedError);
  assert.match(reason.message, /^stage "leave" failed at record 3: .*ended before its function did, with code 7/);
});

test('a function that never returns: a timeout names the record, and an abort ends it', async () => {
  const late = await reasonOf(pipeline([1, 2]).map(work, 'forever', { timeout: 50 }).toArray());
  assert.instance(late.cause, TimeoutError);
  assert.match(late.message, /^stage "forever" failed at record 0: TimeoutError: a record timed out after 50 ms$/);
  const controller = new AbortController();
  const line = pipeline([1], { signal: controller.signal, grace: 10 }).map(work, 'forever');
  const done = reasonOf(line.toArray());
  setImmediate(() => controller.abort(new Error('enough')));
  assert.is((await done).message, 'enough');
  assert.equal(getEventListeners(controller.signal, 'abort'), []);
});

test('an abort ends a pipeline whose threads wait for input, for room and for their turn', async () => {
  const controller = new AbortController();
  async function* stuck(): AsyncGenerator<number> {
    yield 1;
    await new Promise(() => {});
  }
  const waiting = reasonOf(
    pipeline(stuck(), { signal: controller.signal }).map(work, 'same', { threads: 3 }).toArray(),
  );
  const full = new Writable({ objectMode: true, highWaterMark: 1, write: () => {} });
  const blocked = reasonOf(
    pipeline(upTo(1e5), { signal: controller.signal }).map(work, 'same', { threads: 3 }).to(full),
  );
  const queue = new Queue<number>({ capacity: 1 });
  const idle = reasonOf(pipeline(queue, { signal: controller.signal }).map(work, 'same').toArray());
  const crowded = reasonOf(pipeline(upTo(1e4), { signal: controller.signal }).to(queue));
  for (let turns = 0; turns < 100; turns++) await turn();
  controller.abort(new Error('over'));
  for (const reason of [waiting, blocked, idle, crowded]) assert.is((await reason).message, 'over');
  assert.is(full.destroyed, true);
  queue.free();
  const aborted = AbortSignal.abort(new Error('early'));
  assert.is((await reasonOf(pipeline([1], { signal: aborted }).toArray())).message, 'early');
});

test('a sink that closes early or fails is an error; a function in a thread may return early', async () => {
  const sink = new PassThrough({ objectMode: true });
  sink.once('data', () => sink.destroy());
  const early = await reasonOf(pipeline(upTo(1e4)).map(work, 'same').to(sink));
  assert.match(early.message, /^stage "to" failed at record \d+: .*(Premature close|aborted)/);
  const failing = new Writable({ objectMode: true, write: (_, __, done) => done(new Error('disk full')) });
  assert.match(
    (await reasonOf(pipeline(upTo(1e4)).to(failing))).message,
    /^stage "to" failed at record \d+: Error: disk full$/,
  );
  assert.equal(await pipeline(upTo(1e4)).map(work, 'same').to({ module: work, name: 'firstThree' }), [0, 1, 2]);
  assert.is(
    (await reasonOf(pipeline(upTo(1e4)).to({ module: work, name: 'failAtThree' }))).message,
    'stage "failAtThree" failed at record 3: Error: enough',
  );
  const reason = await reasonOf(pipeline(upTo(9)).forEach((n) => void assert.is.not(n, 4)));
  assert.match(reason.message, /^stage "forEach" failed at record 4/);
});

test('skip leaves a record out and counts it; collect throws all errors at the end, with the result', async () => {
  const skipping = pipeline(upTo(6)).map(work, 'refuseThree', { errors: 'skip', threads: 2 });
  assert.equal(await skipping.toArray(), [0, 1, 2, 4, 5]);
  assert.is(skipping.stats().stages[1]?.failed, 1);
  const collecting = pipeline(upTo(6), { errors: 'collect' }).map(work, 'refuseThree').map(work, 'same');
  const reason = (await reasonOf(collecting.toArray())) as Error as AggregateError & { result: unknown };
  assert.instance(reason, AggregateError);
  assert.equal(reason.result, [0, 1, 2, 4, 5]);
  assert.equal(
    reason.errors.map((error: StageError) => [error.stage, error.record]),
    [['refuseThree', 3]],
  );
  const all = (await reasonOf(
    pipeline(upTo(1500), { errors: 'collect' }).map(work, 'refuseEach').toArray(),
  )) as Error as AggregateError;
  assert.is(all.message, '1500 records failed in the pipeline, of which the first 1000 are kept');
  assert.is(all.errors.length, 1000);
});

test('a record that fails is tried again as often as was said, and gives nothing twice', async () => {
  assert.equal(await pipeline(upTo(5)).flatMap(work, 'refuseOnce', { retries: 1 }).toArray(), upTo(5));
  assert.equal(await pipeline(upTo(5)).flatMap(work, 'giveAndRefuseOnce', { retries: 1 }).toArray(), upTo(5));
  assert.match((await reasonOf(pipeline([3]).map(work, 'refuseThree', { retries: 5 }).toArray())).message, /three/);
});

test('several failures are thrown together', async () => {
  const source = new Readable({
    objectMode: true,
    read() {
      this.push(3);
    },
  });
  source._destroy = (_, done) => done(new Error('cannot close'));
  const iterable = {
    [Symbol.asyncIterator]: () => ({
      next: async () => ({ done: false as const, value: 3 }),
      return: async () => Promise.reject(new Error('cannot close')),
    }),
  };
  const reason = (await reasonOf(pipeline(iterable).map(work, 'refuseThree').toArray())) as Error as AggregateError;
  assert.instance(reason, AggregateError);
  assert.equal(
    reason.errors.map(({ message }: Error) => message),
    ['stage "refuseThree" failed at record 0: RangeError: three', reason.errors[1].message],
  );
  assert.match(reason.errors[1].message, /^stage "source" failed at record \d+: Error: cannot close$/);
});

test('stats say what came and went, and progress tells them while it runs and at the end', async () => {
  const line = pipeline<number>({ module: work, name: 'many', args: [400] }, { interval: 1 })
    .map(work, 'uneven', { threads: 2 })
    .filter(work, 'isOdd');
  const told: number[] = [];
  line.on('progress', ({ stages }) => told.push(stages.at(-1)?.in ?? 0));
  assert.equal(line.stats(), { seconds: 0, stages: [], ended: false });
  await line.reduce((sum: number, n) => sum + n, 0, { name: 'sum' });
  const { stages, slowest, seconds } = line.stats();
  assert.equal(
    stages.map(({ name, threads, in: came, out }) => [name, threads, came, out]),
    [
      ['source', 1, 400, 400],
      ['uneven', 2, 400, 400],
      ['isOdd', 1, 400, 200],
      ['sum', 1, 200, 200],
    ],
  );
  assert.is(slowest, 'uneven');
  const [, uneven] = stages;
  assert.ok(
    uneven && uneven.p50 > 0.03 && uneven.p99 >= 3 && uneven.busy > 0 && uneven.waiting === 0,
    JSON.stringify(uneven),
  );
  assert.ok(told.length > 2 && told.at(-1) === 200, `${told}`);
  assert.is(line.stats().seconds, seconds, 'they stay as they were at the end');
});

test('a pipeline has one last step, and nothing after it', async () => {
  const line = pipeline([1]).map(work, 'double');
  const done = line.toArray();
  assert.throws(() => line.map(work, 'double'), /runs already/);
  assert.match((await reasonOf(line.toArray())).message, /runs already/);
  assert.equal(await done, [2]);
});

test('what cannot be meant is refused at once, and says what is allowed', () => {
  const wrong = (value: unknown): never => value as never;
  const line = () => pipeline([1]);
  assert.throws(() => pipeline(wrong('abc')), /source must be an iterable, .* got "abc"/);
  assert.throws(() => pipeline(wrong(undefined)), /source must be .* got undefined/);
  assert.throws(() => pipeline([], wrong({ grace: -1 })), /grace must be a number of 0 or more milliseconds: got -1/);
  assert.throws(
    () => pipeline([], wrong({ errors: 'ignore' })),
    /errors must be 'stop', 'skip' or 'collect': got "ignore"/,
  );
  assert.throws(() => pipeline([], wrong({ codec: {} })), /codec must be one of codec\.\*/);
  assert.throws(
    () =>
      line().map(
        wrong((n: number) => n),
        wrong(undefined),
      ),
    /module must be the URL .* cannot leave its thread/,
  );
  assert.throws(() => line().map('nowhere.js', 'x'), /does not exist/);
  assert.throws(() => line().map(work, wrong('')), /name must be a string/);
  assert.throws(() => line().map(work, 'double', { threads: 0 }), /threads must be an integer from 1 to 64: got 0/);
  assert.throws(() => line().map(work, 'double', { retries: 1.5 }), /retries must be an integer/);
  assert.throws(() => line().map(work, 'double', { timeout: -1 }), /timeout must be 0 or more/);
  assert.throws(() => line().map(work, 'double', wrong({ ordered: 1 })), /ordered must be a boolean/);
  assert.throws(() => line().batch(0), /size must be an integer from 1/);
});

test('a function that is not there, and a sink that is none', async () => {
  assert.match(
    (
      await reasonOf(
        pipeline([1])
          .map(work, 'nope' as never)
          .toArray(),
      )
    ).message,
    /has no function "nope": it exports .*double/,
  );
  assert.match(
    (await reasonOf(pipeline([1]).to({} as never))).message,
    /sink must be a writable stream .* got an object/,
  );
});

test.run();
