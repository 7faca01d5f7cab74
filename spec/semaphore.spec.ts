import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  BUSY,
  DONE,
  FREED,
  SEMAPHORE_SHARES,
  SEMAPHORE_WAITERS,
  SHARE_HELD,
  SHARE_SHIFT,
  THREAD_BYTES,
  WAKE,
} from '../lib/kernel/layout.ts';
import { InvalidHandleError, TimeoutError } from '../lib/memory/errors.ts';
import { Semaphore } from '../lib/sync/semaphore.ts';
import { crew } from './kit/crew.ts';
import { Walker } from './kit/line.ts';
import { reasonOf } from './kit/pools.ts';
import { random } from './kit/random.ts';
import { refuses, refusesLater } from './kit/refuses.ts';
import { newRegion } from './kit/regions.ts';
import { ENTERED, newGate, OPEN } from './kit/tasks.ts';
import { until } from './kit/until.ts';

const permitting = new URL('./kit/permits.js', import.meta.url);
const region = newRegion({ bytes: 2 ** 20 });
const MOST = 2 ** 31 - 1;

function newSemaphore(permits: number, max?: number): Semaphore {
  return new Semaphore({ region, permits, max, name: 'seats' });
}

function awaited({ offset }: Semaphore): boolean {
  return region.kernel.waiting(offset + SEMAPHORE_WAITERS) !== 0;
}

/** What the thread in a slot took, less what it gave. */
function held({ offset }: Semaphore, slot: number): number {
  return Number(region.i64[(offset + SEMAPHORE_SHARES + (slot << SHARE_SHIFT) + SHARE_HELD) >> 3]);
}

/** The kernel's operations on a semaphore by slots that no thread has. */
function newLine(permits: number) {
  const { kernel } = region;
  const semaphore = newSemaphore(permits);
  const { offset, serial } = semaphore;
  return {
    semaphore,
    acquire: (slot: number, n: number) => kernel.semaphoreAcquire(offset, serial, slot, n),
    attempt: (slot: number, n: number) => kernel.semaphoreAttempt(offset, serial, slot, n),
    wait: (slot: number, n: number) => {
      kernel.register(offset + SEMAPHORE_WAITERS, slot);
      return kernel.semaphoreAttempt(offset, serial, slot, n);
    },
    release: (slot: number, n: number) => kernel.semaphoreRelease(offset, serial, slot, n),
    settle: (from = 0, left = -1) => kernel.semaphoreSettle(offset, serial, from, left),
    unregister: (slot: number) => kernel.unregister(offset + SEMAPHORE_WAITERS, slot),
  };
}

test('a waiter for many keeps the permits from waiters for one until there are enough, then the next is called', () => {
  const { acquire, attempt, wait, release, settle, unregister } = newLine(0);
  assert.is(wait(1, 5), BUSY);
  assert.is(wait(2, 1), BUSY);
  assert.is(release(0, 4), WAKE);
  assert.is(settle(), -1, 'four are too few for slot 1');
  assert.is(acquire(3, 1), BUSY, 'and they are kept for it');
  assert.is(attempt(2, 1), BUSY);
  assert.is(release(0, 2), WAKE);
  assert.is(settle(), 1);
  assert.is(release(0, 1), DONE, 'it is on its way');
  assert.is(wait(1, 5), WAKE);
  assert.is(settle(2), 2, 'there is one for slot 2');
  unregister(1);
  assert.is(settle(2, 1), -1);
  assert.is(wait(2, 1), WAKE);
  unregister(2);
  assert.is(settle(3, 2), -1);
  assert.is(acquire(3, 1), DONE, 'nobody waits any more');
});

test('a waiter for one can be overtaken once, then the permits are kept for it', () => {
  const { acquire, wait, release, settle } = newLine(1);
  assert.is(acquire(3, 1), DONE);
  assert.is(wait(1, 1), BUSY);
  assert.is(release(3, 1), WAKE);
  assert.is(settle(), 1);
  assert.is(acquire(3, 1), DONE, 'faster');
  assert.is(wait(1, 1), BUSY, 'called in vain');
  assert.is(release(3, 1), WAKE);
  assert.is(acquire(3, 1), BUSY);
  assert.is(settle(), 1);
  assert.is(acquire(3, 1), BUSY);
  assert.is(wait(1, 1), WAKE);
});

test('the turn goes round over the slots, whoever comes back meanwhile', () => {
  const { wait, release, settle, unregister } = newLine(0);
  const slots = [4, 1, 6, 2];
  for (const slot of slots) assert.is(wait(slot, 1), BUSY);
  const served: number[] = [];
  for (let n = 0; n < 8; n++) {
    release(0, 1);
    const slot = settle(0);
    assert.is(wait(slot, 1), WAKE);
    served.push(slot);
    unregister(slot);
    settle(slot + 1, slot);
    wait(slot, 1); // and again
  }
  assert.equal(served, [4, 6, 1, 2, 4, 6, 1, 2]);
});

test('the turn goes to the next waiter in the step that ends it, and one who comes before the settling stands behind', () => {
  const { acquire, wait, release, settle, unregister } = newLine(0);
  wait(1, 1);
  wait(2, 3);
  release(0, 1);
  assert.is(settle(), 1);
  assert.is(wait(1, 1), WAKE);
  assert.is(wait(6, 1), BUSY, 'before the settling');
  assert.is(settle(2), -1);
  unregister(1);
  assert.is(settle(2, 1), -1);
  assert.is(release(0, 2), WAKE);
  assert.is(acquire(3, 1), BUSY, 'kept for slot 2, which slept when it got the turn');
  assert.is(settle(), -1);
  assert.is(release(0, 1), WAKE);
  assert.is(settle(), 2);
});

test('the next in line is the one behind the slot that gave the turn up, whoever notices it', () => {
  const { wait, release, settle, unregister } = newLine(0);
  for (const slot of [1, 2, 6]) assert.is(wait(slot, 1), BUSY);
  unregister(1);
  assert.is(release(4, 1), WAKE);
  assert.is(settle(5), 2);
});

test('a waiter that leaves, called or not, gives its turn to the next', () => {
  for (const called of [false, true]) {
    const { wait, release, settle, unregister } = newLine(0);
    wait(1, 2);
    wait(2, 1);
    assert.is(release(0, called ? 2 : 1), WAKE);
    assert.is(settle(), called ? 1 : -1);
    unregister(1);
    assert.is(settle(2, 1), 2, 'there is enough for the next');
    assert.is(wait(2, 1), WAKE);
  }
});

test('the turn of a waiter that withdrew is taken over by who is called or comes next', () => {
  const { semaphore, wait, release, settle, unregister } = newLine(1);
  assert.is(wait(1, 2), BUSY);
  unregister(1);
  assert.is(wait(2, 1), WAKE, 'it does not stand behind one who is away');
  unregister(2);
  assert.is(wait(1, 2), BUSY);
  assert.is(wait(3, 1), BUSY);
  unregister(1);
  release(0, 1);
  assert.is(settle(), 3);
  assert.is(wait(3, 1), WAKE);
  assert.is(semaphore.available, 0);
});

test('a waiter that needs fewer from now on is called for fewer', () => {
  const { wait, release, settle } = newLine(0);
  wait(1, 5);
  wait(1, 2);
  release(0, 2);
  assert.is(settle(), 1);
  assert.is(wait(1, 2), WAKE);
});

test('no order of the steps of four threads leaves a waiter asleep, with timeouts and threads that are away', () => {
  const seeds = Array.from({ length: 3000 }, (_, seed) => seed + 1);
  let slept = 0;
  for (const seed of seeds) {
    const choose = random(seed);
    const semaphore = newSemaphore(3);
    const walkers: Walker[] = [1, 2, 3, 4].map(
      (slot) =>
        new Walker(
          semaphore,
          slot,
          Array.from({ length: 3 }, () => 1 + choose(3)),
          (to) => walkers[to - 1]?.wake(),
        ),
    );
    for (let ready = walkers; ready.length > 0; ready = walkers.filter(({ step }) => step)) {
      const asleep = walkers.filter(({ step, done }) => !step && !done);
      slept += asleep.length;
      const one = asleep[choose(8)];
      if (one && choose(4) === 0) choose(2) === 0 ? one.expire() : one.withdraw();
      ready[choose(ready.length)]?.step?.();
    }
    const hang = walkers.filter(({ done }) => !done).map(({ slot }) => slot);
    assert.equal(hang, [], `seed ${seed}`);
    assert.is(semaphore.available, 3);
    assert.not.ok(awaited(semaphore));
    semaphore.free();
  }
  assert.ok(slept > 1000, 'somebody had to wait');
});

test('each share says what its thread took less what it gave, and all of them what is out', async () => {
  const semaphore = newSemaphore(5);
  semaphore.acquire(4);
  assert.is(held(semaphore, region.slot), 4);
  assert.equal(await crew(1, permitting, 'give', { semaphore, n: 3 }), [4]);
  const shares = Array.from({ length: 8 }, (_, slot) => held(semaphore, slot));
  assert.is(held(semaphore, region.slot), 4, 'nobody else writes it');
  assert.equal([...shares].sort(), [-3, 0, 0, 0, 0, 0, 0, 4]);
  assert.is(semaphore.available, 4);
});

test('acquire takes as many as asked, tryAcquire only what is there, and release gives them back', () => {
  const semaphore = newSemaphore(3);
  semaphore.acquire();
  assert.is(semaphore.available, 2);
  assert.is(semaphore.tryAcquire(3), false);
  assert.is(semaphore.available, 2, 'all or nothing');
  assert.is(semaphore.tryAcquire(2), true);
  assert.is(semaphore.tryAcquire(), false);
  semaphore.release(3);
  assert.is(semaphore.available, 3);
  assert.is(held(semaphore, region.slot), 0);
});

test('threads and tasks that take different amounts never have more than there are, and all come through', async () => {
  const semaphore = newSemaphore(5);
  const out = region.array(Int32Array, 1);
  await crew(4, permitting, 'take', { semaphore, out, permits: 5, times: 4000 });
  assert.is(semaphore.available, 5);
  assert.not.ok(awaited(semaphore));
});

test('waiters that time out or are aborted at any moment leave the permits to the others', async () => {
  const semaphore = newSemaphore(4);
  const out = region.array(Int32Array, 1);
  await crew(4, permitting, 'takeImpatiently', { semaphore, out, permits: 4, times: 250 });
  assert.is(semaphore.available, 4);
  assert.not.ok(awaited(semaphore));
});

test('a waiter for all permits gets them from threads that take and give some without a pause', async () => {
  const [semaphore, gate] = [newSemaphore(4), newGate()];
  const hogs = crew<number>(3, permitting, 'hog', { semaphore, gate });
  await until(() => Atomics.load(gate, ENTERED) === 3);
  for (let times = 0; times < 20; times++) {
    using all = await semaphore.acquireAsync(4);
    assert.is(all.permits, 4);
  }
  Atomics.store(gate, OPEN, 1);
  assert.ok((await hogs).every((times) => times > 0));
  assert.is(semaphore.available, 4);
});

test('a release by another thread frees a thread that blocks, and permits that nobody took can be given', async () => {
  const [semaphore, gate] = [newSemaphore(0), newGate()];
  const threads = crew<string>(3, permitting, 'takeByIndex', { semaphore, gate });
  await until(() => Atomics.load(gate, ENTERED) === 3);
  for (let n = 0; n < 6; n++) semaphore.release();
  assert.equal(await threads, ['acquired', 'acquired', 'acquired']);
  assert.is(semaphore.available, 0);
});

test('acquire gives up after its timeout and has taken nothing', () => {
  const semaphore = newSemaphore(1);
  for (const timeout of [0, 2]) {
    const error = refuses(() => semaphore.acquire(2, { timeout }), TimeoutError);
    assert.is(error.message, `acquire of 2 from semaphore "seats" timed out after ${timeout} ms`);
    refuses(() => semaphore.with(() => assert.unreachable(), 2, { timeout }), TimeoutError);
  }
  assert.is(semaphore.available, 1);
  assert.not.ok(awaited(semaphore));
  semaphore.acquire(1, { timeout: 0 });
});

test('a waiter for many that gives up leaves what is there to the waiters for few behind it', async () => {
  for (const giveUp of ['abort', 'timeout']) {
    const semaphore = newSemaphore(1);
    const stop = new AbortController();
    const options = giveUp === 'abort' ? { signal: stop.signal } : { timeout: 1 };
    const many = reasonOf(semaphore.acquireAsync(2, options));
    const few = semaphore.acquireAsync(1);
    assert.is(semaphore.available, 1, 'it is kept for the first');
    stop.abort('enough');
    const reason: unknown = await many;
    assert.ok(giveUp === 'abort' ? reason === 'enough' : reason instanceof TimeoutError);
    assert.is((await few).permits, 1);
    assert.not.ok(awaited(semaphore));
  }
});

test('a blocking waiter that gives up leaves what is there to a promise behind it', async () => {
  const semaphore = newSemaphore(1);
  const gate = newGate();
  const other = crew<string>(1, permitting, 'takeByIndex', { semaphore, gate });
  refuses(() => semaphore.acquire(2, { timeout: 20 }), TimeoutError);
  assert.equal(await other, ['acquired']);
});

test('a signal that is aborted already takes nothing', async () => {
  const semaphore = newSemaphore(1);
  const reason = await reasonOf(semaphore.acquireAsync(1, { signal: AbortSignal.abort('early') }));
  assert.is(reason, 'early');
  assert.is(semaphore.available, 1);
});

test('waiting promises of one thread are served in the order of their calls, whatever they want', async () => {
  const semaphore = newSemaphore(0);
  const order: number[] = [];
  const waiters = [3, 1, 2].map((n) => semaphore.acquireAsync(n).then(() => order.push(n)));
  semaphore.release(6);
  await Promise.all(waiters);
  assert.equal(order, [3, 1, 2]);
  assert.is(semaphore.available, 0);
});

test('with and withAsync give the result of their function, and release when it throws', async () => {
  const semaphore = newSemaphore(3);
  assert.is(
    semaphore.with(() => semaphore.available, 2),
    1,
  );
  assert.is(await semaphore.withAsync(async () => semaphore.available, 3), 0);
  const inside = new Error('inside');
  const throwing = () => {
    throw inside;
  };
  assert.throws(() => semaphore.with(throwing), /^inside$/);
  assert.is(await reasonOf(semaphore.withAsync(throwing, 2)), inside);
  assert.is(semaphore.available, 3);
});

test('using releases at the end of the block what was not released before', async () => {
  const semaphore = newSemaphore(3);
  {
    using _two = semaphore.acquire(2);
    using one = await semaphore.acquireAsync();
    assert.is(semaphore.available, 0);
    one.release();
    one.release();
    assert.is(semaphore.available, 1);
  }
  assert.is(semaphore.available, 3);
});

test('without max it may rise as far as 31 bits count, and not beyond', () => {
  const semaphore = newSemaphore(MOST - 1);
  semaphore.release();
  const error = refuses(() => semaphore.release(), RangeError);
  const there = `${MOST} are there, ${MOST} are allowed`;
  assert.is(error.message, `the thread in slot ${region.slot} cannot release 1 to semaphore "seats": ${there}`);
  refuses(() => semaphore.release(MOST), RangeError);
  assert.is(semaphore.available, MOST);
  semaphore.acquire(MOST);
  assert.is(semaphore.available, 0);
});

test('max bounds it, as the BoundedSemaphore of Python: one release too many throws and changes nothing', () => {
  const semaphore = newSemaphore(2, 2);
  refuses(() => semaphore.release(), RangeError, 'cannot release 1 to semaphore "seats": 2 are there, 2 are allowed');
  semaphore.acquire();
  refuses(() => semaphore.release(2), RangeError, 'cannot release 2 to semaphore "seats": 1 are there, 2 are allowed');
  assert.is(semaphore.available, 1);
  assert.is(held(semaphore, region.slot), 1);
  refuses(() => semaphore.acquire(3), RangeError, 'n must be an integer from 1 to 2: got 3');
  semaphore.release();
  assert.is(semaphore.available, 2);
});

test('amounts and options that cannot be meant are refused and change nothing', async () => {
  const semaphore = newSemaphore(2);
  for (const n of [0, -1, 1.5, Number.NaN, 2 ** 31]) {
    const message = `n must be an integer from 1 to ${MOST}: got ${n}`;
    for (const use of [() => semaphore.acquire(n), () => semaphore.tryAcquire(n), () => semaphore.release(n)]) {
      refuses(use, RangeError, message);
    }
    await refusesLater(semaphore.acquireAsync(n), RangeError, message);
    await refusesLater(
      semaphore.withAsync(() => assert.unreachable(), n),
      RangeError,
      message,
    );
  }
  refuses(() => semaphore.release('1' as never), TypeError, 'n must be a number: got "1"');
  refuses(() => semaphore.acquire(1, { timeout: -1 }), RangeError, 'timeout');
  refuses(() => newSemaphore(-1), RangeError, `permits must be an integer from 0 to ${MOST}: got -1`);
  refuses(() => newSemaphore(3, 2), RangeError, 'permits must be an integer from 0 to 2: got 3');
  refuses(() => newSemaphore(0, 0), RangeError, `max must be an integer from 1 to ${MOST}: got 0`);
  assert.is(semaphore.available, 2);
});

test('a turn of a thread that is gone goes on to the next', async () => {
  const { semaphore, wait } = newLine(0);
  const GONE = 6;
  region.kernel.threadJoin(region.record + (GONE - region.slot) * THREAD_BYTES, 999);
  wait(GONE, 1);
  semaphore.release();
  const next = semaphore.acquireAsync();
  region.threadExited(998);
  assert.is((await next).permits, 1);
});

test('a semaphore that was freed throws InvalidHandleError whatever is called, and ends the waits', async () => {
  const before = region.used;
  const [semaphore, gate] = [newSemaphore(0), newGate()];
  const { offset, serial } = semaphore;
  const threads = crew<string>(2, permitting, 'takeByIndex', { semaphore, gate });
  const promise = reasonOf(semaphore.acquireAsync());
  await until(() => Atomics.load(gate, ENTERED) === 2);
  semaphore.free();
  assert.is(region.used, before);
  assert.instance(await promise, InvalidHandleError);
  assert.equal(await threads, ['ERR_INVALID_HANDLE', 'ERR_INVALID_HANDLE']);
  const uses = [
    () => semaphore.acquire(),
    () => semaphore.acquire(2, { timeout: 1 }),
    () => semaphore.tryAcquire(),
    () => semaphore.release(),
    () => semaphore.release(2),
    () => semaphore.with(() => assert.unreachable()),
    () => semaphore.available,
    () => semaphore.free(),
  ];
  for (const use of uses) refuses(use, InvalidHandleError, 'freed');
  await refusesLater(semaphore.acquireAsync(), InvalidHandleError, 'freed');
  const { kernel } = region;
  const operations = [kernel.semaphoreAcquire, kernel.semaphoreAttempt, kernel.semaphoreRelease];
  for (const operation of operations) assert.is(operation(offset, serial, 1, 1), FREED);
});

test.run();
