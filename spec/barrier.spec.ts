import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  BARRIER_RESETS,
  BARRIER_STATE,
  BARRIER_WAITERS,
  BROKEN,
  CLOSED,
  DONE,
  OVER,
  WAKE,
} from '../lib/kernel/layout.ts';
import { BrokenBarrierError, InvalidHandleError, TimeoutError } from '../lib/memory/errors.ts';
import { Barrier } from '../lib/sync/barrier.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { crew } from './kit/crew.ts';
import { reasonOf } from './kit/pools.ts';
import { refuses, refusesLater } from './kit/refuses.ts';
import { newRegion } from './kit/regions.ts';
import type { Phases } from './kit/signals.ts';
import { ENTERED, newGate } from './kit/tasks.ts';
import { until } from './kit/until.ts';

const signals = new URL('./kit/signals.js', import.meta.url);
const region = newRegion();

function newBarrier(parties: number): Barrier {
  return new Barrier({ region, parties, name: 'phase' });
}

function awaited({ offset }: Barrier): boolean {
  return region.kernel.waiting(offset + BARRIER_WAITERS) !== 0;
}

/** Every index once in each round, by what each thread got; thread 1 has two places a round. */
function assertRounds(got: number[][], rounds: number, parties: number): void {
  const places = got.map((list) => list.length / rounds);
  for (let round = 0; round < rounds; round++) {
    const indexes = got.flatMap((list, i) => {
      const each = places[i] ?? 1;
      return list.slice(round * each, (round + 1) * each);
    });
    assert.equal(
      indexes.sort((a, b) => a - b),
      Array.from({ length: parties }, (_, i) => i),
      `round ${round}`,
    );
  }
}

test('threads that block and tasks of one thread meet in every round, and each index is given once', async () => {
  for (const first of [0, 2 ** 31 - 50, -50]) {
    const barrier = newBarrier(4);
    region.i32[(barrier.offset + BARRIER_STATE + 4) >> 2] = first; // the round
    const rounds = 300;
    const got = await crew<number[]>(3, signals, 'meet', { barrier, rounds });
    assertRounds(got, rounds, 4);
    assert.is(barrier.waiting, 0);
    assert.not.ok(awaited(barrier));
  }
});

test('what the parties wrote before is seen by all after', async () => {
  const phases: Phases = { barrier: newBarrier(3), words: region.array(Int32Array, 48), rounds: 1000 };
  assert.equal(await crew(3, signals, 'phases', phases), [0, 0, 0]);
});

test('the index is the order of arrival, and waiting says how many are there', async () => {
  const barrier = newBarrier(3);
  const first = barrier.waitAsync();
  assert.is(barrier.waiting, 1);
  const second = barrier.waitAsync();
  assert.is(barrier.waiting, 2);
  assert.is(barrier.wait(), 2);
  assert.is(barrier.waiting, 0);
  assert.equal(await Promise.all([first, second]), [0, 1]);
  assert.is(barrier.broken, false);
  assert.is(barrier.parties, 3);
});

test('a barrier of one never waits', async () => {
  const barrier = newBarrier(1);
  assert.equal([barrier.wait(), barrier.wait({ timeout: 0 }), await barrier.waitAsync()], [0, 0, 0]);
});

test('a timeout breaks it for all others, and for those who come, until reset', async () => {
  const [object, gate] = [newBarrier(6), newGate()];
  const others = crew<unknown[]>(2, signals, 'waitEitherWay', { object, gate });
  await until(() => object.waiting === 4);
  const error = refuses(() => object.wait({ timeout: 0.5 }), TimeoutError);
  assert.is(error.message, 'wait at barrier "phase" timed out after 0.5 ms');
  assert.equal((await others).flat(), Array(4).fill('ERR_BROKEN_BARRIER'));
  assert.equal([object.broken, object.waiting], [true, 0]);
  assert.is(refuses(() => object.wait(), BrokenBarrierError).message, 'barrier "phase" is broken');
  await refusesLater(object.waitAsync(), BrokenBarrierError);
  assert.not.ok(awaited(object));
  object.reset();
  assert.equal([object.broken, object.waiting], [false, 0]);
  const all = await Promise.all(Array.from({ length: 6 }, () => object.waitAsync()));
  assert.equal(all, [0, 1, 2, 3, 4, 5]);
});

test('a promise that times out or is aborted rejects with its own reason, and breaks it for the others', async () => {
  for (const giveUp of ['abort', 'timeout']) {
    const barrier = newBarrier(3);
    const stop = new AbortController();
    const other = reasonOf(barrier.waitAsync());
    const first: Promise<unknown> = reasonOf(
      barrier.waitAsync(giveUp === 'abort' ? { signal: stop.signal } : { timeout: 1 }),
    );
    stop.abort('enough');
    const reason = await first;
    assert.ok(giveUp === 'abort' ? reason === 'enough' : reason instanceof TimeoutError);
    assert.instance(await other, BrokenBarrierError);
    assert.is(barrier.broken, true);
    assert.not.ok(awaited(barrier));
  }
});

test('an abort breaks it at once, also when its thread blocks right after', async () => {
  const [object, gate] = [newBarrier(3), newGate()];
  const other = crew<unknown[]>(1, signals, 'waitEitherWay', { object, gate });
  await until(() => object.waiting === 1);
  const stop = new AbortController();
  const own = reasonOf(object.waitAsync({ signal: stop.signal }));
  stop.abort('enough');
  assert.is(object.broken, true);
  assert.is(await own, 'enough');
  assert.equal(await other, [['ERR_BROKEN_BARRIER']]);
});

test('a party that never arrived breaks nothing', async () => {
  const barrier = newBarrier(2);
  assert.is(await reasonOf(barrier.waitAsync({ signal: AbortSignal.abort('early') })), 'early');
  refuses(() => barrier.wait({ timeout: -1 }), RangeError, 'timeout');
  await refusesLater(barrier.waitAsync({ timeout: Number.NaN }), RangeError, 'timeout');
  await refusesLater(barrier.waitAsync({ signal: 5 as never }), TypeError, 'signal');
  assert.equal([barrier.waiting, barrier.broken], [0, false]);
});

test('an abort that comes after the last party changes nothing: the round is complete', async () => {
  const barrier = newBarrier(2);
  const stop = new AbortController();
  const first = barrier.waitAsync({ signal: stop.signal });
  assert.is(barrier.wait(), 1);
  stop.abort(new Error('too late')); // what it must not reject with
  assert.is(await first, 0);
  assert.is(barrier.broken, false);
});

test('abort breaks it for who waits and who comes; reset makes it as new', async () => {
  const [object, gate] = [newBarrier(5), newGate()];
  const others = crew<unknown[]>(2, signals, 'waitEitherWay', { object, gate });
  await until(() => object.waiting === 4);
  for (const _ of [1, 2]) object.abort();
  assert.equal((await others).flat(), Array(4).fill('ERR_BROKEN_BARRIER'));
  refuses(() => object.wait({ timeout: 0 }), BrokenBarrierError);
  object.reset();
  object.abort();
  assert.is(object.broken, true, 'also when nobody waits');
});

test('a reset gives BrokenBarrierError to who waits, and the barrier goes on in a new round', async () => {
  const [object, gate] = [newBarrier(5), newGate()];
  const others = crew<unknown[]>(2, signals, 'waitEitherWay', { object, gate });
  await until(() => object.waiting === 4);
  object.reset();
  const waits = Array.from({ length: 5 }, () => object.waitAsync());
  assert.equal(await Promise.all(waits), [0, 1, 2, 3, 4]);
  assert.equal((await others).flat(), Array(4).fill('ERR_BROKEN_BARRIER'));
  object.reset();
  assert.is(region.i32[(object.offset + BARRIER_RESETS) >> 2], 1, 'nobody was there: nothing to give up');
});

test('a waiter that slept through later rounds and a break knows that its own was complete; a reset it is told of', () => {
  const { offset } = newBarrier(1);
  const { kernel } = region;
  const round = kernel.barrierRound(offset);
  const resets = kernel.barrierResets(offset);
  for (let n = 0; n < 3; n++) assert.is(kernel.barrierArrive(offset, round + n), 0);
  assert.is(kernel.barrierEnded(offset, round, resets), DONE);
  assert.is(kernel.barrierBreak(offset, round), OVER);
  assert.is(kernel.barrierArrived(offset), 0, 'who gives up too late breaks nothing');
  assert.is(kernel.barrierBreak(offset, round + 3), WAKE);
  assert.is(kernel.barrierArrive(offset, round + 3), CLOSED);
  assert.is(kernel.barrierArrived(offset), BROKEN);
  assert.is(kernel.barrierEnded(offset, round, resets), DONE);
  assert.is(kernel.barrierEnded(offset, round + 3, resets), CLOSED);
  kernel.barrierReset(offset);
  for (const each of [round, round + 3]) assert.is(kernel.barrierEnded(offset, each, resets), CLOSED);
});

test('parties that lose patience at any moment break no other round than their own, and nobody hangs', async () => {
  const barrier = newBarrier(3);
  const seen = region.array(Int32Array, 3);
  const through = await crew<number>(3, signals, 'meetImpatiently', { barrier, seen, rounds: 400 });
  const [first = 0, second = 0, last = 0] = seen;
  assert.is(first + second + last, through[0]! + through[1]! + through[2]!);
  assert.ok(last > 0, 'some rounds were complete');
  assert.ok(first <= last && second <= last, `${first}, ${second} and ${last} of each index`);
  assert.not.ok(awaited(barrier));
  barrier.reset();
  assert.equal(await Promise.all([1, 2, 3].map(() => barrier.waitAsync())), [0, 1, 2]);
});

test('a promise is freed by the last party that came while its thread was blocked', async () => {
  const [object, mutex, gate] = [newBarrier(2), new Mutex({ region }).lock(), newGate()];
  const waiting = crew(1, signals, 'blockMeanwhile', { object, mutex, gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  assert.is(object.wait(), 1);
  mutex.unlock();
  assert.equal(await waiting, [0]);
});

test('a number of parties that cannot be is refused', () => {
  for (const parties of [0, -1, 1.5, 2 ** 30, Number.NaN]) {
    refuses(
      () => newBarrier(parties),
      RangeError,
      `parties must be an integer from 1 to ${2 ** 30 - 1}: got ${parties}`,
    );
  }
  refuses(() => new Barrier({} as never), TypeError, 'parties must be a number: got undefined');
});

test('a barrier that was freed throws InvalidHandleError whatever is called, and ends the waits', async () => {
  const [object, gate] = [newBarrier(5), newGate()];
  const threads = crew<unknown[]>(1, signals, 'waitEitherWay', { object, gate });
  const promise = reasonOf(object.waitAsync());
  await until(() => object.waiting === 2);
  object.free();
  assert.instance(await promise, InvalidHandleError);
  assert.equal(await threads, [['ERR_INVALID_HANDLE']]);
  const uses = [
    () => object.wait(),
    () => object.abort(),
    () => object.reset(),
    () => object.broken,
    () => object.waiting,
    () => object.parties,
    () => object.free(),
  ];
  for (const use of uses) refuses(use, InvalidHandleError, 'freed');
  await refusesLater(object.waitAsync(), InvalidHandleError, 'freed');
});

test.run();
