import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LATCH_WAITERS } from '../lib/kernel/layout.ts';
import { InvalidHandleError, TimeoutError } from '../lib/memory/errors.ts';
import { Latch } from '../lib/sync/latch.ts';
import { crew } from './kit/crew.ts';
import { reasonOf } from './kit/pools.ts';
import { refuses, refusesLater } from './kit/refuses.ts';
import { newRegion } from './kit/regions.ts';
import { ENTERED, newGate } from './kit/tasks.ts';
import { until } from './kit/until.ts';

const signals = new URL('./kit/signals.js', import.meta.url);
const region = newRegion();
const MOST = 2 ** 31 - 1;

function newLatch(count: number): Latch {
  return new Latch({ region, count, name: 'loaded' });
}

function awaited({ offset }: Latch): boolean {
  return region.kernel.waiting(offset + LATCH_WAITERS) !== 0;
}

test('the last count opens it for all, threads and promises, and it stays open', async () => {
  const [object, gate] = [newLatch(3), newGate()];
  const waits = crew<unknown[]>(4, signals, 'waitEitherWay', { object, gate });
  const own = object.waitAsync();
  await until(() => Atomics.load(gate, ENTERED) === 4);
  object.countDown(2);
  assert.is(object.count, 1);
  refuses(() => object.wait({ timeout: 0 }), TimeoutError, 'wait for latch "loaded" timed out after 0 ms');
  object.countDown();
  assert.is(await own, undefined);
  assert.equal((await waits).flat(), Array(8).fill(undefined));
  assert.is(object.count, 0);
  object.wait();
  await object.waitAsync({ timeout: 0 });
  assert.not.ok(awaited(object));
});

test('threads that count down at once lose no count', async () => {
  const latch = newLatch(30_001);
  const opened = latch.waitAsync();
  const left = await crew<number>(3, signals, 'countDown', { latch, times: 10_000 });
  assert.is(Math.min(...left), 1);
  assert.is(latch.count, 1);
  latch.countDown();
  await opened;
});

test('to count below zero throws and changes nothing', () => {
  const latch = newLatch(2);
  const refused = (n: number, count: number) => {
    const error = refuses(() => latch.countDown(n), RangeError);
    const message = `the thread in slot ${region.slot} cannot count latch "loaded" down by ${n}: its count is ${count}`;
    assert.is(error.message, message);
    assert.is(latch.count, count);
  };
  refused(3, 2);
  refused(MOST, 2);
  latch.countDown(2);
  refused(1, 0);
});

test('a latch of 0 is open, and one of 31 bits counts', () => {
  newLatch(0).wait();
  const latch = newLatch(MOST);
  latch.countDown(MOST - 1);
  assert.is(latch.count, 1);
});

test('a wait that times out or is aborted leaves no trace, and the others go on', async () => {
  const latch = newLatch(1);
  refuses(() => latch.wait({ timeout: 2 }), TimeoutError);
  await refusesLater(latch.waitAsync({ timeout: 2 }), TimeoutError);
  assert.not.ok(awaited(latch));
  const stop = new AbortController();
  const aborted = reasonOf(latch.waitAsync({ signal: stop.signal }));
  const other = latch.waitAsync();
  stop.abort('enough');
  assert.is(await aborted, 'enough');
  latch.countDown();
  await other;
  assert.not.ok(awaited(latch));
});

test('counts and options that cannot be meant are refused', async () => {
  for (const count of [-1, 0.5, 2 ** 31, Number.NaN]) {
    refuses(() => newLatch(count), RangeError, `count must be an integer from 0 to ${MOST}: got ${count}`);
  }
  refuses(() => new Latch({} as never), TypeError, 'count must be a number: got undefined');
  const latch = newLatch(2);
  for (const n of [0, -1, 1.5]) refuses(() => latch.countDown(n), RangeError, `n must be an integer from 1 to ${MOST}`);
  refuses(() => latch.wait({ timeout: -1 }), RangeError, 'timeout');
  await refusesLater(latch.waitAsync({ timeout: -1 }), RangeError, 'timeout');
  assert.is(latch.count, 2);
});

test('a latch that was freed throws InvalidHandleError whatever is called, and ends the waits', async () => {
  const [object, gate] = [newLatch(1), newGate()];
  const threads = crew<unknown[]>(1, signals, 'waitEitherWay', { object, gate });
  const promise = reasonOf(object.waitAsync());
  await until(() => Atomics.load(gate, ENTERED) === 1);
  object.free();
  assert.instance(await promise, InvalidHandleError);
  assert.equal(await threads, [['ERR_INVALID_HANDLE']]);
  const uses = [() => object.countDown(), () => object.wait(), () => object.count, () => object.free()];
  for (const use of uses) refuses(use, InvalidHandleError, 'freed');
  await refusesLater(object.waitAsync(), InvalidHandleError, 'freed');
});

test.run();
