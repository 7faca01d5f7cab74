import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MUTEX_WAITERS, RLOCK_AGAIN, STAMP_SHIFT } from '../lib/kernel/layout.ts';
import { InvalidHandleError, NotOwnerError, OwnerDiedError, TimeoutError } from '../lib/memory/errors.ts';
import { attach, share } from '../lib/memory/handles.ts';
import { Region } from '../lib/memory/region.ts';
import { Pool } from '../lib/pool/pool.ts';
import { RLock } from '../lib/sync/rlock.ts';
import { crew } from './kit/crew.ts';
import { reasonOf } from './kit/pools.ts';
import { refuses, refusesLater } from './kit/refuses.ts';
import type * as Sharing from './kit/sharing.ts';
import type { visitFace } from './kit/sharing.ts';
import { whileHeld } from './kit/sharing.ts';
import { ENTERED, newGate, OPEN } from './kit/tasks.ts';
import { until } from './kit/until.ts';

const sharing = new URL('./kit/sharing.js', import.meta.url);
const region = new Region({ bytes: 2 ** 20, threads: 8 });

function newLock(name = 'stock'): RLock {
  return new RLock({ region, name });
}

/** How often the owner has entered again, as the region says. */
function again(lock: RLock): number {
  return region.i32[(lock.offset + RLOCK_AGAIN) >> 2] ?? -1;
}

function waiting(lock: RLock): boolean {
  return Boolean(region.kernel.waiting(lock.offset + MUTEX_WAITERS));
}

test('its owner may lock it again, and it is free when it was unlocked as often', () => {
  const lock = newLock();
  assert.is(lock.lock(), lock);
  assert.is(lock.lock({ timeout: 0 }), lock);
  assert.is(lock.tryLock(), true);
  assert.is(again(lock), 2);
  for (const left of [1, 0]) {
    lock.unlock();
    assert.is(again(lock), left);
    assert.is(lock.owner, region.slot);
  }
  lock.unlock();
  assert.equal([lock.locked, lock.owner], [false, -1]);
  refuses(() => lock.unlock(), NotOwnerError, /^the thread in slot 0 cannot unlock rlock "stock": nobody holds it$/);
});

test('another thread gets it after the last unlock and not before', async () => {
  const lock = newLock().lock().lock();
  const gate = newGate();
  const other = crew<string>(1, sharing, 'lockFace', { lock, face: '', gate });
  await until(() => waiting(lock));
  lock.unlock();
  assert.ok(waiting(lock), 'it still sleeps');
  assert.is(lock.owner, region.slot);
  lock.unlock();
  assert.equal(await other, ['locked']);
  assert.is(lock.locked, false);
});

test('threads that count under it at any depth lose no count', async () => {
  const [lock, counter] = [newLock(), region.array(Int32Array, 1)];
  await crew(4, sharing, 'countNested', { lock, counter, times: 6000 });
  assert.is(counter[0], 24_000);
  assert.equal([lock.locked, again(lock)], [false, 0]);
});

test('threads that block and tasks that wait and enter again lose no count together', async () => {
  const [lock, counter] = [newLock(), region.array(Int32Array, 1)];
  await crew(4, sharing, 'countNestedEitherWay', { lock, counter, times: 800 });
  assert.is(counter[0], 3200);
  assert.equal([lock.locked, again(lock), waiting(lock)], [false, 0, false]);
});

test('waiters that time out or are aborted at any moment leave the lock to the others, and no trace', async () => {
  const [lock, counter] = [newLock(), region.array(Int32Array, 1)];
  const had = await crew<number>(4, sharing, 'countNestedImpatiently', { lock, counter, times: 200 });
  assert.is(
    counter[0],
    had.reduce((sum, times) => sum + times),
  );
  assert.ok(had.every((times) => times >= 200));
  assert.equal([lock.locked, again(lock), waiting(lock)], [false, 0, false]);
});

test('while another thread holds it, tryLock says no, and waits give up after their timeout', async () => {
  const lock = newLock('till');
  await whileHeld(lock, async () => {
    const { owner } = lock;
    assert.is(lock.tryLock(), false);
    for (const timeout of [0, 2]) {
      refuses(() => lock.lock({ timeout }), TimeoutError, `lock of rlock "till" timed out after ${timeout} ms`);
    }
    refuses(() => lock.with(() => assert.unreachable(), { timeout: 2 }), TimeoutError);
    await refusesLater(lock.lockAsync({ timeout: 1 }), TimeoutError, 'lock of rlock "till" timed out after 1 ms');
    const controller = new AbortController();
    const aborted = lock.withAsync(() => assert.unreachable(), { signal: controller.signal });
    controller.abort('enough');
    assert.is(await aborted.catch((reason) => reason), 'enough');
    assert.is(lock.owner, owner);
  });
  assert.is(waiting(lock), false);
  assert.is(lock.tryLock(), true);
});

test('all tasks of one thread are one owner: the lock of one lets the others in at once', async () => {
  const lock = newLock();
  let inside = 0;
  let most = 0;
  const task = () =>
    lock.withAsync(async () => {
      most = Math.max(most, ++inside);
      await turn();
      inside--;
    });
  await Promise.all([task(), task(), task()]);
  assert.is(most, 3);
  assert.equal([lock.locked, again(lock)], [false, 0]);
});

test('tasks that wait for another thread all enter when this thread gets the lock, by whatever form', async () => {
  const forms: ((lock: RLock) => unknown)[] = [
    (lock) => lock.lock(),
    (lock) => until(() => lock.tryLock()),
    (lock) => lock.lockAsync(),
  ];
  for (const form of forms) {
    const lock = newLock();
    let tasks: Promise<RLock>[] = [];
    await whileHeld(lock, (gate) => {
      tasks = [lock.lockAsync(), lock.lockAsync()];
      Atomics.store(gate, OPEN, 1);
      return form(lock);
    });
    assert.equal(await Promise.all(tasks), [lock, lock], 'while this thread holds it still');
    for (let entry = 0; entry < 3; entry++) lock.unlock();
    assert.equal([lock.locked, waiting(lock)], [false, false]);
  }
});

test('a task that waits enters with its thread, also when the wake went to another thread', async () => {
  const lock = newLock();
  const { offset, serial } = lock;
  const other = (serial << STAMP_SHIFT) | 8; // a thread in slot 7
  region.kernel.lock(offset, other);
  const task = lock.lockAsync();
  await until(() => waiting(lock));
  region.kernel.unlockContended(offset, other);
  assert.is(lock.tryLock(), true);
  let entered = false;
  task.then(() => (entered = true));
  for (let turns = 0; turns < 3; turns++) await turn();
  assert.equal([entered, again(lock)], [true, 1]);
  lock.unlock();
  lock.unlock();
  assert.equal([lock.locked, waiting(lock)], [false, false]);
});

test('with gives the result of its function, and unlocks once when it throws', async () => {
  const lock = newLock().lock();
  const inside = new Error('inside');
  const throwing = () => {
    throw inside;
  };
  assert.is(
    lock.with(() => lock.with(() => again(lock))),
    2,
  );
  assert.throws(() => lock.with(throwing), 'inside');
  assert.is(await lock.withAsync(async () => again(lock)), 1);
  assert.is(await lock.withAsync(throwing).catch((reason) => reason), inside);
  assert.equal([lock.owner, again(lock)], [region.slot, 0]);
});

test('using unlocks once at the end of its block', async () => {
  const lock = newLock();
  {
    using outer = lock.lock();
    {
      using inner = await outer.lockAsync();
      assert.is(again(inner), 1);
    }
    assert.equal([lock.owner, again(lock)], [region.slot, 0]);
  }
  assert.is(lock.locked, false);
});

test('unlock by another thread throws NotOwnerError and changes nothing', async () => {
  const lock = newLock().lock().lock();
  const [seen] = await crew<ReturnType<typeof visitFace>>(1, sharing, 'visitFace', { lock, face: '' });
  assert.equal(seen, { tried: false, unlock: 'ERR_NOT_OWNER' });
  assert.equal([lock.owner, again(lock)], [region.slot, 1]);
  const other = newLock();
  await whileHeld(other, () => {
    refuses(() => other.unlock(), NotOwnerError, /cannot unlock rlock "stock": the thread in slot [1-9] holds it$/);
    other[Symbol.dispose]();
    assert.is(other.locked, true);
  });
});

test('it crosses to another handle and keeps its depth', () => {
  const lock = newLock().lock();
  const same = attach<RLock>(share(lock));
  assert.instance(same, RLock);
  assert.is(same.lock().owner, region.slot);
  lock.unlock();
  assert.is(lock.owner, region.slot);
  same.unlock();
  assert.is(lock.locked, false);
});

test('freeing it ends all waits for it, and every use throws InvalidHandleError', async () => {
  const before = region.used;
  const lock = newLock();
  lock.lock().lock();
  const threads = crew<string>(2, sharing, 'lockFace', { lock, face: '', gate: newGate() });
  await until(() => waiting(lock));
  lock.free();
  assert.equal(await threads, ['ERR_INVALID_HANDLE', 'ERR_INVALID_HANDLE']);
  assert.is(region.used, before);
  for (const use of [
    () => lock.lock(),
    () => lock.lock({ timeout: 1 }),
    () => lock.tryLock(),
    () => lock.unlock(),
    () => lock.with(() => assert.unreachable()),
    () => lock.locked,
    () => lock.owner,
    () => lock[Symbol.dispose](),
    () => share(lock),
    () => lock.free(),
  ]) {
    refuses(use, InvalidHandleError, /freed/);
  }
  await refusesLater(lock.lockAsync(), InvalidHandleError, /freed/);
  await refusesLater(
    lock.withAsync(() => assert.unreachable()),
    InvalidHandleError,
    /freed/,
  );
});

test('when the owner dies, however deep it was, everybody is told until recover has run', async () => {
  const lock = newLock();
  const gate = newGate();
  const pool = new Pool<typeof Sharing>(sharing, { threads: 1, region });
  const holder = pool.spawn('holdDeep', { lock, gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  assert.is(again(lock), 2);
  await holder.terminate();
  await pool.close();
  const isDeath = (error: unknown) => error instanceof OwnerDiedError && /rlock.*has died/.test(error.message);
  for (const form of [() => lock.lock(), () => lock.tryLock(), () => lock.with(() => {})]) assert.throws(form, isDeath);
  assert.ok(isDeath(await reasonOf(lock.lockAsync())));
  assert.is(
    lock.recover(() => lock.with(() => again(lock))),
    1,
  );
  assert.equal([lock.locked, again(lock)], [false, 0]);
});

test.run();
