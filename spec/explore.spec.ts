import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Clocks } from './kit/explore/clocks.ts';
import { dying, late, outcomes, racing, sleeping, storing } from './kit/explore/counter.ts';
import { choicesOf, scheduleOf } from './kit/explore/schedule.ts';
import { explore, replay, sample } from './kit/explore/search.ts';
import { shippedKernel } from './kit/explore/shipped.ts';
import type { Access, VirtualThread } from './kit/explore/thread.ts';

const kernel = shippedKernel();

test('without a cache the schedules are all the ways to merge the threads', () => {
  const count = (times: readonly number[]): number => explore(kernel, storing(times), { fault: 'uncached' }).schedules;
  assert.is(count([1, 1]), 2);
  assert.is(count([2, 2]), 6);
  assert.is(count([3, 3]), 20);
  assert.is(count([2, 2, 2]), 90);
});

test('with it, each state is gone on from once', () => {
  const { states, schedules, verdict } = explore(kernel, storing([3, 3]));
  assert.is(verdict, 'exhausted');
  // of (i, j) stores done each is one state, but for the word, which is 0 before the first
  assert.is(states, 16);
  assert.ok(schedules < 20, `${schedules} schedules`);
});

test('the cache loses no outcome', () => {
  const [all, some] = [new Set<string>(), new Set<string>()];
  const whole = explore(kernel, outcomes(all), { fault: 'uncached' });
  const cached = explore(kernel, outcomes(some));
  assert.ok(all.size > 1, 'there are several');
  assert.equal([...some].sort(), [...all].sort());
  assert.ok(cached.schedules < whole.schedules, `${cached.schedules} of ${whole.schedules}`);
});

test('a bound of preemptions leaves out schedules, and more of them the lower it is', () => {
  const count = (preemptions: number): number =>
    explore(kernel, storing([2, 2, 2]), { fault: 'uncached', preemptions }).schedules;
  assert.is(explore(kernel, storing([2, 2]), { preemptions: 1 }).verdict, 'bounded');
  assert.is(count(0), 6, 'the orders of three threads');
  assert.ok(count(1) > 6 && count(1) < count(2) && count(2) < 90);
});

test('two plain accesses that nothing orders are a race', () => {
  const { verdict, failure } = explore(kernel, racing);
  assert.is(verdict, 'failed');
  assert.is(failure?.message, 'data race on a word: plain store of thread 1, plain store of thread 0');
});

test('a wake that is lost is found as a thread that sleeps for ever', () => {
  const { failure } = explore(kernel, sleeping);
  assert.is(failure?.message, 'deadlock: 0 sleeps for ever');
  assert.is(failure?.schedule, '0*2 1');
});

test('a deadline can be over at the first look', () => {
  assert.is(explore(kernel, late).failure?.schedule, '!0');
});

test('a thread can die between two steps', () => {
  assert.is(explore(kernel, dying).failure?.message, 'it died in between');
  assert.is(explore(kernel, dying, { fault: 'never kills' }).verdict, 'exhausted');
});

test('a schedule that failed fails again in the same way, and says how it came to that', () => {
  const { failure } = explore(kernel, sleeping);
  const { message, trace } = replay(kernel, sleeping, failure?.schedule ?? '');
  assert.is(message, failure?.message);
  assert.equal(trace, [
    '0 parkBegin: atomic cmpxchg of park word 0: 0',
    '0 -: sleeps on park word 0: 2',
    '1 unpark: atomic rmw of park word 0: 2',
  ]);
});

test('a schedule is read as it was written', () => {
  const choices = [0, 0, 0, 1, 9, 17, 1, 1];
  assert.is(scheduleOf(choices), '0*3 1 !1 x1 1*2');
  assert.equal(choicesOf(scheduleOf(choices)), choices);
  assert.throws(() => choicesOf('0 y1'), /no part of a schedule: "y1"/);
});

test('random schedules find what goes wrong often, and are the same for the same seed', () => {
  const found = sample(kernel, sleeping, { runs: 100, depth: 2, seed: 1 });
  assert.is(found.verdict, 'failed');
  assert.equal(sample(kernel, sleeping, { runs: 100, depth: 2, seed: 1 }), found);
});

/** Enters plain and atomic accesses of words into clocks: which thread each of them races with. */
function enter(
  steps: readonly (readonly [slot: number, act: Access['act'], atomic: boolean, address: number])[],
): number[] {
  const clocks = new Clocks();
  clocks.reset();
  return steps.map(([slot, act, atomic, address]) =>
    clocks.enter({ slot } as VirtualThread, { act, atomic, address, size: 4 }, act !== 'load'),
  );
}

test('clocks see a race between accesses that are no neighbours', () => {
  assert.equal(
    enter([
      [0, 'store', false, 8],
      [1, 'load', true, 64],
      [1, 'load', false, 8],
    ]),
    [-1, -1, 0],
  );
});

test('an atomic store orders what came before it for who reads it, a plain one does not', () => {
  const message = (atomic: boolean): number[] =>
    enter([
      [0, 'store', false, 8],
      [0, 'store', atomic, 64],
      [1, 'load', true, 64],
      [1, 'load', false, 8],
    ]);
  assert.equal(message(true), [-1, -1, -1, -1]);
  assert.equal(message(false), [-1, -1, 0, 0]);
});

test('a load that reads what another has stored over orders nothing', () => {
  const steps = enter([
    [0, 'store', false, 8],
    [0, 'store', true, 64],
    [2, 'store', true, 64],
    [1, 'load', true, 64],
    [1, 'load', false, 8],
  ]);
  assert.equal(steps, [-1, -1, -1, -1, 0]);
});

test('a search that has no time is cut', () => {
  assert.is(explore(kernel, storing([3, 3]), { time: -1 }).verdict, 'cut');
});

test.run();
