import { getEventListeners } from 'node:events';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MUTEX_WAITERS, QUEUE_GETTERS, QUEUE_PUTTERS } from '../lib/kernel/layout.ts';
import { InvalidHandleError, TimeoutError } from '../lib/memory/errors.ts';
import type { Region } from '../lib/memory/region.ts';
import { AGAIN, type Operation } from '../lib/memory/wait.ts';
import { codec } from '../lib/queue/codec.ts';
import { Queue } from '../lib/queue/queue.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { child } from './kit/child.ts';
import { crew } from './kit/crew.ts';
import { refuses, refusesLater } from './kit/refuses.ts';
import { newRegion } from './kit/regions.ts';
import { until } from './kit/until.ts';

const tasks = new URL('./kit/wait-tasks.js', import.meta.url);
const index = new URL('../lib/index.js', import.meta.url).href;

function newQueue(region: Region, capacity = 1): Queue<number> {
  return new Queue<number>({ region, capacity, codec: codec.i32 });
}

/** Whether any thread is registered in the sets of a queue or a mutex. */
function awaited({ region, offset }: Mutex | Queue<number>, set: number): boolean {
  return region.kernel.waiting(offset + set) !== 0;
}

test('a blocking wait that times out names what and how long, and leaves no trace', () => {
  const queue = newQueue(newRegion());
  for (const timeout of [0, 0.5, 20]) {
    const error = refuses(() => queue.get({ timeout }), TimeoutError, `timed out after ${timeout} ms`);
    assert.is(error.code, 'ERR_TIMEOUT');
    assert.match(error.message, /^get from queue at \d+ /);
  }
  assert.not.ok(awaited(queue, QUEUE_GETTERS));
  queue.put(1);
  assert.is(queue.get({ timeout: 0 }), 1, 'what is there is taken without any time');
});

test('an async wait that times out names what and how long, and leaves no trace', async () => {
  const mutex = new Mutex({ region: newRegion(), name: 'm' }).lock();
  for (const timeout of [0, 0.5, 20]) {
    const error = await refusesLater(mutex.lockAsync({ timeout }), TimeoutError, `timed out after ${timeout} ms`);
    assert.match(error.message, /^lock of mutex "m" /);
  }
  assert.not.ok(awaited(mutex, MUTEX_WAITERS));
  mutex.unlock();
  assert.is(await mutex.lockAsync({ timeout: 0 }), mutex);
});

test('a timeout that cannot be meant is refused before anything is tried', async () => {
  const queue = newQueue(newRegion());
  queue.put(1);
  const full = () => queue.put(2, { timeout: Number.NaN });
  refuses(full, RangeError, 'timeout must be 0 or more milliseconds, or Infinity: got NaN');
  await refusesLater(queue.putAsync(2, { timeout: -1 }), RangeError, 'got -1');
  await refusesLater(queue.putAsync(2, { timeout: '5' as never }), TypeError, 'got "5"');
  queue.get();
  await refusesLater(queue.getAsync({ timeout: Number.NaN }), RangeError, 'got NaN');
  await refusesLater(queue.putAsync(3, { timeout: Number.NaN }), RangeError, 'got NaN');
  assert.is(queue.size, 0);
});

test('a timeout of months does not expire at once', async () => {
  const mutex = new Mutex({ region: newRegion() }).lock();
  const warnings: string[] = [];
  const onWarning = ({ name }: Error) => warnings.push(name);
  process.on('warning', onWarning);
  const [forMonths, short] = [mutex.lockAsync({ timeout: 2 ** 40 }), mutex.lockAsync({ timeout: 20 })];
  forMonths.catch(() => {}); // the assertion below tells
  await refusesLater(short, TimeoutError);
  mutex.unlock();
  assert.is(await forMonths, mutex);
  process.off('warning', onWarning);
  assert.equal(warnings, []);
});

test('a signal that is aborted already rejects with its reason, and nothing is taken', async () => {
  const queue = newQueue(newRegion());
  queue.put(1);
  const reason = new RangeError('not wanted');
  const wanted = queue.getAsync({ signal: AbortSignal.abort(reason) });
  assert.is(await wanted.catch((error) => error), reason);
  assert.is(queue.size, 1);
  assert.is((await queue.getAsync({ signal: new AbortController().signal })) as number, 1);
});

test('an aborted waiter rejects with the reason and leaves no trace', async () => {
  const queue = newQueue(newRegion());
  const stop = new AbortController();
  const item = queue.getAsync({ signal: stop.signal, timeout: 60_000 });
  assert.ok(awaited(queue, QUEUE_GETTERS));
  assert.is(getEventListeners(stop.signal, 'abort').length, 1);
  stop.abort('enough');
  assert.is(await item.catch((reason) => reason), 'enough');
  assert.not.ok(awaited(queue, QUEUE_GETTERS));
  assert.is(getEventListeners(stop.signal, 'abort').length, 0);
  queue.put(1);
  assert.is(queue.get(), 1, 'it took nothing');
});

test('a waiter that got what it wanted does not listen to its signal any more', async () => {
  const queue = newQueue(newRegion());
  const stop = new AbortController();
  const item = queue.getAsync({ signal: stop.signal });
  queue.put(1);
  assert.is(await item, 1);
  assert.is(getEventListeners(stop.signal, 'abort').length, 0);
  stop.abort();
});

test('an operation that is given up before it began is abandoned as well', async () => {
  const region = newRegion();
  const given: string[] = [];
  const operation = neverReady(newQueue(region), () => given.push('abandoned'));
  await refusesLater(region.parker.wait(operation, { signal: AbortSignal.abort(new RangeError('early')) }), RangeError);
  await refusesLater(region.parker.wait(operation, { timeout: Number.NaN }), RangeError);
  assert.is(given.length, 2);
  await refusesLater(region.parker.wait(operation, { timeout: 0 }), TimeoutError);
  refuses(() => region.parker.block(operation, 0), TimeoutError);
  assert.is(given.length, 4);
});

function neverReady(object: Queue<number>, abandon: () => void): Operation<void> {
  return {
    what: 'test',
    object,
    set: object.offset + QUEUE_GETTERS,
    attempt: () => AGAIN,
    abandon,
    passOn: () => false,
  };
}

test('puts that were aborted before they began take nothing from the queue', async () => {
  const queue = new Queue<string>({ region: newRegion(), capacity: 1, codec: codec.string });
  for (let i = 0; i < 40; i++) {
    await queue.putAsync('never', { signal: AbortSignal.abort(0) }).catch(() => {});
    await queue.putAsync('never', { timeout: Number.NaN }).catch(() => {});
  }
  assert.ok(queue.tryPut('first'), 'there is a block for it');
  for (let i = 0; i < 40; i++) refuses(() => queue.put('never', { timeout: Number.NaN }), RangeError);
  assert.is(queue.get(), 'first');
  assert.ok(queue.tryPut('second'));
});

test('promises of one thread are served in their order, and those that gave up are passed over', async () => {
  const queue = newQueue(newRegion(), 4);
  const stop = new AbortController();
  const order: string[] = [];
  const take = (name: string, signal?: AbortSignal) =>
    queue.getAsync({ signal }).then(
      (item) => order.push(`${name} ${item}`),
      () => order.push(`${name} gave up`),
    );
  const all = [take('a', stop.signal), take('b'), take('c', stop.signal), take('d')];
  stop.abort();
  queue.put(1);
  queue.put(2);
  await Promise.all(all);
  assert.equal(order, ['a gave up', 'c gave up', 'b 1', 'd 2']);
});

test('whoever gives up passes on the wake that it had received', async () => {
  const region = newRegion();
  const queue = newQueue(region);
  const taking = crew<number>(1, tasks, 'takeOne', { queue });
  await until(() => awaited(queue, QUEUE_GETTERS));
  const stop = new AbortController();
  const item = queue.getAsync({ signal: stop.signal });
  queue.put(5); // wakes this thread, whose slot comes first
  assert.not.ok(region.kernel.isRegistered(queue.offset + QUEUE_GETTERS, region.slot));
  stop.abort('enough');
  assert.is(await item.catch((reason) => reason), 'enough');
  assert.equal(await taking, [5]);
});

test('a thread that blocks passes on the wakes that its promises had received', async () => {
  const region = newRegion();
  const [from, to] = [newQueue(region), newQueue(region)];
  const handing = crew(1, tasks, 'handOn', { from, to });
  await until(() => awaited(from, QUEUE_GETTERS));
  const item = from.getAsync();
  from.put(5); // wakes this thread, whose slot comes first
  assert.not.ok(region.kernel.isRegistered(from.offset + QUEUE_GETTERS, region.slot));
  assert.is(to.get({ timeout: 10_000 }), 5, 'the other thread got it');
  from.put(6);
  assert.is(await item, 6);
  await handing;
});

test('promises that a blocking call had put aside are served again afterwards', async () => {
  const region = newRegion();
  const [queue, empty] = [newQueue(region), newQueue(region)];
  const item = queue.getAsync();
  refuses(() => empty.get({ timeout: 1 }), TimeoutError);
  refuses(() => empty.get({ timeout: 1 }), TimeoutError);
  const second = queue.getAsync();
  await Promise.resolve();
  queue.put(1);
  assert.is(await item, 1);
  queue.put(2);
  assert.is(await second, 2);
  assert.not.ok(awaited(queue, QUEUE_GETTERS));
});

test('promises that synchronous code has served leave no registration behind', async () => {
  const queue = newQueue(newRegion());
  const { region, offset, serial } = queue;
  queue.put(1);
  const put = queue.putAsync(2);
  // a consumer of another thread has taken an item, and not woken anybody yet
  region.kernel.ringGet(offset, serial, region.record);
  assert.not.ok(queue.tryPut(3), 'the promise comes first');
  await put;
  assert.not.ok(awaited(queue, QUEUE_PUTTERS), 'a wake for it would be lost to a thread that sleeps');
});

test('what an event has brought reaches promises of its thread at once, and other threads in their turn', async () => {
  const region = newRegion();
  const queue = newQueue(region, 4);
  let got = 0;
  const mine = queue.getAsync().then((item) => {
    got = item;
  });
  assert.is(queue.puts.putSome([1], 0), 1);
  for (let tick = 0; tick < 20; tick++) await undefined; // the event loop does not turn meanwhile
  assert.is(got, 1);
  assert.not.ok(awaited(queue, QUEUE_GETTERS));
  await mine;
  const taking = crew<number>(1, tasks, 'takeOne', { queue });
  const next = queue.getAsync();
  await until(() => region.inspect().queues[0]?.waitersTo.get.length === 2);
  for (const item of [2, 3]) queue.puts.putSome([item], 0);
  assert.equal([await next, ...(await taking)].sort(), [2, 3]);
});

test('promises on an object that is freed are rejected', async () => {
  const region = newRegion();
  const [empty, full, mutex] = [newQueue(region), newQueue(region), new Mutex({ region }).lock()];
  full.put(1);
  const put = full.putAsync(2).catch((error) => error.code);
  const waiting = [empty.getAsync(), empty.getAsync(), full.joinAsync(), mutex.lockAsync()];
  const refused = waiting.map((promise) => refusesLater(promise, InvalidHandleError));
  for (const object of [empty, full, mutex]) object.free();
  await Promise.all(refused);
  assert.match(await put, /^ERR_(CLOSED|INVALID_HANDLE)$/);
  assert.is(region.used, 0);
});

test('a blocking call does not touch the place of an object that was freed under a promise', async () => {
  const region = newRegion();
  const empty = newQueue(region);
  const queue = newQueue(region);
  const used = region.used;
  const item = refusesLater(queue.getAsync(), InvalidHandleError);
  queue.free();
  const array = region.array(Uint8Array, 640).fill(0xff);
  assert.is(array.byteOffset - 64, queue.offset);
  assert.ok(region.used <= used);
  refuses(() => empty.get({ timeout: 0 }), TimeoutError);
  assert.ok(
    array.every((byte) => byte === 0xff),
    'somebody cleared a bit of it',
  );
  await item;
  assert.ok(array.every((byte) => byte === 0xff));
});

test('an operation that throws rejects its own promise only', async () => {
  const queue = newQueue(newRegion());
  const items = [queue.getAsync(), queue.getAsync(), queue.getAsync()];
  queue.put(1);
  queue.close();
  assert.is(await items[0], 1);
  for (const item of items.slice(1)) assert.is((await item.catch((error) => error)).code, 'ERR_CLOSED');
});

test('threads that block and threads that await exclude each other and none is forgotten', async () => {
  for (const threads of [2, 4]) {
    const region = newRegion();
    const given = { mutex: new Mutex({ region }), cell: region.array(Int32Array, 1), rounds: 4000 };
    await crew(threads, tasks, 'countMixed', given);
    assert.is(given.cell[0], threads * 4000);
    assert.not.ok(given.mutex.locked);
    assert.not.ok(awaited(given.mutex, MUTEX_WAITERS));
  }
});

test('producers and consumers that block and that await hand over every item once', async () => {
  for (const capacity of [1, 3]) {
    const queue = newQueue(newRegion(), capacity);
    const rounds = 2000;
    const taken = (await crew<number[]>(4, tasks, 'produceOrConsume', { queue, rounds })).flat();
    assert.equal(
      taken.sort((a, b) => a - b),
      Array.from({ length: 2 * rounds }, (_, i) => i),
    );
    for (const set of [QUEUE_GETTERS, QUEUE_PUTTERS]) assert.not.ok(awaited(queue, set));
  }
});

test('threads that block while their own promises wait do not lock each other up', async () => {
  const rounds = 2000;
  const sum = (3 * rounds * (rounds - 1)) / 2;
  for (const name of ['putWhilePromised', 'getWhilePromised']) {
    const queue = newQueue(newRegion(), 2);
    const sums = await crew<number>(3, tasks, name, { queue, rounds });
    assert.is(
      sums.reduce((a, b) => a + b),
      sum,
      name,
    );
    assert.is(queue.size, 0);
  }
});

test('nobody is notified who does not sleep', async () => {
  const [[alone, one, after]] = (await crew<number[]>(1, tasks, 'notifies', { region: newRegion() })) as [number[]];
  assert.is(alone, 0);
  assert.is(one, 1, 'and one who waits is, once');
  assert.is(after, 0, 'one that gave up does not sleep');
});

test('a thread has one waitAsync pending at the most, however many promises come and go', async () => {
  const [found] = await crew<{ most: number; settled: number }>(1, tasks, 'pendingWaits', { region: newRegion() });
  assert.is(found?.most, 1);
  assert.is(found?.settled, 20 * 11);
});

const prologue = `import { Mutex, Queue } from '${index}'; const mutex = new Mutex().lock(); const queue = new Queue({ capacity: 1 });`;

test('the process stays alive while a promise is pending, and ends when it is settled', async () => {
  const ended = await child(`${prologue}
    setTimeout(() => mutex.unlock(), 100).unref();
    mutex.lockAsync().then(() => console.log('locked'));
    process.on('exit', () => console.log('end'));`);
  assert.equal(ended, { code: 0, stdout: 'locked\nend\n', stderr: '' });
});

test('the process ends as soon as the last promise was aborted or timed out', async () => {
  const ended = await child(`${prologue}
    const stop = new AbortController();
    queue.getAsync({ signal: stop.signal }).catch(({ name }) => console.log(name));
    mutex.lockAsync({ timeout: 20 }).catch(({ name }) => {
      console.log(name);
      stop.abort();
    });
    process.on('exit', () => console.log('end'));`);
  assert.equal(ended, { code: 0, stdout: 'TimeoutError\nAbortError\nend\n', stderr: '' });
});

test('the process ends if nothing was ever pending', async () => {
  const ended = await child(`${prologue}
    await queue.putAsync(1);
    console.log(await queue.getAsync());`);
  assert.equal(ended, { code: 0, stdout: '1\n', stderr: '' });
});

test('a process whose last promise can never be settled stays, and does nothing', async () => {
  const ended = await child(`${prologue} process.on('exit', () => console.log('end')); mutex.lockAsync();`, 500);
  assert.equal(ended, { code: null, stdout: '', stderr: '' });
});

test('a doze ends by the clock, or by a wake, also by one that came before', () => {
  const { parker, slot } = newRegion();
  const begin = performance.now();
  parker.doze(20);
  assert.ok(performance.now() - begin > 19);
  parker.unpark(slot);
  parker.doze(1e9); // or this never ends
});

test('while a thread dozes its promises leave their wakes to others, and go on afterwards', async () => {
  const queue = newQueue(newRegion());
  const item = queue.getAsync();
  assert.ok(awaited(queue, QUEUE_GETTERS));
  let awaitedMeanwhile = true;
  queue.region.parker.blocking.add(() => (awaitedMeanwhile = awaited(queue, QUEUE_GETTERS)));
  queue.region.parker.doze(1);
  assert.not.ok(awaitedMeanwhile);
  queue.put(7);
  assert.is(await item, 7);
});

test.run();
