import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  MUTEX_WAITERS,
  READ_ADMITTED,
  READ_HELD,
  READ_TURN,
  REGION_THREADS_AT,
  RW_DRAINING,
  RW_LINE,
  RW_LINES,
  RW_OPEN,
  RW_READERS,
  RW_STATE,
  STAMP_SHIFT,
  THREAD_BYTES,
} from '../lib/kernel/layout.ts';
import {
  DeadlockError,
  InvalidHandleError,
  NotOwnerError,
  OwnerDiedError,
  TimeoutError,
} from '../lib/memory/errors.ts';
import { attach, share } from '../lib/memory/handles.ts';
import { Region } from '../lib/memory/region.ts';
import { Pool } from '../lib/pool/pool.ts';
import type { LockFace } from '../lib/sync/locked.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { RwLock } from '../lib/sync/rwlock.ts';
import { crew } from './kit/crew.ts';
import { reasonOf } from './kit/pools.ts';
import { refuses, refusesLater } from './kit/refuses.ts';
import type * as Sharing from './kit/sharing.ts';
import { READ, type visitFace, WRITE, whileHeld } from './kit/sharing.ts';
import { ENTERED, newGate, OPEN } from './kit/tasks.ts';
import { until } from './kit/until.ts';

const sharing = new URL('./kit/sharing.js', import.meta.url);
const region = new Region({ bytes: 2 ** 20, threads: 8 });

function newLock(name = 'prices'): RwLock {
  return new RwLock({ region, name });
}

function waiting(lock: RwLock, set: number): boolean {
  return Boolean(region.kernel.waiting(lock.offset + set));
}

/** Nobody holds it, nobody waits, and nobody is taken for one who does. */
function isUntouched(lock: RwLock): void {
  for (const set of [MUTEX_WAITERS, RW_READERS, RW_DRAINING]) assert.is(waiting(lock, set), false, `set ${set}`);
  assert.is(region.i32[(lock.offset + RW_STATE) >> 2], RW_OPEN);
  assert.is(region.kernel.lockOwner(lock.offset), 0);
  for (let slot = 0; slot < 8; slot++) {
    const line = (lock.offset + RW_LINES + slot * RW_LINE) >> 2;
    assert.is(region.i32[line + READ_HELD / 4], 0, `reads of slot ${slot}`);
    assert.is.not(region.i32[line + READ_TURN / 4], READ_ADMITTED, `turn of slot ${slot}`);
  }
}

test('many threads read at once, and nobody writes meanwhile', async () => {
  const lock = newLock();
  const gate = newGate();
  const readers = crew(3, sharing, 'holdFace', { lock, face: 'read', gate });
  await until(() => Atomics.load(gate, ENTERED) === 3);
  assert.is(lock.read.tryLock(), true);
  lock.read.unlock();
  assert.is(lock.write.tryLock(), false);
  refuses(() => lock.write.lock({ timeout: 1 }), TimeoutError, 'lock of the write side of rwlock "prices" timed out');
  Atomics.store(gate, OPEN, 1);
  await readers;
  assert.is(lock.write.tryLock(), true);
  lock.write.unlock();
  isUntouched(lock);
});

test('one thread writes, and nobody reads or writes meanwhile', async () => {
  const lock = newLock();
  await whileHeld(
    lock,
    async () => {
      for (const face of [lock.read, lock.write]) {
        assert.is(face.tryLock(), false);
        for (const timeout of [0, 2]) refuses(() => face.lock({ timeout }), TimeoutError, ` after ${timeout} ms`);
        refuses(() => face.with(() => assert.unreachable(), { timeout: 1 }), TimeoutError, /prices/);
        await refusesLater(face.lockAsync({ timeout: 1 }), TimeoutError, 'prices" timed out after 1 ms');
        const controller = new AbortController();
        const aborted = face.withAsync(() => assert.unreachable(), { signal: controller.signal });
        controller.abort('enough');
        assert.is(await aborted.catch((reason) => reason), 'enough');
        assert.is(await face.lockAsync({ signal: AbortSignal.abort('no') }).catch((reason) => reason), 'no');
      }
    },
    'write',
  );
  isUntouched(lock);
});

test('threads and tasks that read and write never see a write half done, nor lose one', async () => {
  const [lock, words] = [newLock(), region.array(Int32Array, 2)];
  const writes = await crew<number>(6, sharing, 'readAndWriteAnyWay', { lock, words, times: 1500 });
  assert.is(
    words[0],
    writes.reduce((sum, count) => sum + count),
  );
  assert.is(words[1], words[0]);
  isUntouched(lock);
});

test('threads that only block lose no write', async () => {
  const [lock, words] = [newLock(), region.array(Int32Array, 2)];
  const writes = await crew<number>(4, sharing, 'readAndWrite', { lock, words, times: 8000 });
  assert.equal(writes, [2000, 2000, 2000, 2000]);
  assert.equal([...words], [8000, 8000]);
  isUntouched(lock);
});

test('who comes to read while a writer waits queues behind it, but for a thread that reads already', async () => {
  const lock = newLock();
  const log = region.array(Int32Array, 4);
  lock.read.lock();
  const writer = crew(1, sharing, 'logEntry', { lock, face: 'write', log });
  await until(() => waiting(lock, RW_DRAINING));
  const reader = crew(1, sharing, 'logEntry', { lock, face: 'read', log });
  await until(() => waiting(lock, RW_READERS));
  lock.read.lock();
  assert.is(lock.read.tryLock(), true);
  await lock.read.lockAsync();
  for (let entry = 0; entry < 3; entry++) lock.read.unlock();
  assert.is(log[0], 0, 'nobody else has entered');
  lock.read.unlock();
  await Promise.all([writer, reader]);
  assert.equal([...log], [2, WRITE, READ, 0]);
  isUntouched(lock);
});

test('all readers who wait behind a writer go before the next writer', async () => {
  const lock = newLock();
  const log = region.array(Int32Array, 4);
  lock.write.lock();
  const readers = crew(2, sharing, 'logEntry', { lock, face: 'read', log });
  const bits = () => [...Array(8).keys()].filter((slot) => region.kernel.isRegistered(lock.offset + RW_READERS, slot));
  await until(() => bits().length === 2);
  const writer = crew(1, sharing, 'logEntry', { lock, face: 'write', log });
  await until(() => waiting(lock, MUTEX_WAITERS));
  lock.write.unlock();
  await Promise.all([readers, writer]);
  assert.equal([...log], [3, READ, READ, WRITE]);
  isUntouched(lock);
});

test('a writer that gives up lets in those who waited behind it', async () => {
  const forms: ((lock: RwLock, signal: AbortSignal) => Promise<unknown>)[] = [
    (lock) => lock.write.lockAsync({ timeout: 50 }),
    (lock, signal) => lock.write.lockAsync({ signal }),
  ];
  for (const form of forms) {
    const lock = newLock();
    const controller = new AbortController();
    const log = region.array(Int32Array, 4);
    await whileHeld(
      lock,
      async () => {
        let reason: unknown;
        const writer = form(lock, controller.signal).catch((thrown) => {
          reason = thrown;
        });
        await until(() => waiting(lock, RW_DRAINING) || reason !== undefined);
        const reader = crew(1, sharing, 'logEntry', { lock, face: 'read', log });
        await until(() => waiting(lock, RW_READERS) || log[0] === 1);
        controller.abort('enough');
        await writer;
        assert.match(String(reason), /^enough$|: lock of the write side of rwlock "prices" timed out after 50 ms$/);
        await reader;
        assert.equal([...log], [1, READ, 0, 0]);
      },
      'read',
    );
    isUntouched(lock);
  }
});

test('a writer that blocks in vain lets in those who waited behind it', async () => {
  const lock = newLock();
  const log = region.array(Int32Array, 4);
  await whileHeld(
    lock,
    async () => {
      const reader = crew(1, sharing, 'logEntry', { lock, face: 'read', log });
      refuses(() => lock.write.lock({ timeout: 20 }), TimeoutError, 'prices" timed out after 20 ms');
      await reader;
      assert.equal([...log], [1, READ, 0, 0]);
    },
    'read',
  );
  isUntouched(lock);
});

test('a thread that was admitted and blocks elsewhere does not keep the next writer out', async () => {
  const [lock, mutex, gate] = [newLock(), new Mutex({ region }).lock(), newGate()];
  lock.write.lock();
  const other = crew(1, sharing, 'readLaterAndBlock', { lock, mutex, gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  lock.write.unlock();
  Atomics.store(gate, OPEN, 1);
  lock.write.lock();
  mutex.unlock();
  lock.write.unlock();
  await other;
  isUntouched(lock);
});

test('a thread may block to write while a promise of it waits to read, and the promise goes after it', async () => {
  const lock = newLock();
  let read: Promise<LockFace> | undefined;
  await whileHeld(
    lock,
    (gate) => {
      read = lock.read.lockAsync();
      Atomics.store(gate, OPEN, 1);
      lock.write.lock();
    },
    'write',
  );
  let had = false;
  read?.then(() => (had = true));
  for (let turns = 0; turns < 3; turns++) await new Promise(setImmediate);
  assert.is(had, false);
  lock.write.unlock();
  (await read)?.unlock();
  isUntouched(lock);
});

test('a task that wants to write waits for the reads of other tasks of its thread', async () => {
  const lock = newLock();
  const order: string[] = [];
  lock.read.lock();
  const writer = lock.write.withAsync(() => order.push('write'));
  await new Promise(setImmediate);
  const reader = lock.read.withAsync(() => order.push('read'));
  await reader;
  lock.read.unlock();
  await writer;
  assert.equal(order, ['read', 'write']);
  const writes = [1, 2, 3].map((n) => lock.write.withAsync(() => order.push(`${n}`)));
  await Promise.all(writes);
  assert.equal(order.slice(2), ['1', '2', '3']);
  isUntouched(lock);
});

test('what could never end throws DeadlockError at once, and the lock is still held', async () => {
  const lock = newLock();
  lock.read.lock();
  const reading = 'rwlock "prices" is held by this thread for reading (slot 0)';
  refuses(() => lock.write.lock(), DeadlockError, reading);
  refuses(() => lock.write.lock({ timeout: 1000 }), DeadlockError, reading);
  refuses(() => lock.write.with(() => assert.unreachable()), DeadlockError, reading);
  assert.is(lock.write.tryLock(), false);
  lock.read.unlock();
  lock.write.lock();
  refuses(() => lock.write.lock(), DeadlockError, 'the write side of rwlock "prices" is held by this thread already');
  refuses(
    () => lock.read.lock(),
    DeadlockError,
    'rwlock "prices" is held or awaited by this thread for writing (slot 0)',
  );
  refuses(() => lock.read.with(() => assert.unreachable(), { timeout: 1000 }), DeadlockError);
  assert.is(lock.read.tryLock(), false);
  lock.write.unlock();
  isUntouched(lock);
});

test('unlock without holding throws NotOwnerError and changes nothing', async () => {
  const lock = newLock();
  const readless = 'the thread in slot 0 cannot unlock the read side of rwlock "prices": it holds none';
  refuses(() => lock.read.unlock(), NotOwnerError, readless);
  refuses(
    () => lock.write.unlock(),
    NotOwnerError,
    'the thread in slot 0 cannot unlock the write side of rwlock "prices": nobody holds it',
  );
  for (const face of ['read', 'write'] as const) {
    lock[face].lock();
    const [seen] = await crew<ReturnType<typeof visitFace>>(1, sharing, 'visitFace', { lock, face: 'write' });
    assert.equal(seen, { tried: false, unlock: 'ERR_NOT_OWNER' });
    lock[face].unlock();
  }
  lock.read.lock();
  const writer = lock.write.lockAsync();
  await until(() => waiting(lock, RW_DRAINING));
  refuses(() => lock.write.unlock(), NotOwnerError, /it waits for it$/);
  lock.write[Symbol.dispose]();
  lock.read.unlock();
  refuses(() => lock.read.unlock(), NotOwnerError, readless);
  (await writer).unlock();
  isUntouched(lock);
});

test('with and using hold it for their block, and unlock also after an error', async () => {
  const lock = newLock();
  const throwing = () => {
    throw new RangeError('inside');
  };
  for (const face of [lock.read, lock.write]) {
    assert.is(
      face.with(() => 5),
      5,
    );
    assert.throws(() => face.with(throwing), 'inside');
    assert.is(await face.withAsync(async () => 6), 6);
    await refusesLater(face.withAsync(throwing), RangeError, 'inside');
    {
      using guard = face.lock();
      assert.is(guard, face);
    }
    {
      using guard = await face.lockAsync();
      guard.unlock();
    }
    isUntouched(lock);
  }
});

test('it crosses to another handle, and reads belong to the thread', () => {
  const lock = newLock();
  const same = attach<RwLock>(share(lock));
  assert.instance(same, RwLock);
  same.read.lock();
  lock.read.lock();
  same.read.unlock();
  lock.read.unlock();
  same.write.lock();
  lock.write.unlock();
  isUntouched(lock);
});

test('freeing it ends all waits for it, and every use throws InvalidHandleError', async () => {
  const before = region.used;
  const lock = newLock();
  lock.write.lock();
  const gates = [newGate(), newGate()];
  const threads = ['read', 'write'].map((face, i) => crew(1, sharing, 'lockFace', { lock, face, gate: gates[i] }));
  const promises = [lock.read.lockAsync(), lock.write.lockAsync()];
  const settled = Promise.allSettled(promises);
  await until(() => gates.every((gate) => Atomics.load(gate, ENTERED) === 1));
  lock.free();
  assert.is(region.used, before);
  for (const { status } of await settled) assert.is(status, 'rejected');
  assert.equal(await Promise.all(threads), [['ERR_INVALID_HANDLE'], ['ERR_INVALID_HANDLE']]);
  for (const face of [lock.read, lock.write]) {
    for (const use of [
      () => face.lock(),
      () => face.lock({ timeout: 1 }),
      () => face.tryLock(),
      () => face.unlock(),
      () => face.with(() => assert.unreachable()),
      () => face[Symbol.dispose](),
    ]) {
      refuses(use, InvalidHandleError, /freed/);
    }
    await refusesLater(face.lockAsync(), InvalidHandleError, /freed/);
  }
  refuses(() => lock.free(), InvalidHandleError, /freed/);
});

test('freeing it ends the wait of a writer that waits for readers', async () => {
  const lock = newLock();
  lock.read.lock();
  const writer = lock.write.lockAsync();
  await until(() => waiting(lock, RW_DRAINING));
  lock.free();
  await refusesLater(writer, InvalidHandleError, /freed/);
});

test('a thread that ended while it waited to read or while it read keeps no writer out', () => {
  const { kernel, i32 } = region;
  const lock = newLock();
  const slot = 7;
  const record = (i32[REGION_THREADS_AT >> 2] ?? 0) + slot * THREAD_BYTES;
  const end = () => region.threadExited(999);
  kernel.threadJoin(record, 1000);
  kernel.rwJoin(lock.offset, slot);
  lock.write.lock();
  kernel.register(lock.offset + RW_READERS, slot);
  kernel.readLock(lock.offset, lock.serial, slot);
  lock.write.unlock();
  assert.is(lock.write.tryLock(), false, 'it was admitted');
  end();
  assert.is(kernel.threadClaim(record), 0);
  assert.is(lock.write.tryLock(), true);
  lock.write.unlock();
  kernel.threadJoin(record, 1000);
  kernel.readLock(lock.offset, lock.serial, slot);
  assert.is(lock.write.tryLock(), false);
  end();
  isUntouched(lock);
  assert.is(lock.write.tryLock(), true);
  lock.write.unlock();
});

test('a writer that gives up passes on the wake that was meant for the next one', async () => {
  const { kernel } = region;
  const lock = newLock();
  const [reader, next] = [5, 6]; // slots of nobody: the reader inside, and the writer that has the gate after this one
  kernel.rwJoin(lock.offset, reader);
  assert.ok(kernel.readLock(lock.offset, lock.serial, reader) > 0);
  for (const giveUp of [
    () => reasonOf(lock.write.lockAsync({ timeout: 1 })),
    async () => assert.throws(() => lock.write.lock({ timeout: 1 }), /lock of the write side/),
  ]) {
    kernel.register(lock.offset + RW_DRAINING, next);
    await giveUp();
    assert.not.ok(waiting(lock, RW_DRAINING), 'it was woken');
  }
  kernel.readUnlock(lock.offset, lock.serial, reader);
  isUntouched(lock);
});

test('a reader that is just entering, or takes its try back, is no deadlock with the writer that waits for it', () => {
  const { kernel, i32, slot, parker } = region;
  const lock = newLock();
  const { offset, serial } = lock;
  const record = (i32[REGION_THREADS_AT >> 2] ?? 0) + 7 * THREAD_BYTES;
  kernel.threadJoin(record, 1000);
  kernel.rwJoin(offset, 7);
  kernel.readLock(offset, serial, 7);
  kernel.lock(offset, (serial << STAMP_SHIFT) | (slot + 1));
  const mine = new Mutex({ region }).lock();
  const waits = [
    { object: lock, set: RW_READERS, isDeadlock: false },
    { object: mine, set: MUTEX_WAITERS, isDeadlock: true },
  ];
  for (const { object, set, isDeadlock } of waits) {
    kernel.waitBegin(record, object.offset, object.serial, set, 1, 0);
    parker.graph.begin(lock, offset + RW_DRAINING, true);
    assert.is(parker.graph.deadlock(() => {}) !== undefined, isDeadlock);
    parker.graph.end();
  }
  mine.unlock();
  region.threadExited(999);
  kernel.unlock(offset, (serial << STAMP_SHIFT) | (slot + 1));
  isUntouched(lock);
});

/** Terminates a thread while it holds the face of a lock. */
async function killHolder(lock: RwLock, face: 'read' | 'write'): Promise<void> {
  const gate = newGate();
  const pool = new Pool<typeof Sharing>(sharing, { threads: 1, region });
  const holder = pool.spawn('holdFace', { lock, face, gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  await holder.terminate();
  await pool.close();
}

test('a thread that dies while it reads lets go, and nothing is half changed', async () => {
  const lock = newLock();
  await killHolder(lock, 'read');
  assert.is(
    lock.write.with(() => 'written', { timeout: 1000 }),
    'written',
  );
});

test('a thread that dies while it writes is told to readers and writers until recover has run', async () => {
  const lock = newLock();
  await killHolder(lock, 'write');
  for (const face of [lock.read, lock.write]) {
    assert.throws(() => face.lock(), isDeath);
    assert.throws(() => face.tryLock(), isDeath);
    assert.throws(() => face.with(() => {}), isDeath);
    assert.ok(isDeath(await reasonOf(face.lockAsync())));
  }
  assert.throws(
    () =>
      lock.recover(() => {
        throw new RangeError('inside');
      }),
    /^inside$/,
  );
  assert.throws(() => lock.read.lock(), isDeath, 'the repair failed');
  assert.is(
    lock.recover(() => 'repaired'),
    'repaired',
  );
  assert.is(
    lock.recover(() => 'nothing to do'),
    'nothing to do',
  );
  isUntouched(lock);
});

function isDeath(error: unknown): boolean {
  return error instanceof OwnerDiedError && error.code === 'ERR_OWNER_DIED' && /has died.*recover/.test(error.message);
}

test.run();
