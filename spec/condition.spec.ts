import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  CONDITION_COUNTS,
  CONDITION_NEXT,
  CONDITION_WAITERS,
  MUTEX_WAITERS,
  REGION_THREADS_AT,
  THREAD_BYTES,
} from '../lib/kernel/layout.ts';
import { InvalidHandleError, NotOwnerError, TimeoutError } from '../lib/memory/errors.ts';
import { attach, share } from '../lib/memory/handles.ts';
import { Region } from '../lib/memory/region.ts';
import { Condition } from '../lib/sync/condition.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { RLock } from '../lib/sync/rlock.ts';
import { crew } from './kit/crew.ts';
import { refuses, refusesLater } from './kit/refuses.ts';
import { ENTERED, newGate } from './kit/tasks.ts';
import { until } from './kit/until.ts';
import { kill, victim } from './kit/victims.ts';

const conditions = new URL('./kit/conditions.js', import.meta.url);
const region = new Region({ bytes: 2 ** 20, threads: 8 });

function newCondition(mutex: Mutex | RLock = new Mutex({ region, name: 'stock' })): Condition {
  return new Condition({ mutex, name: 'filled' });
}

/** The word of a slot: how many wait, and 2^32 for each notification that was not dealt out. */
function counts(condition: Condition, slot: number): bigint {
  return region.i64[(condition.offset + CONDITION_COUNTS + slot * 8) / 8] ?? -1n;
}

/** Waiters whom nobody has notified. */
function waiters(condition: Condition): number {
  let sum = 0;
  for (let slot = 0; slot < 8; slot++) sum += Number(counts(condition, slot) & 0xffffffffn);
  return sum;
}

/** Nobody waits, nobody was notified in vain, and nobody holds the lock. */
function isUntouched(condition: Condition): void {
  for (let slot = 0; slot < 8; slot++) assert.is(counts(condition, slot), 0n, `slot ${slot}`);
  assert.is(Boolean(region.kernel.waiting(condition.offset + CONDITION_WAITERS)), false);
  assert.is(Boolean(region.kernel.waiting(condition.mutex.offset + MUTEX_WAITERS)), false);
  assert.is(condition.mutex.locked, false);
}

/** Promises that wait, and the numbers of those that were freed, in order. */
function queueUp(condition: Condition, count: number): { freed: number[]; all: Promise<unknown> } {
  const freed: number[] = [];
  const wait = async (n: number) => {
    await condition.mutex.withAsync(async () => {
      await condition.waitAsync();
      freed.push(n);
    });
  };
  return { freed, all: Promise.all(Array.from({ length: count }, (_, n) => wait(n))) };
}

async function settle(): Promise<void> {
  for (let turns = 0; turns < 5; turns++) await turn();
}

/** Threads that block for it, once they do. */
async function blockedThreads(condition: Condition, count: number): Promise<Promise<[string, boolean][]>[]> {
  const threads = crew<[string, boolean]>(count, conditions, 'waitOnce', { condition, gate: newGate() });
  await until(() => waiters(condition) >= count);
  return [threads];
}

for (const [kind, newLock] of Object.entries({
  Mutex: () => new Mutex({ region }),
  RLock: () => new RLock({ region }),
})) {
  test(`a bounded buffer under a ${kind} passes every item once, whoever blocks, waits, gives up or is aborted`, async () => {
    const mutex = newLock();
    const [filled, emptied] = [newCondition(mutex), newCondition(mutex)];
    const words = region.array(Int32Array, 3);
    const sums = await crew<number>(4, conditions, 'fillOrEmpty', { filled, emptied, words, times: 600 });
    assert.is((sums[0] ?? 0) + (sums[2] ?? 0), (sums[1] ?? 0) + (sums[3] ?? 0));
    assert.is(words[0], 0);
    isUntouched(filled);
    isUntouched(emptied);
  });
}

test('one notification frees exactly one of the threads that wait, and it holds the lock again', async () => {
  const condition = newCondition();
  const [threads] = await blockedThreads(condition, 3);
  for (let left = 2; left >= 0; left--) {
    condition.mutex.with(() => condition.notify());
    assert.is(waiters(condition), left);
  }
  assert.equal(await threads, [
    ['done', true],
    ['done', true],
    ['done', true],
  ]);
  isUntouched(condition);
});

test('one notification frees exactly one of the promises that wait, in the order of their calls', async () => {
  const condition = newCondition();
  const { freed, all } = queueUp(condition, 3);
  await until(() => waiters(condition) === 3);
  for (let count = 1; count <= 3; count++) {
    condition.mutex.with(() => condition.notify());
    await until(() => freed.length === count);
    await settle();
    assert.equal(freed, [0, 1, 2].slice(0, count));
  }
  await all;
  isUntouched(condition);
});

test('notify frees as many as it says or as there are, and notifyAll all of them', async () => {
  const condition = newCondition();
  const { freed, all } = queueUp(condition, 6);
  const [threads] = await blockedThreads(condition, 1);
  await until(() => waiters(condition) === 7);
  const notify = (n: number) => condition.mutex.with(() => condition.notify(n));
  notify(0);
  assert.is(waiters(condition), 7);
  notify(3);
  assert.is(waiters(condition), 4);
  condition.mutex.with(() => condition.notifyAll());
  assert.is(waiters(condition), 0);
  notify(1000);
  await Promise.all([all, threads]);
  assert.equal(freed, [0, 1, 2, 3, 4, 5]);
  isUntouched(condition);
});

test('threads are notified in turn', async () => {
  const condition = newCondition();
  const { freed, all } = queueUp(condition, 2);
  const [threads] = await blockedThreads(condition, 1);
  await until(() => waiters(condition) === 3);
  region.i32[(condition.offset + CONDITION_NEXT) >> 2] = region.slot;
  condition.mutex.with(() => condition.notify(2));
  assert.equal((await threads)?.length, 1);
  await settle();
  assert.equal(freed, [0]);
  condition.mutex.with(() => condition.notify());
  await all;
  isUntouched(condition);
});

test('a notification while nobody waits is not kept for who comes later', () => {
  const condition = newCondition();
  condition.mutex.lock();
  condition.notify(3);
  condition.notifyAll();
  refuses(() => condition.wait({ timeout: 1 }), TimeoutError, 'wait on condition "filled" timed out after 1 ms');
  condition.mutex.unlock();
  isUntouched(condition);
});

test('who comes after a notification cannot have it, even in the thread of the one whom it frees', async () => {
  const condition = newCondition();
  const { mutex } = condition;
  mutex.lock();
  const first = condition.waitAsync();
  mutex.lock();
  condition.notify();
  refuses(() => condition.wait({ timeout: 2 }), TimeoutError);
  const third = condition.waitAsync({ timeout: 2 });
  await first;
  mutex.unlock();
  await refusesLater(third, TimeoutError, 'timed out after 2 ms');
  mutex.unlock();
  isUntouched(condition);
});

test('of one thread the waiter that blocks is freed first, since its promises cannot go on', async () => {
  const condition = newCondition();
  const order = crew<string[]>(1, conditions, 'waitTwice', { condition, gate: newGate() });
  await until(() => waiters(condition) === 2);
  condition.mutex.with(() => condition.notify());
  await until(() => waiters(condition) === 1 && !condition.mutex.locked);
  condition.mutex.with(() => condition.notify());
  assert.equal(await order, [['blocked', 'promise']]);
  isUntouched(condition);
});

test('who was notified does not go on before the lock is free', async () => {
  const condition = newCondition();
  const { freed, all } = queueUp(condition, 1);
  const [threads] = await blockedThreads(condition, 1);
  let ended = false;
  threads?.then(() => (ended = true));
  await until(() => waiters(condition) === 2);
  await condition.mutex.lockAsync();
  condition.notifyAll();
  await until(() => Boolean(region.kernel.waiting(condition.mutex.offset + MUTEX_WAITERS)));
  await settle();
  assert.equal([freed.length, ended, condition.mutex.owner], [0, false, region.slot]);
  condition.mutex.unlock();
  await Promise.all([all, threads]);
  isUntouched(condition);
});

test('nobody is freed by a wake-up that is no notification', async () => {
  const condition = newCondition();
  const { freed, all } = queueUp(condition, 1);
  const [threads] = await blockedThreads(condition, 2);
  await until(() => waiters(condition) === 3);
  for (let round = 0; round < 20; round++) {
    region.parker.wakeAll(condition.offset + CONDITION_WAITERS);
    await turn();
  }
  await until(() => Boolean(region.kernel.waiting(condition.offset + CONDITION_WAITERS)));
  assert.equal([waiters(condition), freed.length], [3, 0]);
  condition.mutex.with(() => condition.notifyAll());
  await Promise.all([all, threads]);
  isUntouched(condition);
});

test('a wait that ends by its timeout or an abort holds the lock again, and leaves no trace', async () => {
  const condition = newCondition();
  const { mutex } = condition;
  const said = 'wait on condition "filled" timed out after';
  mutex.lock();
  for (const timeout of [0, 2]) refuses(() => condition.wait({ timeout }), TimeoutError, `${said} ${timeout} ms`);
  await refusesLater(condition.waitAsync({ timeout: 3 }), TimeoutError, `${said} 3 ms`);
  const controller = new AbortController();
  const aborted = condition.waitAsync({ signal: controller.signal });
  assert.is(mutex.locked, false, 'given up at once');
  controller.abort('enough');
  assert.is(await aborted.catch((reason) => reason), 'enough');
  assert.is(mutex.owner, region.slot);
  const waiting = condition.waitAsync({ signal: AbortSignal.abort('before') });
  assert.is(mutex.owner, region.slot, 'not given up for nothing');
  assert.is(await waiting.catch((reason) => reason), 'before');
  mutex.unlock();
  isUntouched(condition);
});

test('a waiter that is aborted and then notified, before it has the lock again, returns normally', async () => {
  const condition = newCondition();
  const { mutex } = condition;
  const controller = new AbortController();
  mutex.lock();
  const waiting = condition.waitAsync({ signal: controller.signal });
  mutex.lock();
  controller.abort('enough');
  await settle();
  condition.notify();
  mutex.unlock();
  await waiting;
  assert.is(mutex.owner, region.slot);
  mutex.unlock();
  isUntouched(condition);
});

test('a notification goes to one who waits rather than to one who gives up, and never to both', async () => {
  const condition = newCondition();
  const { mutex } = condition;
  const [threads] = await blockedThreads(condition, 1);
  await until(() => Boolean(region.kernel.waiting(condition.offset + CONDITION_WAITERS)));
  const controller = new AbortController();
  await mutex.lockAsync();
  const waiting = condition.waitAsync({ signal: controller.signal });
  await mutex.lockAsync();
  controller.abort('enough');
  await settle();
  condition.notify();
  mutex.unlock();
  assert.is(await waiting.catch((reason) => reason), 'enough');
  mutex.unlock();
  assert.equal(await threads, [['done', true]]);
  isUntouched(condition);
});

test('an abort of one promise leaves the others of its thread in their order', async () => {
  const condition = newCondition();
  const { mutex } = condition;
  const controllers = [0, 1, 2].map(() => new AbortController());
  const ends: string[] = [];
  const all = controllers.map(({ signal }, n) =>
    mutex.withAsync(async () => {
      await condition.waitAsync({ signal }).then(
        () => ends.push(`${n} freed`),
        (reason) => ends.push(`${n} ${reason}`),
      );
    }),
  );
  await until(() => waiters(condition) === 3);
  controllers[1]?.abort('aborted');
  await until(() => waiters(condition) === 2);
  mutex.with(() => condition.notify());
  await until(() => ends.length === 2);
  mutex.with(() => condition.notify());
  await Promise.all(all);
  assert.equal(ends, ['1 aborted', '0 freed', '2 freed']);
  isUntouched(condition);
});

test('an RLock is given up at any depth, and held again as deep', async () => {
  const condition = newCondition(new RLock({ region, name: 'deep' }));
  const { mutex } = condition;
  const thread = crew<number>(1, conditions, 'waitDeep', { condition, gate: newGate() });
  await until(() => waiters(condition) === 1);
  mutex.with(() => condition.notify());
  assert.equal(await thread, [3]);
  const depth = () => {
    let deep = 0;
    for (; mutex.owner === region.slot; deep++) mutex.unlock();
    for (let again = 0; again < deep; again++) mutex.lock();
    return deep;
  };
  for (let deep = 1; deep <= 3; deep++) {
    mutex.lock();
    refuses(() => condition.wait({ timeout: 1 }), TimeoutError);
    assert.is(depth(), deep);
    const waiting = condition.waitAsync({ timeout: 1 });
    assert.is(mutex.locked, false);
    await refusesLater(waiting, TimeoutError);
    assert.is(depth(), deep);
  }
  for (let deep = 0; deep < 3; deep++) mutex.unlock();
  isUntouched(condition);
});

test('waitFor gives what its predicate gives, asks it first of all, and then after each notification', async () => {
  const condition = newCondition();
  const { mutex } = condition;
  mutex.lock();
  assert.is(
    condition.waitFor(() => 'at once', { timeout: 0 }),
    'at once',
  );
  assert.is(await condition.waitForAsync(async () => 7), 7);
  let asked = 0;
  const waiting = condition.waitForAsync(() => {
    assert.is(mutex.owner, region.slot, 'asked under the lock');
    return ++asked === 3 && 'third';
  });
  for (let round = 1; round < 3; round++) {
    await until(() => waiters(condition) === 1);
    assert.is(asked, round);
    mutex.with(() => condition.notify());
  }
  assert.is(await waiting, 'third');
  mutex.unlock();
  isUntouched(condition);
});

test('waitFor asks a last time when its time is over, then throws TimeoutError, with the lock held', async () => {
  const condition = newCondition();
  const { mutex } = condition;
  mutex.lock();
  let asked = 0;
  assert.is(
    condition.waitFor(() => asked++, { timeout: 1 }),
    1,
  );
  const never = () => ++asked < 0;
  asked = 0;
  refuses(
    () => condition.waitFor(never, { timeout: 1 }),
    TimeoutError,
    'wait on condition "filled" timed out after 1 ms',
  );
  assert.is(asked, 2);
  await refusesLater(condition.waitForAsync(never, { timeout: 1 }), TimeoutError, 'timed out after 1 ms');
  assert.is(asked, 4);
  const controller = new AbortController();
  const aborted = condition.waitForAsync(never, { signal: controller.signal });
  await until(() => waiters(condition) === 1);
  controller.abort('enough');
  assert.is(await aborted.catch((reason) => reason), 'enough');
  const throwing = () => {
    throw new RangeError('asked');
  };
  refuses(() => condition.waitFor(throwing), RangeError, 'asked');
  await refusesLater(condition.waitForAsync(throwing), RangeError, 'asked');
  assert.is(mutex.owner, region.slot);
  mutex.unlock();
  isUntouched(condition);
});

test('to wait or notify without the lock throws NotOwnerError, which names the thread, the condition and the lock', async () => {
  const condition = newCondition();
  const message = (verb: string) =>
    `the thread in slot 0 cannot ${verb} condition "filled" without mutex "stock": nobody holds it`;
  refuses(() => condition.wait(), NotOwnerError, message('wait on'));
  refuses(() => condition.waitFor(() => true), NotOwnerError, message('wait on'));
  await refusesLater(condition.waitAsync(), NotOwnerError, message('wait on'));
  await refusesLater(
    condition.waitForAsync(() => true),
    NotOwnerError,
    message('wait on'),
  );
  refuses(() => condition.notify(), NotOwnerError, message('notify'));
  refuses(() => condition.notifyAll(), NotOwnerError, message('notify'));
  condition.mutex.lock();
  const [seen] = await crew<string[]>(1, conditions, 'misuseElsewhere', condition);
  assert.equal(seen, ['ERR_NOT_OWNER', 'ERR_NOT_OWNER', 'ERR_NOT_OWNER']);
  condition.mutex.unlock();
  isUntouched(condition);
});

test('a number of notifications that cannot be meant is refused with its value', () => {
  const condition = newCondition();
  condition.mutex.lock();
  for (const n of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    refuses(() => condition.notify(n), RangeError, `n must be an integer from 0 to 2147483647: got ${n}`);
  }
  refuses(() => condition.notify('1' as never), TypeError, 'n must be a number: got "1"');
  refuses(() => condition.waitFor(5 as never), TypeError, 'predicate must be a function: got 5');
  refuses(() => new Condition({ mutex: {} as never }), TypeError, 'mutex must be a Mutex or an RLock: got an object');
  refuses(() => new Condition(undefined as never), TypeError, 'options must be an object: got undefined');
  const elsewhere = { mutex: condition.mutex, region: new Region({ bytes: 2 ** 20, threads: 1 }) };
  refuses(() => new Condition(elsewhere), TypeError, 'region must be that of mutex "stock": got another one');
  condition.mutex.unlock();
});

test('its handle brings the lock along, also into other threads', async () => {
  for (const mutex of [new Mutex({ region }), new RLock({ region })]) {
    const condition = newCondition(mutex);
    const same = attach<Condition>(share(condition));
    assert.instance(same.mutex, mutex.constructor as never);
    assert.is(same.mutex.lock().owner, region.slot);
    assert.is(mutex.owner, region.slot);
    const waiting = same.waitAsync();
    await crew(1, conditions, 'notifyOnce', condition);
    await waiting;
    mutex.unlock();
    isUntouched(condition);
  }
});

test('freeing it ends the waits for it, with the lock held, and every use throws InvalidHandleError', async () => {
  const condition = newCondition();
  const { mutex } = condition;
  const before = region.used;
  const gone = newCondition(mutex);
  const gate = newGate();
  const threads = crew<[string, boolean]>(2, conditions, 'waitOnce', { condition: gone, gate });
  await until(() => waiters(gone) === 2);
  await mutex.lockAsync();
  const promise = gone.waitAsync();
  assert.is(Atomics.load(gate, ENTERED), 2);
  gone.free();
  assert.is(region.used, before);
  await refusesLater(promise, InvalidHandleError, /freed/);
  assert.is(mutex.owner, region.slot);
  for (const use of [
    () => gone.wait(),
    () => gone.waitFor(() => true),
    () => gone.notify(),
    () => gone.notifyAll(),
    () => share(gone),
    () => gone.free(),
  ]) {
    refuses(use, InvalidHandleError, /freed/);
  }
  await refusesLater(gone.waitAsync(), InvalidHandleError, /freed/);
  mutex.unlock();
  assert.equal(await threads, [
    ['ERR_INVALID_HANDLE', true],
    ['ERR_INVALID_HANDLE', true],
  ]);
  isUntouched(condition);
});

test('a lock that was freed cannot be waited with, and its condition not be attached', () => {
  const condition = newCondition();
  const shared = share(condition);
  condition.mutex.free();
  refuses(() => condition.wait(), InvalidHandleError, /freed/);
  refuses(() => attach(shared), InvalidHandleError, /freed|stale/);
  refuses(() => newCondition(condition.mutex), InvalidHandleError, /freed/);
});

test('notifications of a thread that has ended go to others, and it is notified no more', async () => {
  const { kernel, i32 } = region;
  const condition = newCondition();
  const { freed, all } = queueUp(condition, 2);
  await until(() => waiters(condition) === 2);
  const slot = 7;
  kernel.threadJoin((i32[REGION_THREADS_AT >> 2] ?? 0) + slot * THREAD_BYTES, 1000);
  for (let waiter = 0; waiter < 3; waiter++) kernel.conditionEnter(condition.offset, condition.serial, slot);
  kernel.register(condition.offset + CONDITION_WAITERS, slot);
  i32[(condition.offset + CONDITION_NEXT) >> 2] = slot;
  condition.mutex.with(() => condition.notify());
  assert.is(counts(condition, slot), 2n + (1n << 32n));
  region.threadExited(999);
  assert.is(counts(condition, slot), 0n);
  await until(() => freed.length === 1);
  await settle();
  assert.equal(freed, [0]);
  condition.mutex.with(() => condition.notify(3));
  await all;
  isUntouched(condition);
});

/** What threads said that waited `name` as another one died with the lock. */
async function bereaved(condition: Condition, name: string, count: number): Promise<string[] | undefined> {
  const thread = crew<string[]>(1, conditions, name, { condition, gate: newGate() });
  await until(() => waiters(condition) === count);
  await condition.mutex.lockAsync(); // they have given it up
  condition.mutex.unlock();
  const gate = newGate();
  const worker = await victim('notifyAndHang', { condition, gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  assert.equal(await kill(worker), { locks: 1 });
  return (await thread)[0];
}

for (const [kind, newLock] of Object.entries({
  Mutex: () => new Mutex({ region }),
  RLock: () => new RLock({ region }),
})) {
  test(`who waits under a ${kind} whose owner dies is told so, by with as well, holds it no more, and can recover it`, async () => {
    const condition = newCondition(newLock());
    const said = await bereaved(condition, 'waitAndMend', 1);
    assert.equal(said, ['the wait failed', 'ERR_OWNER_DIED', 'mended']);
    isUntouched(condition);
  });
}

test('of two promises that wait under a mutex whose owner dies, one does not unlock what the other one has locked since', async () => {
  const condition = newCondition();
  assert.equal(await bereaved(condition, 'waitAndMendLater', 2), ['ERR_OWNER_DIED', 'ERR_OWNER_DIED']);
  isUntouched(condition);
});

test.run();
