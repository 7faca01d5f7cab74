import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EVENT_CHANGES, EVENT_WAITERS } from '../lib/kernel/layout.ts';
import { InvalidHandleError, TimeoutError } from '../lib/memory/errors.ts';
import { Event } from '../lib/sync/event.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { crew } from './kit/crew.ts';
import { reasonOf } from './kit/pools.ts';
import { refuses, refusesLater } from './kit/refuses.ts';
import { newRegion } from './kit/regions.ts';
import type { Pulses } from './kit/signals.ts';
import { ENTERED, newGate } from './kit/tasks.ts';
import { until } from './kit/until.ts';

const signals = new URL('./kit/signals.js', import.meta.url);
const region = newRegion();

function newEvent(): Event {
  return new Event({ region, name: 'ready' });
}

function awaited({ offset }: Event): boolean {
  return region.kernel.waiting(offset + EVENT_WAITERS) !== 0;
}

test('an event is clear at first, stays set until it is cleared, and may be set or cleared twice', async () => {
  const event = newEvent();
  assert.is(event.isSet, false);
  event.clear();
  assert.is(event.isSet, false);
  for (const _ of [1, 2]) {
    event.set();
    assert.is(event.isSet, true);
  }
  event.wait();
  event.wait({ timeout: 0 });
  await event.waitAsync({ timeout: 0 });
  assert.is(event.isSet, true, 'waiting does not clear it');
  event.clear();
  assert.is(event.isSet, false);
});

test('one set frees all who wait, threads and promises, even if it is cleared at once', async () => {
  const [object, gate] = [newEvent(), newGate()];
  const waits = crew<unknown[]>(4, signals, 'waitEitherWay', { object, gate });
  await until(() => Atomics.load(gate, ENTERED) === 4);
  const own = [object.waitAsync(), object.waitAsync()];
  // threads that have entered may not be registered yet: they are when the set below is seen in vain
  await until(() => Array.from({ length: 8 }, (_, slot) => isWaiting(object, slot)).filter(Boolean).length === 5);
  object.set();
  object.clear();
  assert.equal(await Promise.all(own), [undefined, undefined]);
  assert.equal((await waits).flat(), Array(8).fill(undefined));
  assert.not.ok(awaited(object));
  assert.is(object.isSet, false);
});

function isWaiting({ offset }: Event, slot: number): boolean {
  return region.kernel.isRegistered(offset + EVENT_WAITERS, slot) !== 0;
}

test('a promise that began before a set is freed however often it was cleared since', async () => {
  const event = newEvent();
  for (const changes of [-2, 2 ** 31 - 2, 0]) {
    region.i32[(event.offset + EVENT_CHANGES) >> 2] = changes;
    const wait = event.waitAsync();
    for (const _ of [1, 2, 3]) {
      event.set();
      event.clear();
    }
    await wait;
    assert.is(event.isSet, false);
    await refusesLater(event.waitAsync({ timeout: 0 }), TimeoutError);
  }
});

test('threads that wait for pulses see every one', async () => {
  const pulses: Pulses = { event: newEvent(), gate: newGate(), waiters: 1, times: 2000 };
  const pulsing = crew(1, signals, 'pulse', pulses);
  for (let n = 1; n <= pulses.times; n++) {
    const wait = pulses.event.waitAsync();
    Atomics.add(pulses.gate, ENTERED, 1);
    await wait;
  }
  await pulsing;
  assert.is(pulses.event.isSet, false);
  assert.not.ok(awaited(pulses.event));
});

test('a wait that times out or is aborted leaves no trace, and the others go on', async () => {
  const event = newEvent();
  for (const timeout of [0, 2]) {
    const error = refuses(() => event.wait({ timeout }), TimeoutError);
    assert.is(error.message, `wait for event "ready" timed out after ${timeout} ms`);
    await refusesLater(event.waitAsync({ timeout }), TimeoutError, `timed out after ${timeout} ms`);
  }
  assert.not.ok(awaited(event));
  const stop = new AbortController();
  const aborted = reasonOf(event.waitAsync({ signal: stop.signal }));
  const other = event.waitAsync();
  stop.abort('enough');
  assert.is(await aborted, 'enough');
  assert.is(await reasonOf(event.waitAsync({ signal: stop.signal })), 'enough');
  event.set();
  await other;
  assert.not.ok(awaited(event));
});

test('a promise is freed by a set that came while its thread was blocked', async () => {
  const [object, mutex, gate] = [newEvent(), new Mutex({ region }).lock(), newGate()];
  const waiting = crew(1, signals, 'blockMeanwhile', { object, mutex, gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  object.set();
  object.clear();
  mutex.unlock();
  assert.equal(await waiting, [undefined]);
});

test('options that cannot be meant are refused, also when it is set', async () => {
  const event = newEvent();
  for (const _ of ['clear', 'set']) {
    refuses(() => event.wait({ timeout: -1 }), RangeError, 'timeout must be 0 or more milliseconds');
    await refusesLater(event.waitAsync({ timeout: Number.NaN }), RangeError, 'got NaN');
    await refusesLater(event.waitAsync({ signal: 5 as never }), TypeError, 'signal must be an AbortSignal: got 5');
    event.set();
  }
});

test('an event that was freed throws InvalidHandleError whatever is called, and ends the waits', async () => {
  const [object, gate] = [newEvent(), newGate()];
  const threads = crew<unknown[]>(1, signals, 'waitEitherWay', { object, gate });
  const promise = reasonOf(object.waitAsync());
  await until(() => Atomics.load(gate, ENTERED) === 1);
  object.free();
  assert.instance(await promise, InvalidHandleError);
  assert.equal(await threads, [['ERR_INVALID_HANDLE']]);
  const uses = [() => object.set(), () => object.clear(), () => object.wait(), () => object.isSet, () => object.free()];
  for (const use of uses) refuses(use, InvalidHandleError, 'freed');
  await refusesLater(object.waitAsync(), InvalidHandleError, 'freed');
});

test.run();
