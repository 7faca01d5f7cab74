import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ClosedError, InvalidHandleError, TimeoutError } from '../lib/memory/errors.ts';
import { Region } from '../lib/memory/region.ts';
import { Broadcast } from '../lib/queue/broadcast.ts';
import { codec } from '../lib/queue/codec.ts';
import { pipe } from '../lib/queue/pipe.ts';
import { Queue } from '../lib/queue/queue.ts';
import { type Selected, type Source, select, selectAsync } from '../lib/queue/select.ts';
import { Event } from '../lib/sync/event.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { child } from './kit/child.ts';
import { crew } from './kit/crew.ts';
import { refuses, refusesLater } from './kit/refuses.ts';
import { newRegion } from './kit/regions.ts';
import type { Choice } from './kit/selecting.ts';
import { newGate } from './kit/tasks.ts';
import { until } from './kit/until.ts';

const selecting = new URL('./kit/selecting.js', import.meta.url);
const library = new URL('../lib/index.js', import.meta.url).href;
const region = new Region({ bytes: 2 ** 22, threads: 10 });
const begun = new Int32Array(new SharedArrayBuffer(4));

function newQueue<T = unknown>(capacity = 4): Queue<T> {
  return new Queue<T>({ region, capacity, name: 'orders' });
}

function newQueues<T = unknown>(count: number, capacity = 4): Queue<T>[] {
  return Array.from({ length: count }, () => newQueue<T>(capacity));
}

/** Whether anybody is registered with one of the sources. */
function awaited(sources: readonly Source[]): boolean {
  return sources.some((source) => region.kernel.waiting(source.selectable().set) !== 0);
}

/** Another thread that waits; resolves once it is registered with the first of its sources. */
async function other(order: Choice): Promise<{ ended: Promise<unknown> }> {
  const ended = begin(order);
  await until(() => awaited(order.sources.slice(0, 1)), 'a thread that waits');
  return { ended };
}

/** What another thread selects. */
async function begin(order: Choice): Promise<unknown> {
  const [result] = await crew<unknown>(1, selecting, 'choose', order);
  return result;
}

/** Blocks in `select`, once the workers that were started have begun: they need this thread's event loop for that. */
async function selectLater<S extends Source>(sources: readonly S[]): Promise<Selected<S>> {
  await until(() => Atomics.load(begun, 0) > 0, 'the feeder');
  Atomics.store(begun, 0, 0);
  return select(sources, { timeout: 10_000 });
}

test('the source that is ready is taken from, and nothing from the others', async () => {
  const queues = newQueues(3);
  queues[1]?.put('tea');
  assert.equal(select(queues), { index: 1, source: queues[1], value: 'tea' });
  queues[2]?.put('milk');
  queues[2]?.put('rum');
  assert.equal(await selectAsync(queues), { index: 2, source: queues[2], value: 'milk' });
  assert.equal(
    queues.map(({ size }) => size),
    [0, 0, 1],
  );
});

test('null and undefined are values like others', async () => {
  const queues = newQueues(2);
  queues[0]?.put(undefined);
  queues[1]?.put(null);
  const both = [select(queues), await selectAsync(queues)].sort((a, b) => a.index - b.index);
  assert.equal(
    both.map(({ index, value, closed }) => [index, value, closed]),
    [
      [0, undefined, undefined],
      [1, null, undefined],
    ],
  );
});

test('of several that are ready each gets its turn', async () => {
  const queues = newQueues<number>(3, 40);
  for (const queue of queues) queue.putMany(Array.from({ length: 40 }, (_, i) => i));
  const turns = [0, 0, 0];
  for (let i = 0; i < 30; i++) turns[select(queues).index]!++;
  assert.equal(turns, [10, 10, 10]);
  for (let i = 0; i < 30; i++) turns[(await selectAsync(queues)).index]!++;
  assert.equal(turns, [20, 20, 20]);
});

test('a source that is closed and drained is ready, and says so', async () => {
  const queues = newQueues(2);
  queues[0]?.put('last');
  queues[0]?.close();
  assert.is(select(queues).value, 'last');
  assert.equal(select(queues), { index: 0, source: queues[0], closed: true });
  assert.equal(await selectAsync(queues), { index: 0, source: queues[0], closed: true });
  const open = newQueues(2);
  const waiting = selectAsync(open);
  open[1]?.close();
  assert.equal(await waiting, { index: 1, source: open[1], closed: true });
});

test('a timeout ends it, and leaves no trace at any source', async () => {
  const queues = newQueues(3);
  const late = /^select of 3 sources timed out after [02] ms$/;
  for (const timeout of [0, 2]) {
    assert.is(refuses(() => select(queues, { timeout }), TimeoutError, late).code, 'ERR_TIMEOUT');
    assert.is(awaited(queues), false);
    await refusesLater(selectAsync(queues, { timeout }), TimeoutError, late);
  }
  assert.is(awaited(queues), false);
  queues[2]?.put('still here');
  assert.is(select(queues, { timeout: 0 }).value, 'still here');
});

test('an abort ends it with its reason, and the next in line is served at every source', async () => {
  const [one, two] = newQueues<number>(2) as [Queue<number>, Queue<number>];
  const stop = new AbortController();
  const pending = selectAsync([one, two], { signal: stop.signal });
  const behind = [one.getAsync(), two.getAsync()];
  one.put(1);
  two.put(2);
  stop.abort(new RangeError('stop'));
  await refusesLater(pending, RangeError, 'stop');
  assert.equal(await Promise.all(behind), [1, 2]);
  assert.is(awaited([one, two]), false);
  await refusesLater(selectAsync([one], { signal: AbortSignal.abort(new RangeError('before')) }), RangeError, 'before');
});

test('promises of one thread are served in the order of their calls at each source', async () => {
  const [one, two] = newQueues<number>(2) as [Queue<number>, Queue<number>];
  const first = one.getAsync();
  const either = selectAsync([one, two]);
  const last = one.getAsync();
  one.put(1);
  assert.is(await first, 1);
  one.put(2);
  assert.equal(await either, { index: 0, source: one, value: 2 });
  assert.is(awaited([two]), false, 'it has left the source that it did not take from');
  one.put(3);
  assert.is(await last, 3);
  assert.is(awaited([one, two]), false);
});

test('one promise that is served leaves the others of the same sources in line', async () => {
  const queues = newQueues<number>(3);
  const pending = Array.from({ length: 6 }, () => selectAsync(queues));
  for (const [i, at] of [2, 0, 1, 1, 0, 2].entries()) {
    queues[at]?.put(i);
    assert.equal((await pending[i])?.value, i);
  }
  assert.is(awaited(queues), false);
});

test('the same source may be named twice', async () => {
  const queue = newQueue();
  const waiting = selectAsync([queue, queue]);
  queue.put('one');
  assert.is((await waiting).value, 'one');
  refuses(() => select([queue, queue], { timeout: 1 }), TimeoutError);
  assert.is(awaited([queue]), false);
});

test('a thread that blocks in select is woken by any of its sources', async () => {
  for (const verb of ['select', 'selectAsync'] as const) {
    const [mine, yours] = pipe<string>({ region });
    const broadcast = new Broadcast<string>({ region, capacity: 2 });
    const queue = newQueue<string>();
    const feeds = [() => queue.put('a'), () => mine.send('b'), () => broadcast.publish('c'), () => queue.close()];
    for (const [i, feed] of feeds.entries()) {
      const subscription = broadcast.subscribe();
      const sources = i === 1 ? [queue, yours, subscription] : [queue, newQueue(), subscription];
      const thread = await other({ sources, verb });
      feed();
      assert.equal(await thread.ended, [i % 3, ['a', 'b', 'c', 'closed'][i]]);
    }
  }
});

test('connections and subscriptions are sources, and their ends are ready', async () => {
  const [mine, yours] = pipe<number>({ region });
  const broadcast = new Broadcast<string>({ region, capacity: 2 });
  const subscription = broadcast.subscribe();
  const sources = [yours, subscription] as const;
  mine.send(1);
  assert.equal(select(sources), { index: 0, source: yours, value: 1 });
  broadcast.publish('b');
  assert.equal(select(sources), { index: 1, source: subscription, value: 'b' });
  const waiting = selectAsync(sources);
  mine.close();
  assert.equal(await waiting, { index: 0, source: yours, closed: true });
  broadcast.close();
  assert.equal(select([subscription]), { index: 0, source: subscription, closed: true });
  yours.close();
  assert.equal(select([yours]), { index: 0, source: yours, closed: true });
});

test('an end of a pipe that another thread uses is refused', async () => {
  const [, yours] = pipe<number>({ region });
  yours.poll();
  const queue = newQueue();
  assert.is(await begin({ sources: [queue, yours], verb: 'select' }), 'ERR_NOT_OWNER');
  queue.put(1);
  assert.is(select([yours, queue]).index, 1);
});

test('a wake for what was not taken is passed on', async () => {
  for (let round = 0; round < 8; round++) {
    const [one, two] = newQueues<number>(2) as [Queue<number>, Queue<number>];
    const thread = await other({ sources: [two], verb: 'get' });
    const mine = selectAsync([one, two]);
    one.put(1);
    two.put(2);
    const { value } = await mine;
    if (value === 2) two.put(2);
    assert.equal(await thread.ended, [-1, 2]);
    assert.is(one.size, value === 2 ? 1 : 0);
  }
});

test('a thread that blocks passes on the wake for what it did not take', async () => {
  for (let round = 0; round < 4; round++) {
    const [one, two] = newQueues<number>(2) as [Queue<number>, Queue<number>];
    const thread = await other({ sources: [two], verb: 'get' });
    const feeder = crew(1, selecting, 'feed', { one, two, begun, slot: region.slot });
    const { value } = await selectLater([one, two]);
    await feeder;
    assert.is(awaited([one]), false);
    if (value === 2) two.put(2);
    assert.equal(await thread.ended, [-1, 2]);
    assert.is(one.size, value === 2 ? 1 : 0);
  }
});

test('threads that select on the same queues, in every way, get each item once', async () => {
  for (const capacity of [1, 8]) {
    const queues = Array.from({ length: 3 }, () => new Queue<number>({ region, capacity, codec: codec.i32 }));
    const [producers, items] = [3, 800];
    const taken = await crew<number[]>(7, selecting, 'market', { queues, producers, items, gate: newGate() });
    const all = taken.flat().sort((a, b) => a - b);
    assert.equal(
      all,
      Array.from({ length: producers * items }, (_, n) => n),
    );
    assert.is(awaited(queues), false);
  }
});

test('threads that block while their own selections wait do not lock each other up', async () => {
  const queues = newQueues<number>(2, 2) as [Queue<number>, Queue<number>];
  const [threads, rounds] = [3, 200];
  const taking = crew<number[]>(threads, selecting, 'promiseAndBlock', { queues, rounds });
  const total = threads * rounds * 2;
  let put = 0;
  // each thread blocks for one of the two while its promise may have the other's item, so both are kept filled
  const feed = async (queue: Queue<number>) => {
    for (;;) {
      await queue.putAsync(put++);
    }
  };
  const feeding = queues.map((queue) => feed(queue).catch((error) => assert.instance(error, ClosedError)));
  const taken = (await taking).flat();
  for (const queue of queues) queue.close();
  await Promise.all(feeding);
  assert.is(taken.length, total);
  assert.is(new Set(taken).size, total);
});

test('freeing one source ends the wait, and the other sources are left', async () => {
  const [one, two] = newQueues(2) as [Queue, Queue];
  const thread = await other({ sources: [one, two], verb: 'select' });
  const pending = refusesLater(selectAsync([one, two]), InvalidHandleError, /was freed$/);
  two.free();
  await pending;
  const found = await thread.ended;
  if (found !== 'ERR_INVALID_HANDLE') assert.equal(found, [1, 'closed'], 'it is closed before it is freed');
  assert.is(awaited([one]), false);
  one.put(1);
  assert.is(await one.getAsync(), 1);
  refuses(() => select([one, two]), InvalidHandleError);
});

test('what is no list of sources of one region is refused, and nothing is taken', async () => {
  const queue = newQueue();
  queue.put(1);
  const wrong = (value: unknown) => value as never;
  refuses(() => select([]), TypeError, /^sources must be a list of at least one: got an object \(Array\)$/);
  refuses(() => select(wrong(queue)), TypeError, /^sources must be a list of at least one: got an object \(Queue\)$/);
  const kinds = /^sources\[1\] must be a Queue, a Connection, a Subscription or an Event: got /;
  refuses(() => select([queue, wrong(5)]), TypeError, kinds);
  refuses(() => select([queue, wrong(undefined)]), TypeError, kinds);
  refuses(() => select([queue, wrong(new Mutex({ region }))]), TypeError, kinds);
  const elsewhere = new Queue({ region: new Region({ bytes: 2 ** 20 }), capacity: 1 });
  refuses(() => select([queue, elsewhere]), TypeError, /^sources\[1\] must live in the region of sources\[0\]$/);
  refuses(() => select([queue], { timeout: Number.NaN }), RangeError, /^timeout must be/);
  await refusesLater(selectAsync([]), TypeError);
  await refusesLater(selectAsync([queue], { timeout: -1 }), RangeError);
  await refusesLater(selectAsync([queue], { signal: wrong(5) }), TypeError, /^signal must be/);
  assert.is(queue.size, 1);
});

test('the process stays while a selection waits, and ends as soon as the last one is over', async () => {
  const ended = await child(`
    import { Queue, selectAsync } from ${JSON.stringify(library)};
    const queues = [new Queue({ capacity: 1 }), new Queue({ capacity: 1 })];
    const stop = new AbortController();
    selectAsync(queues).then(({ value }) => console.log(value));
    selectAsync(queues, { signal: stop.signal }).catch(console.log);
    setTimeout(() => queues[1].put('served'), 20).unref();
    setTimeout(() => stop.abort('aborted'), 40).unref();
    process.on('exit', () => console.log('end'));
  `);
  assert.equal(ended, { code: 0, stdout: 'served\naborted\nend\n', stderr: '' });
});

test('an event is ready when it is set, and also when it was cleared at once', async () => {
  const region = newRegion();
  const queue = new Queue<number>({ region, capacity: 1, codec: codec.i32 });
  const event = new Event({ region });
  event.set();
  const first = select([queue, event]);
  assert.equal([first.index, first.source === event, first.value, first.closed], [1, true, undefined, undefined]);
  assert.is(event.isSet, true, 'it is looked at, not taken');
  event.clear();
  const waiting = selectAsync([event, queue]);
  event.set();
  event.clear();
  assert.is((await waiting).index, 0);
  const again = selectAsync([event, queue]);
  queue.put(7);
  assert.is((await again).value, 7);
});

test.run();
