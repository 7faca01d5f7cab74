import { inspect } from 'node:util';
import { Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MUTEX_WAITERS } from '../lib/kernel/layout.ts';
import { share } from '../lib/memory/handles.ts';
import { Region } from '../lib/memory/region.ts';
import { formatSnapshot, type RegionSnapshot, type ThreadSnapshot } from '../lib/memory/snapshot.ts';
import { Pool } from '../lib/pool/pool.ts';
import { codec } from '../lib/queue/codec.ts';
import { Queue } from '../lib/queue/queue.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { crew } from './kit/crew.ts';
import { newRegion } from './kit/regions.ts';
import { ENTERED, newGate, OPEN } from './kit/tasks.ts';
import { until } from './kit/until.ts';

const cycles = new URL('./kit/cycles.js', import.meta.url);
const waiting = new URL('./kit/wait-tasks.js', import.meta.url);

function threadIn({ threads }: RegionSnapshot, slot: number): ThreadSnapshot | undefined {
  return threads.find((thread) => thread.slot === slot);
}

/** The slots of the threads that wait for a lock, or for a queue in order to do something. */
function waitersOf(
  region: Region,
  { offset }: { offset: number },
  wants: 'get' | 'put' | 'join' = 'get',
): readonly number[] {
  const { locks, queues } = region.inspect();
  const lock = locks.find((object) => object.offset === offset);
  const queue = queues.find((object) => object.offset === offset);
  return lock?.waiters ?? queue?.waitersTo[wants] ?? [];
}

test('a region that is new has one thread, the one that made it, and nothing else', () => {
  const region = newRegion();
  const { at, ...rest } = region.inspect();
  assert.ok(at <= Date.now() && at > Date.now() - 60_000);
  const main = { slot: region.slot, thread: 0, name: 'main', alive: true, waits: [] };
  const nothing = { locks: [], queues: [], others: [], pools: [], deaths: 0, repairs: {} };
  assert.equal(rest, { bytes: 256 * 1024, used: 0, threads: [main], ...nothing });
});

test('locks and queues are shown with their names and all their figures', () => {
  const region = newRegion();
  const mutex = new Mutex({ region, name: 'stock' });
  const other = new Mutex({ region }).lock();
  const queue = new Queue<number>({ region, name: 'orders', capacity: 5, codec: codec.i32 });
  for (let i = 0; i < 4; i++) queue.put(i);
  for (let i = 0; i < 3; i++) queue.get();
  queue.close();
  region.array(Float64Array, 100);
  const { locks, queues, others, used } = region.inspect();
  const lock = { kind: 'mutex', bytes: 128, waiters: [] };
  assert.equal(locks, [
    { ...lock, name: 'stock', offset: mutex.offset, locked: false, owner: -1 },
    { ...lock, name: '', offset: other.offset, locked: true, owner: region.slot },
  ]);
  const [shown, ...more] = queues;
  assert.equal(more, []);
  assert.equal(
    { ...shown, bytes: 0 },
    {
      kind: 'queue',
      name: 'orders',
      offset: queue.offset,
      bytes: 0,
      waiters: [],
      waitersTo: { get: [], put: [], join: [], reserve: [] },
      size: 1,
      capacity: 5,
      put: 4,
      got: 3,
      closed: true,
    },
  );
  assert.equal(
    others.map(({ kind, name, bytes, waiters }) => ({ kind, name, bytes, waiters })),
    [{ kind: 'array', name: 'Float64Array', bytes: 896, waiters: [] }],
  );
  assert.is(used, region.used);
  assert.is(used, 128 + 128 + 896 + (shown?.bytes ?? 0));
  mutex.free();
  assert.is(region.inspect().locks.length, 1, 'what was freed is not there any more');
});

test('the counts of a queue that has seen 2^31 items begin anew', () => {
  const region = newRegion();
  for (const position of [2 ** 31 - 2, 2 ** 32 - 2]) {
    const queue = new Queue<number>({ region, capacity: 2, codec: codec.i32, position });
    queue.put(1);
    queue.put(2);
    queue.get();
    const before = position / 2;
    const { size, put, got } = region.inspect().queues.at(-1) ?? {};
    assert.equal([size, put, got], [1, (before + 2) % 2 ** 31, (before + 1) % 2 ** 31]);
    queue.free();
  }
});

test('a thread that blocks is shown with what it blocks on, since when, and whether it gives up', async () => {
  const region = newRegion();
  const mutex = new Mutex({ region, name: 'stock' }).lock();
  const began = Date.now();
  const hanging = crew<string>(1, cycles, 'lockAndLeave', { mutex });
  await until(() => waitersOf(region, mutex).length === 1);
  const snapshot = region.inspect();
  const [slot = -1] = snapshot.locks[0]?.waiters ?? [];
  const thread = threadIn(snapshot, slot);
  assert.match(thread?.name ?? '', /^worker \d+$/);
  assert.is(thread?.name, `worker ${thread?.thread}`);
  assert.is(thread?.alive, true);
  const [wait, ...more] = thread?.waits ?? [];
  assert.equal(more, []);
  const { since = 0, ...said } = wait ?? {};
  const { offset } = mutex;
  assert.equal(said, { kind: 'mutex', name: 'stock', offset, wants: 'lock', blocking: true, timeout: false });
  assert.ok(since >= began && since <= snapshot.at);
  mutex.unlock();
  assert.equal(await hanging, ['done']);
  assert.equal(region.inspect().locks[0]?.waiters, []);
  assert.is(threadIn(region.inspect(), slot), undefined, 'it has left');
});

test('threads that get, put and join are told apart, and so are threads and promises', async () => {
  const region = newRegion();
  const [empty, full] = [1, 1].map((capacity) => new Queue<number>({ region, capacity, codec: codec.i32 }));
  if (!empty || !full) throw new Error('two queues');
  full.put(1);
  const got = crew<number>(1, waiting, 'takeOne', { queue: empty });
  const handed = crew(1, waiting, 'handOn', { from: empty, to: full });
  await until(() => waitersOf(region, empty, 'get').length === 2);
  const joined = full.joinAsync();
  const put = full.putAsync(2);
  const { threads, queues } = region.inspect();
  const shown = queues.find(({ offset }) => offset === full.offset);
  assert.equal(shown?.waiters, [region.slot]);
  assert.equal(shown?.waitersTo, { get: [], put: [region.slot], join: [region.slot], reserve: [] });
  const mine = threads.find(({ slot }) => slot === region.slot)?.waits ?? [];
  const promise = { kind: 'queue', name: '', offset: full.offset, blocking: false };
  assert.equal(mine, [
    { ...promise, wants: 'put' },
    { ...promise, wants: 'join' },
  ]);
  for (const { slot, waits } of threads) {
    if (slot !== region.slot) assert.equal([waits.length, waits[0]?.wants, waits[0]?.blocking], [1, 'get', true]);
  }
  empty.put(5);
  empty.put(5, { timeout: 5000 });
  const items = await Promise.all([full.getAsync(), full.getAsync(), full.getAsync()]);
  assert.equal(items.sort(), [1, 2, 5]);
  assert.equal(await got, [5]);
  await Promise.all([put, handed]);
  full.taskDone(3);
  await joined;
  for (const { waiters } of region.inspect().queues) assert.equal(waiters, []);
});

/** A thread of our own that holds a mutex, or none, and blocks for another one. */
async function hangingThread(region: Region, second: Mutex, first?: Mutex): Promise<{ worker: Worker; id: number }> {
  const order = { module: cycles.href, name: 'holdAndHang', index: 0, args: share({ first, second }) };
  const worker = new Worker(new URL('./kit/crew-worker.js', import.meta.url), { workerData: order });
  worker.postMessage('go');
  await until(() => waitersOf(region, second).length > 0);
  return { worker, id: worker.threadId };
}

test('a thread that ended waits for nothing any more; if it held a lock that is shown', async () => {
  for (const holds of [false, true]) {
    const region = newRegion();
    const [first, second] = [new Mutex({ region }), new Mutex({ region }).lock()];
    const { worker, id } = await hangingThread(region, second, holds ? first : undefined);
    await worker.terminate();
    region.threadExited(id);
    const { threads, locks } = region.inspect();
    assert.ok(locks.every(({ waiters }) => waiters.length === 0));
    assert.not.ok(threads.some(({ thread }) => thread === id));
    const [{ locked, owner, ownerDied } = {}] = locks;
    assert.equal([locked, owner, ownerDied], [holds, -1, holds || undefined]);
    assert.is(region.kernel.waiting(second.offset + MUTEX_WAITERS), 0);
  }
});

test('looking disturbs nobody, and nobody disturbs it: threads make, free, lock and send meanwhile', async () => {
  const region = new Region({ bytes: 2 ** 20, threads: 8 });
  const mutex = new Mutex({ region, name: 'storm' });
  const queue = new Queue<number>({ region, capacity: 3, codec: codec.i32 });
  const gate = newGate();
  const storm = crew<number>(3, cycles, 'storm', { mutex, queue, gate });
  await until(() => Atomics.load(gate, ENTERED) === 3);
  const seen = { locks: 0, queues: 0, waits: 0 };
  for (let i = 0; i < 2000; i++) {
    const snapshot = region.inspect();
    const { threads, locks, queues, others, used, bytes } = snapshot;
    assert.is(threads.length, 4);
    assert.ok(locks.some(({ offset, name }) => offset === mutex.offset && name === 'storm'));
    assert.ok(queues.some(({ offset, capacity }) => offset === queue.offset && capacity === 3));
    for (const { kind, name, owner, locked } of locks) {
      assert.match(`${kind} ${name}`, /^mutex (?:storm|m\d+)$/);
      assert.is(locked, owner >= 0);
      assert.ok(owner < 8);
    }
    for (const { capacity, size } of queues) assert.ok(capacity > 0 && capacity <= 7 && size <= capacity);
    assert.equal(others, []);
    assert.ok(used > 0 && used < bytes);
    assert.ok(formatSnapshot(snapshot).includes('mutex "storm"'));
    seen.locks = Math.max(seen.locks, locks.length);
    seen.queues = Math.max(seen.queues, queues.length);
    seen.waits += threads.filter(({ waits }) => waits.length > 0).length;
  }
  Atomics.store(gate, OPEN, 1);
  await storm;
  assert.ok(seen.locks > 1 && seen.queues > 1 && seen.waits > 0, JSON.stringify(seen));
  assert.equal([region.inspect().locks.length, region.inspect().queues.length], [1, 1]);
});

test('a thread can look at what the main thread blocks on', async () => {
  const region = newRegion();
  const gate = new Queue<number>({ region, capacity: 1, name: 'gate', codec: codec.i32 });
  const started = newGate();
  const looking = crew<RegionSnapshot>(1, cycles, 'lookAndPut', { gate, started });
  await until(() => Atomics.load(started, ENTERED) === 1);
  assert.is(gate.get({ timeout: 20_000 }), 1);
  const [snapshot] = (await looking) as [RegionSnapshot];
  const [wait] = threadIn(snapshot, region.slot)?.waits ?? [];
  assert.equal(
    [wait?.kind, wait?.name, wait?.wants, wait?.blocking, wait?.timeout],
    ['queue', 'gate', 'get', true, true],
  );
  assert.match(formatSnapshot(snapshot), /main +yes +queue "gate" to get, for \d+ ms, with a timeout/);
});

test('a snapshot is plain data, and prints as tables', () => {
  const region = newRegion();
  new Mutex({ region, name: 'stock' });
  const snapshot = region.inspect();
  assert.equal(structuredClone(snapshot), snapshot);
  assert.equal(JSON.parse(JSON.stringify(snapshot)), snapshot);
  assert.is(inspect(snapshot), formatSnapshot(snapshot));
});

test('the pools of this thread are shown with their threads, until they are closed', async () => {
  const region = newRegion();
  const pool = new Pool(new URL('./kit/tasks.js', import.meta.url), { threads: 1, region, name: 'bakery' });
  const gate = newGate();
  const held = pool.run(gate, { name: 'hold' });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  const { pools, threads } = region.inspect();
  assert.equal(pools, [{ name: 'bakery', threads: 1, spawned: 0, pending: 1 }]);
  assert.match(threads.find(({ slot }) => slot !== region.slot)?.name ?? '', /^bakery \d+$/);
  assert.match(formatSnapshot(region.inspect()), /^ {2}bakery +1 +0 +1$/m);
  Atomics.store(gate, OPEN, 1);
  await held;
  await pool.close();
  assert.equal(region.inspect().pools, []);
});

test.run();
