import { setImmediate as turn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  DeadlockError,
  InvalidHandleError,
  NotOwnerError,
  OwnerDiedError,
  RingfenceError,
  TimeoutError,
} from '../lib/memory/errors.ts';
import { share } from '../lib/memory/handles.ts';
import { Region } from '../lib/memory/region.ts';
import { Pool } from '../lib/pool/pool.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { crew, type Order } from './kit/crew.ts';
import type * as Locking from './kit/locking.ts';
import type { visit } from './kit/locking.ts';
import { reasonOf } from './kit/pools.ts';
import { ENTERED, type Gate, newGate, OPEN } from './kit/tasks.ts';
import { until } from './kit/until.ts';

const locking = new URL('./kit/locking.js', import.meta.url);
const region = new Region({ bytes: 2 ** 20, threads: 8 });

function newMutex(name = 'stock'): Mutex {
  return new Mutex({ region, name });
}

/** The error of one of the library's classes, by its code and text. */
function failure(type: new (...args: never[]) => RingfenceError, code: string, message: RegExp) {
  return (error: unknown): boolean =>
    error instanceof type && error instanceof RingfenceError && error.code === code && message.test(error.message);
}

/** Runs `during` while another thread holds the mutex. */
async function whileHeld(mutex: Mutex, during: (gate: Gate) => unknown): Promise<void> {
  const gate = newGate();
  const holder = crew(1, locking, 'holdLock', { mutex, gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  try {
    await during(gate);
  } finally {
    Atomics.store(gate, OPEN, 1);
    await holder;
  }
}

test('threads that count under the lock lose no count', async () => {
  const [mutex, counter] = [newMutex(), region.array(Int32Array, 1)];
  await crew(4, locking, 'count', { mutex, counter, times: 20_000 });
  assert.is(counter[0], 80_000);
  assert.is(mutex.locked, false);
});

test('tasks of one thread that leave it under the lock lose no count', async () => {
  const [mutex, counter] = [newMutex(), region.array(Int32Array, 1)];
  let inside = 0;
  const task = async () => {
    for (let i = 0; i < 50; i++) {
      await mutex.withAsync(async () => {
        assert.is(++inside, 1);
        const seen = counter[0] ?? 0;
        await turn();
        counter[0] = seen + 1;
        inside--;
      });
    }
  };
  await Promise.all(Array.from({ length: 8 }, task));
  assert.is(counter[0], 400);
});

test('threads that block and tasks that wait lose no count together', async () => {
  const [mutex, counter] = [newMutex(), region.array(Int32Array, 1)];
  await crew(4, locking, 'countEitherWay', { mutex, counter, times: 400 });
  assert.is(counter[0], 1600);
  assert.is(mutex.locked, false);
});

test('waiters that time out or are aborted at any moment leave the lock to the others', async () => {
  const [mutex, counter] = [newMutex(), region.array(Int32Array, 1)];
  const had = await crew<number>(4, locking, 'countImpatiently', { mutex, counter, times: 250 });
  assert.is(
    counter[0],
    had.reduce((sum, times) => sum + times),
  );
  assert.ok(had.every((times) => times >= 250));
  assert.is(mutex.locked, false);
});

test('tryLock takes a free lock, and says no when a thread holds it, this one included', async () => {
  const mutex = newMutex();
  assert.is(mutex.tryLock(), true);
  assert.is(mutex.tryLock(), false);
  mutex.unlock();
  await whileHeld(mutex, () => assert.is(mutex.tryLock(), false));
  assert.is(mutex.tryLock(), true);
});

test('lock gives up after its timeout, and leaves the lock as it was', async () => {
  const mutex = newMutex('till');
  await whileHeld(mutex, async () => {
    const { owner } = mutex;
    const late = failure(TimeoutError, 'ERR_TIMEOUT', /^lock of mutex "till" timed out after [02] ms$/);
    for (const timeout of [0, 2]) assert.throws(() => mutex.lock({ timeout }), late);
    assert.throws(() => mutex.with(() => assert.unreachable(), { timeout: 2 }), late);
    assert.is(mutex.owner, owner);
  });
  assert.is(mutex.lock({ timeout: 0 }), mutex);
});

test('lockAsync gives up after its timeout, and later waiters still get the lock', async () => {
  const mutex = newMutex().lock();
  const late = mutex.lockAsync({ timeout: 1 });
  const next = mutex.lockAsync();
  assert.ok(failure(TimeoutError, 'ERR_TIMEOUT', /"stock" timed out after 1 ms$/)(await reasonOf(late)));
  mutex.unlock();
  assert.is(await next, mutex);
  assert.is(mutex.owner, region.slot);
});

test('a timeout beyond what a timer can count does not end at once', async () => {
  const mutex = newMutex().lock();
  const waiter = mutex.lockAsync({ timeout: 2 ** 31 });
  const other = mutex.lockAsync({ timeout: 2 });
  waiter.catch(() => {});
  await reasonOf(other);
  mutex.unlock();
  assert.is(await waiter, mutex);
});

test('an abort rejects with its reason and takes no lock', async () => {
  const mutex = newMutex();
  const reason = new Error('enough');
  assert.is(await reasonOf(mutex.lockAsync({ signal: AbortSignal.abort(reason) })), reason);
  assert.is(mutex.locked, false);
  mutex.lock();
  const controller = new AbortController();
  const waiter = mutex.withAsync(() => assert.unreachable(), { signal: controller.signal });
  controller.abort(reason);
  assert.is(await reasonOf(waiter), reason);
  mutex.unlock();
  assert.is(mutex.locked, false);
  assert.is(mutex.tryLock(), true);
});

test('an abort after the lock was had changes nothing', async () => {
  const mutex = newMutex();
  const controller = new AbortController();
  await mutex.lockAsync({ signal: controller.signal });
  controller.abort();
  assert.is(mutex.owner, region.slot);
});

test('a waiter that is aborted, before the unlock or just after it, does not stand in the way of the next', async () => {
  for (const before of [true, false]) {
    const mutex = newMutex().lock();
    const controller = new AbortController();
    const first = mutex.lockAsync({ signal: controller.signal });
    const second = mutex.lockAsync();
    if (before) controller.abort('stop');
    mutex.unlock();
    controller.abort('stop');
    assert.is(await reasonOf(first), 'stop');
    assert.is(await second, mutex);
  }
});

test('a waiter that is aborted just after the unlock leaves the lock to another thread', async () => {
  const mutex = newMutex().lock();
  const gate = newGate();
  const controller = new AbortController();
  const aborted = reasonOf(mutex.lockAsync({ signal: controller.signal }));
  const other = crew<string>(1, locking, 'lockOnce', { mutex, gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  mutex.unlock();
  controller.abort('stop');
  assert.is(await aborted, 'stop');
  assert.equal(await other, ['locked']);
});

test('waiting promises of one thread get the lock in the order of their calls', async () => {
  const mutex = newMutex().lock();
  const order: number[] = [];
  const waiters = [0, 1, 2, 3].map((n) => mutex.withAsync(() => order.push(n)));
  mutex.unlock();
  await Promise.all(waiters);
  assert.equal(order, [0, 1, 2, 3]);
});

test('with gives the result of its function, and unlocks when it throws', () => {
  const mutex = newMutex();
  const owner = mutex.with(() => mutex.owner);
  assert.is(owner, region.slot);
  const throwing = () => {
    throw new RangeError('inside');
  };
  assert.throws(() => mutex.with(throwing), /^inside$/);
  assert.is(mutex.locked, false);
});

test('withAsync gives the result of its function, and unlocks when it throws or rejects', async () => {
  const mutex = newMutex();
  assert.is(await mutex.withAsync(() => mutex.owner), region.slot);
  const inside = new Error('inside');
  const throwing = () => {
    throw inside;
  };
  assert.is(await reasonOf(mutex.withAsync(throwing)), inside);
  assert.is(await reasonOf(mutex.withAsync(async () => turn().then(throwing))), inside);
  assert.is(mutex.locked, false);
});

test('using unlocks at the end of the block, also after an error or an early unlock', async () => {
  const mutex = newMutex();
  {
    using guard = mutex.lock();
    assert.is(guard.owner, region.slot);
  }
  assert.is(mutex.locked, false);
  assert.throws(() => {
    using _guard = mutex.lock();
    throw new RangeError('inside');
  }, /^inside$/);
  assert.is(mutex.locked, false);
  {
    using guard = await mutex.lockAsync();
    guard.unlock();
    assert.is(mutex.locked, false);
  }
  assert.is(mutex.locked, false);
});

test('using after an early unlock leaves the lock of another thread alone', async () => {
  const mutex = newMutex();
  await whileHeld(mutex, () => {
    const { owner } = mutex;
    mutex[Symbol.dispose]();
    assert.is(mutex.owner, owner);
    assert.is.not(owner, region.slot);
  });
});

test('unlock by a thread that does not hold the lock throws NotOwnerError and leaves it locked', async () => {
  const mutex = newMutex();
  const nobody = failure(NotOwnerError, 'ERR_NOT_OWNER', /cannot unlock mutex "stock": nobody holds it$/);
  assert.throws(() => mutex.unlock(), nobody);
  mutex.lock().unlock();
  assert.throws(() => mutex.unlock(), nobody);
  mutex.lock();
  const [seen] = await crew<ReturnType<typeof visit>>(1, locking, 'visit', mutex);
  assert.is(seen?.unlock, 'ERR_NOT_OWNER');
  assert.is(mutex.owner, region.slot);
  mutex.unlock();
  await whileHeld(mutex, () => {
    const other = failure(NotOwnerError, 'ERR_NOT_OWNER', /the thread in slot [1-9] holds it$/);
    assert.throws(() => mutex.unlock(), other);
    assert.is(mutex.locked, true);
  });
});

test('lock of what this thread holds throws DeadlockError, and the lock is still held', async () => {
  const mutex = newMutex().lock();
  const deadlock = failure(DeadlockError, 'ERR_DEADLOCK', /^mutex "stock" is held by this thread already/);
  assert.throws(() => mutex.lock(), deadlock);
  assert.throws(() => mutex.lock({ timeout: 1000 }), deadlock);
  assert.throws(() => mutex.with(() => assert.unreachable()), deadlock);
  const waiter = mutex.lockAsync();
  assert.throws(() => mutex.lock(), deadlock);
  assert.is(mutex.owner, region.slot);
  mutex.unlock();
  await waiter;
  assert.throws(() => mutex.lock(), deadlock, 'held by a task of this thread');
  mutex.unlock();
  assert.is(mutex.locked, false);
});

test('locked and owner say who holds it, in every thread', async () => {
  const mutex = newMutex();
  assert.equal([mutex.locked, mutex.owner], [false, -1]);
  mutex.lock();
  assert.equal([mutex.locked, mutex.owner], [true, region.slot]);
  const [seen] = await crew<ReturnType<typeof visit>>(1, locking, 'visit', mutex);
  assert.equal([seen?.locked, seen?.owner, seen?.tried], [true, region.slot, false]);
  mutex.unlock();
  const [after] = await crew<ReturnType<typeof visit>>(1, locking, 'visit', mutex);
  assert.equal([after?.locked, after?.owner, after?.tried, after?.unlock], [false, -1, true, 'done']);
});

test('a mutex that was freed throws InvalidHandleError whatever is called', async () => {
  const before = region.used;
  const mutex = newMutex();
  mutex.free();
  assert.is(region.used, before);
  const freed = failure(InvalidHandleError, 'ERR_INVALID_HANDLE', /freed/);
  const uses: (() => unknown)[] = [
    () => mutex.lock(),
    () => mutex.lock({ timeout: 1 }),
    () => mutex.tryLock(),
    () => mutex.unlock(),
    () => mutex.with(() => assert.unreachable()),
    () => mutex.locked,
    () => mutex.owner,
    () => mutex[Symbol.dispose](),
    () => mutex.free(),
  ];
  for (const use of uses) assert.throws(use, freed, use.toString());
  assert.ok(freed(await reasonOf(mutex.lockAsync())));
  assert.ok(freed(await reasonOf(mutex.withAsync(() => assert.unreachable()))));
});

test('freeing a mutex ends the waits for it, of threads and of promises', async () => {
  const mutex = newMutex().lock();
  const gate = newGate();
  const threads = crew<string>(2, locking, 'lockOnce', { mutex, gate });
  const promises = [mutex.lockAsync(), mutex.lockAsync()].map(reasonOf);
  await until(() => Atomics.load(gate, ENTERED) === 2);
  mutex.free();
  for (const reason of await Promise.all(promises)) assert.instance(reason, InvalidHandleError);
  assert.equal(await threads, ['ERR_INVALID_HANDLE', 'ERR_INVALID_HANDLE']);
});

test('a thread that blocks while its promises wait passes their turn on', async () => {
  for (let round = 0; round < 3; round++) {
    const [first, second, gate] = [newMutex('first').lock(), newMutex('second').lock(), newGate()];
    const crossing = crew(2, locking, 'cross', { first, second, gate });
    await until(() => Atomics.load(gate, ENTERED) === 2);
    first.unlock();
    await until(() => Atomics.load(gate, OPEN) === 1, 'the thread that blocks for the first lock');
    second.unlock();
    await crossing;
    assert.equal([first.locked, second.locked], [false, false]);
  }
});

test('a thread that takes the lock again and again lets the others in, be they blocked or in promises', async () => {
  const [mutex, gate] = [newMutex(), newGate()];
  const hogs = crew(1, locking, 'hog', { mutex, gate });
  const visits = crew(2, locking, 'countEitherWay', { mutex, counter: region.array(Int32Array, 1), times: 20 });
  await until(() => Atomics.load(gate, ENTERED) > 0);
  for (let n = 0; n < 10; n++) {
    mutex.lock();
    mutex.unlock();
    await mutex.withAsync(() => {});
  }
  await visits;
  Atomics.store(gate, OPEN, 1);
  await hogs;
  assert.is(mutex.locked, false);
});

test('a thread may block for the very lock that its promise waits for', async () => {
  const mutex = newMutex();
  let promise: Promise<Mutex> | undefined;
  await whileHeld(mutex, (gate) => {
    promise = mutex.lockAsync();
    Atomics.store(gate, OPEN, 1);
    mutex.lock();
  });
  assert.is(mutex.owner, region.slot);
  mutex.unlock();
  assert.is(await promise, mutex);
  assert.is(mutex.owner, region.slot);
});

const died = failure(OwnerDiedError, 'ERR_OWNER_DIED', /held mutex "stock" has died.*recover/);

/** A mutex whose owner was terminated while it held it, and `waiting` threads that blocked for it before that. */
async function orphan(waiting = 0): Promise<{ mutex: Mutex; waits: Promise<string[]> }> {
  const [mutex, gate] = [newMutex(), newGate()];
  const holder = new Worker(new URL('./kit/crew-worker.js', import.meta.url), {
    workerData: { module: locking.href, name: 'holdLock', index: 0, args: share({ mutex, gate }) } satisfies Order,
  });
  const id = holder.threadId;
  holder.once('message', () => holder.postMessage('go'));
  await until(() => Atomics.load(gate, ENTERED) === 1);
  const waits = waiting > 0 ? crew<string>(waiting, locking, 'lockOnce', { mutex, gate }) : Promise.resolve([]);
  await until(() => Atomics.load(gate, ENTERED) === 1 + waiting);
  await holder.terminate();
  region.threadExited(id);
  return { mutex, waits };
}

test('when the owner dies, every form of lock says so to everybody until recover has run', async () => {
  const { mutex, waits } = await orphan(2);
  assert.equal(await waits, ['ERR_OWNER_DIED', 'ERR_OWNER_DIED']);
  assert.equal([mutex.locked, mutex.owner], [true, -1]);
  const forms = [
    () => mutex.lock(),
    () => mutex.lock({ timeout: 1 }),
    () => mutex.tryLock(),
    () => mutex.with(() => {}),
  ];
  for (const form of forms) assert.throws(form, died);
  for (const form of [mutex.lockAsync(), mutex.withAsync(() => {})]) assert.ok(died(await reasonOf(form)));
  assert.throws(() => mutex.unlock(), failure(NotOwnerError, 'ERR_NOT_OWNER', /its owner has died/));
  assert.is(
    mutex.recover(() => mutex.owner),
    region.slot,
  );
  assert.is(mutex.locked, false);
  assert.is(
    mutex.with(() => 'again'),
    'again',
  );
});

test('promises that waited for a lock whose owner dies are told, too', async () => {
  const mutex = newMutex();
  const gate = newGate();
  const pool = new Pool<typeof Locking>(locking, { threads: 1, region });
  const holder = pool.spawn('holdLock', { mutex, gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  const reasons = [mutex.lockAsync(), mutex.lockAsync()].map(reasonOf);
  await holder.terminate();
  for (const reason of await Promise.all(reasons)) assert.ok(died(reason));
  mutex.recover(() => {});
  await pool.close();
});

test('a repair that throws leaves the owner dead, and the next one may try', async () => {
  const { mutex } = await orphan();
  const inside = new RangeError('inside');
  assert.throws(
    () =>
      mutex.recover(() => {
        throw inside;
      }),
    /^inside$/,
  );
  assert.throws(() => mutex.lock(), died);
  assert.is(
    mutex.recover(() => 7),
    7,
  );
  assert.is(mutex.tryLock(), true);
  mutex.unlock();
});

test('recover runs alone: of two threads that recover at once, one repairs after the other', async () => {
  const { mutex } = await orphan();
  const counter = region.array(Int32Array, 1);
  await crew(3, locking, 'recoverAndCount', { mutex, counter, times: 1 });
  assert.equal([counter[0], mutex.locked], [3, false]);
  assert.is(
    mutex.recover(() => 'nothing to do'),
    'nothing to do',
  );
});

test('recover of what this thread holds throws DeadlockError', () => {
  const mutex = newMutex().lock();
  assert.throws(() => mutex.recover(() => {}), failure(DeadlockError, 'ERR_DEADLOCK', /held by this thread already/));
  assert.is(mutex.owner, region.slot);
});

test.run();
